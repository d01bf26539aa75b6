/* SPDX-License-Identifier: Apache-2.0 */
/* Reading pax records; see tar_pax.h. */
#include "fs/tree/tar_pax.h"

#include <string.h>

/* More pieces than any file system stores of one file: 64 MiB of memory. */
#define CHUNKS_MAX ((size_t)4 << 20)

bool span_is(struct span s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.data, text, s.len) == 0;
}

bool span_begins(struct span s, const char *text)
{
	size_t len = strlen(text);

	return s.len >= len && memcmp(s.data, text, len) == 0;
}

/* Digits from the start of *s on; at least one. */
static int take_digits(struct span *s, uint64_t *ret)
{
	uint64_t n = 0;
	size_t i = 0;

	for (; i < s->len && s->data[i] >= '0' && s->data[i] <= '9'; i++) {
		if (__builtin_mul_overflow(n, 10, &n) ||
			__builtin_add_overflow(
				n, (uint64_t)(s->data[i] - '0'), &n))
			return -EBADMSG;
	}
	if (i == 0)
		return -EBADMSG;
	s->data += i;
	s->len -= i;
	*ret = n;
	return 0;
}

/* One byte, if it is this one. */
static bool take_byte(struct span *s, char byte)
{
	if (s->len == 0 || s->data[0] != byte)
		return false;
	s->data++;
	s->len--;
	return true;
}

int span_number(struct span s, uint64_t *ret)
{
	uint64_t n;

	if (take_digits(&s, &n) < 0 || s.len)
		return -EBADMSG;
	*ret = n;
	return 0;
}

/* The digits after the point; *ret_rest tells of digits too small for it. */
static int take_fraction(struct span *s, uint32_t *ret, bool *ret_rest)
{
	uint32_t nsec = 0, unit = 100000000;

	*ret_rest = false;
	for (; s->len; s->data++, s->len--) {
		if (s->data[0] < '0' || s->data[0] > '9')
			return -EBADMSG;

		uint32_t digit = (uint32_t)(s->data[0] - '0');

		nsec += digit * unit;
		*ret_rest = *ret_rest || (unit == 0 && digit);
		unit /= 10;
	}
	*ret = nsec;
	return 0;
}

int span_time(struct span s, int64_t *ret_sec, uint32_t *ret_nsec)
{
	bool negative = take_byte(&s, '-'), rest = false;
	uint64_t whole;
	uint32_t nsec = 0;

	if (take_digits(&s, &whole) < 0 || whole > INT64_MAX - 1)
		return -EBADMSG;
	if (take_byte(&s, '.')) {
		if (take_fraction(&s, &nsec, &rest) < 0)
			return -EBADMSG;
	} else if (s.len) {
		return -EBADMSG;
	}

	int64_t sec = (int64_t)whole;

	if (negative) {
		uint32_t up = nsec + rest;

		sec = -sec - (up ? 1 : 0);
		nsec = up ? 1000000000 - up : 0;
	}
	*ret_sec = sec;
	*ret_nsec = nsec;
	return 0;
}

int pax_next(struct span *text, struct span *ret_key, struct span *ret_value)
{
	struct span rest = *text;
	uint64_t len;

	if (text->len == 0)
		return 0;
	if (take_digits(&rest, &len) < 0 || !take_byte(&rest, ' '))
		return -EBADMSG;

	size_t head = text->len - rest.len;

	if (len > text->len || len <= head || text->data[len - 1] != '\n')
		return -EBADMSG;
	rest.len = len - head - 1;

	const char *equals = memchr(rest.data, '=', rest.len);

	if (!equals || equals == rest.data)
		return -EBADMSG;

	size_t key_len = (size_t)(equals - rest.data);

	*ret_key = (struct span){rest.data, key_len};
	*ret_value = (struct span){equals + 1, rest.len - key_len - 1};
	text->data += len;
	text->len -= len;
	return 1;
}

void tar_map_done(struct tar_map *map)
{
	free(map->chunks);
	*map = (struct tar_map){0};
}

int tar_map_add(struct tar_map *map, uint64_t off, uint64_t len)
{
	uint64_t end;

	if (__builtin_add_overflow(off, len, &end) || end > INT64_MAX ||
		off < map->end)
		return -EBADMSG;
	map->end = end;
	if (len == 0) /* GNU tar marks the end of a file so */
		return 0;
	if (map->count == map->cap) {
		size_t cap = map->cap ? map->cap * 2 : 16;
		struct tar_chunk *c;

		if (cap > CHUNKS_MAX)
			return -E2BIG;
		c = reallocarray(map->chunks, cap, sizeof(*c));
		if (!c)
			return -ENOMEM;
		map->chunks = c;
		map->cap = cap;
	}
	map->chunks[map->count++] = (struct tar_chunk){off, len};
	map->sum += len;
	return 0;
}

static const struct {
	const char *key;
	size_t offset;
} fields[] = {
	{"path", offsetof(struct pax, path)},
	{"linkpath", offsetof(struct pax, linkpath)},
	{"uname", offsetof(struct pax, uname)},
	{"gname", offsetof(struct pax, gname)},
	{"uid", offsetof(struct pax, uid)},
	{"gid", offsetof(struct pax, gid)},
	{"size", offsetof(struct pax, size)},
	{"mtime", offsetof(struct pax, mtime)},
	{"SCHILY.devmajor", offsetof(struct pax, devmajor)},
	{"SCHILY.devminor", offsetof(struct pax, devminor)},
	{"GNU.sparse.name", offsetof(struct pax, sparse_name)},
	{"GNU.sparse.size", offsetof(struct pax, sparse_size)},
	{"GNU.sparse.realsize", offsetof(struct pax, sparse_realsize)},
	{"GNU.sparse.map", offsetof(struct pax, sparse_map)},
	{"GNU.sparse.major", offsetof(struct pax, sparse_major)},
	{"GNU.sparse.minor", offsetof(struct pax, sparse_minor)},
	{"GNU.sparse.numblocks", offsetof(struct pax, sparse_blocks)},
	{"GNU.sparse.offset", offsetof(struct pax, sparse_off)},
};

/* These change what the bytes that follow mean: to pass over them would give
 * a wrong file. */
static const char *const unsupported[] = {
	"SCHILY.realsize", "SUN.holesdata", "GNU.volume.offset"};

static int add_block(struct pax *pax, struct span len, struct tar_map *map)
{
	uint64_t off, n;

	if (!pax->sparse_off.data || span_number(pax->sparse_off, &off) < 0 ||
		span_number(len, &n) < 0)
		return -EBADMSG;
	pax->sparse_off = (struct span){0};
	return tar_map_add(map, off, n);
}

static int pax_set(struct pax *pax, struct span key, struct span value,
	struct tar_map *map, struct diag *diag)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		if (!span_is(key, fields[i].key))
			continue;

		struct span *s = (void *)((char *)pax + fields[i].offset);

		*s = value.len ? value : (struct span){0};
		return 0;
	}
	if (span_is(key, "GNU.sparse.numbytes")) {
		int r = add_block(pax, value, map);

		return r < 0 ? diag_set(diag, r, "malformed sparse map") : 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(unsupported); i++) {
		if (span_is(key, unsupported[i]))
			return diag_set(diag, -EOPNOTSUPP,
				"extended header %s is not supported: make "
				"the archive with GNU tar",
				unsupported[i]);
	}
	return 0;
}

int pax_read(struct pax *pax, struct span text, struct tar_map *map,
	struct diag *diag)
{
	struct span key, value;
	int r;

	while ((r = pax_next(&text, &key, &value)) > 0) {
		r = pax_set(pax, key, value, map, diag);
		if (r < 0)
			return r;
	}
	return r < 0 ? diag_set(diag, r, "malformed extended header") : 0;
}

int pax_read_map(const struct pax *pax, struct tar_map *map)
{
	struct span text = pax->sparse_map;

	while (text.len) {
		uint64_t off, len;

		if (take_digits(&text, &off) < 0 || !take_byte(&text, ',') ||
			take_digits(&text, &len) < 0 ||
			(text.len && !take_byte(&text, ',')))
			return -EBADMSG;

		int r = tar_map_add(map, off, len);

		if (r < 0)
			return r;
	}
	return 0;
}
