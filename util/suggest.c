/* SPDX-License-Identifier: Apache-2.0 */
/* Nearest word by edits; see suggest.h. */
#include "util/suggest.h"

#include <string.h>

/* No option or command is longer; what is, has no neighbour. */
#define WORD_MAX_LEN 32

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/*
 * Edits (insert, delete, replace, swap of neighbours) that make b of a: the
 * usual table, of which three rows are kept because a swap looks two back.
 */
static size_t edits(const char *a, size_t alen, const char *b, size_t blen)
{
	size_t rows[3][WORD_MAX_LEN + 1];

	for (size_t j = 0; j <= blen; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= alen; i++) {
		size_t *row = rows[i % 3];
		const size_t *above = rows[(i - 1) % 3];
		const size_t *above2 = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= blen; j++) {
			size_t replace = above[j - 1] + (a[i - 1] != b[j - 1]);

			row[j] = min3(above[j] + 1, row[j - 1] + 1, replace);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
				a[i - 2] == b[j - 1] && above2[j - 2] < row[j])
				row[j] = above2[j - 2] + 1;
		}
	}
	return rows[alen % 3][blen];
}

void suggest_offer(struct suggest *s, const char *word)
{
	size_t typed_len = strlen(s->typed), len = strlen(word);
	size_t distance;

	if (typed_len == 0 || typed_len > WORD_MAX_LEN || len > WORD_MAX_LEN)
		return;
	/* A beginning of the word is what most people type who expect
	 * abbreviations to work. */
	if (typed_len < len && memcmp(word, s->typed, typed_len) == 0)
		distance = 1;
	else
		distance = edits(s->typed, typed_len, word, len);
	if (distance > (typed_len < 4 ? 1 : typed_len / 3 + 1))
		return;
	if (!s->best || distance < s->distance) {
		s->best = word;
		s->distance = distance;
	}
}
