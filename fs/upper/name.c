/* SPDX-License-Identifier: Apache-2.0 */
/* Names of files for paths and words; see name.h. */
#include "fs/upper/name.h"

#include <stdbool.h>
#include <string.h>

#include "fs/codec/digest.h"

enum {
	CUT_LEN = 160,	  /* of a longer name is kept */
	HASH_DIGITS = 32, /* and so many digits of its hash follow */
};

static bool is_plain(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == ':' || c == '_' ||
	       (c == '.' && !first);
}

/* '+' and '@' are never part of what comes out. */
static int escape(const char *text, struct buf *b)
{
	int r = 0;

	for (size_t i = 0; r == 0 && text[i]; i++) {
		if (text[i] == '/')
			r = buf_add(b, "-", 1);
		else if (is_plain(text[i], i == 0))
			r = buf_add(b, text + i, 1);
		else
			r = buf_printf(b, "\\x%02x", (unsigned char)text[i]);
	}
	return r;
}

/* '@' stands in cut names only, so a cut one is like no other. */
static int shorten(const char *whole, size_t start, struct buf *b)
{
	char hex[DIGEST_HEX_LEN + 1];
	struct digest hash;
	int r;

	if (b->len - start <= NAME_LEN_MAX)
		return 0;
	r = digest_of(whole, strlen(whole), &hash);
	if (r < 0)
		return r;
	digest_hex(&hash, hex);
	b->len = start + CUT_LEN;
	return buf_printf(b, "@%.*s", HASH_DIGITS, hex);
}

int name_of_path(const char *path, struct buf *ret)
{
	size_t start = ret->len;
	int r = path[1] ? escape(path + 1, ret) : buf_add(ret, "-", 1);

	return r < 0 ? r : shorten(path, start, ret);
}

int name_of_word(const char *word, struct buf *ret)
{
	size_t start = ret->len;
	int r = buf_add(ret, "+", 1);

	if (r == 0)
		r = escape(word, ret);
	return r < 0 ? r : shorten(word, start, ret);
}
