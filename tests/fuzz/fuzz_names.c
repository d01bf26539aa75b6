/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target of the reader of packed targets: any bytes become entries within
 * bounds or an error. Each input is tried as it is, and once more as entries
 * that are not packed, which is what a mutation changes best. What could be
 * read is packed again and must read the same.
 */
#include <assert.h>
#include <string.h>

#include "fs/ledger/names.h"
#include "tests/fuzz/fuzz.h"

#define T_REAL INT64_C(1767225600000000000)

struct seen {
	struct names_packer *packer; /* NULL: only look */
	size_t count, paths;
	uint64_t sum; /* of all that was read */
};

static void add_bytes(struct seen *s, const char *bytes, size_t len)
{
	s->paths += len;
	for (size_t i = 0; i < len; i++)
		s->sum = s->sum * 31 + (uint8_t)bytes[i];
}

static int look(void *arg, const struct names_entry *e)
{
	struct seen *s = arg;

	assert(e->path && (e->path2 || !e->len2));
	assert(e->count > 0 && e->ino <= UINT64_MAX >> 1);
	add_bytes(s, e->path, e->len);
	s->sum = s->sum * 31 + !e->path2;
	add_bytes(s, e->path2, e->len2);
	s->sum = s->sum * 31 + e->ino;
	s->sum = s->sum * 31 + e->ino_is_parent;
	s->sum = s->sum * 31 + (uint64_t)e->count;
	s->sum = s->sum * 31 + (uint64_t)e->t_first;
	s->sum = s->sum * 31 + (uint64_t)e->t_last;
	s->count++;
	assert(s->count <= NAMES_MAX && s->paths <= NAMES_PATHS_MAX);
	return s->packer ? names_add(s->packer, e) : 0;
}

static void read_one(struct names_reader *r, struct names_packer *p,
	const uint8_t *blob, size_t len)
{
	struct seen first = {.packer = p}, again = {.packer = NULL};
	const void *packed;
	size_t packed_len;

	names_begin(p, T_REAL);

	int e = names_read(r, blob, len, T_REAL, look, &first);

	assert(e == 0 || e == -EBADMSG || e == -E2BIG);
	if (e < 0 || names_end(p, &packed, &packed_len) < 0)
		return;
	e = names_read(r, packed, packed_len, T_REAL, look, &again);
	assert(e == 0 && again.count == first.count && again.sum == first.sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	_cleanup_(names_reader_free) struct names_reader *r = NULL;
	_cleanup_(names_packer_free) struct names_packer *p = NULL;
	_cleanup_free_ uint8_t *raw = malloc(len + 4);

	if (!raw || names_reader_new(&r) < 0 || names_packer_new(&p) < 0)
		return 0;
	read_one(r, p, data, len);
	for (int i = 0; i < 4; i++)
		raw[i] = (uint8_t)(len >> 8 * i);
	if (len)
		memcpy(raw + 4, data, len);
	read_one(r, p, raw, len + 4);
	return 0;
}
