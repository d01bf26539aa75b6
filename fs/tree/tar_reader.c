/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of a tar stream, one block after another; see tar_reader.h. */
#include "fs/tree/tar_reader.h"

#include <string.h>

#include "fs/tree/tar_header.h"

#define BLOCK TAR_BLOCK

/* An extended header or a long name is at most this long: extended attributes
 * of 64 KiB, a few of them, in base 64. */
#define SPECIAL_MAX ((size_t)4 << 20)

/* Those for all further members are, together. */
#define GLOBAL_MAX ((size_t)64 << 10)

struct tar_reader {
	struct stream *stream;
	struct tar_member member;
	uint64_t left;	  /* stored bytes of the member not yet given */
	unsigned padding; /* behind them */
	bool has_more;

	/* Text of extended headers: for all further members, for the next. */
	struct buf global, local;
	struct buf long_name, long_link; /* GNU, for the next member */
};

struct tar_reader *tar_reader_new(struct stream *s)
{
	struct tar_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->stream = s;

	struct buf *all[] = {&r->global, &r->local, &r->long_name,
		&r->long_link, &r->member.path, &r->member.target,
		&r->member.uname, &r->member.gname};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		buf_init(all[i], SPECIAL_MAX);
	return r;
}

void tar_reader_free(struct tar_reader *r)
{
	if (!r)
		return;
	buf_done(&r->global);
	buf_done(&r->local);
	buf_done(&r->long_name);
	buf_done(&r->long_link);
	buf_done(&r->member.path);
	buf_done(&r->member.target);
	buf_done(&r->member.uname);
	buf_done(&r->member.gname);
	tar_map_done(&r->member.map);
	free(r);
}

void tar_reader_records(const struct tar_reader *r, struct span ret[2])
{
	ret[0] = (struct span){r->global.data, r->global.len};
	ret[1] = (struct span){r->local.data, r->local.len};
}

bool tar_reader_has_more(const struct tar_reader *r)
{
	return r->has_more;
}

static int cut(struct diag *diag)
{
	return diag_set(diag, -EBADMSG, "the archive is cut off");
}

/* ---- blocks ---- */

static bool is_zero(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i])
			return false;
	}
	return true;
}

static int read_block(struct tar_reader *r, void *block, struct diag *diag)
{
	ssize_t n = stream_read(r->stream, block, BLOCK, diag);

	if (n < 0)
		return (int)n;
	return n == BLOCK ? 0 : cut(diag);
}

static int skip(struct tar_reader *r, uint64_t len, struct diag *diag)
{
	while (len) {
		const uint8_t *data;
		size_t want = len < SIZE_MAX ? (size_t)len : SIZE_MAX;
		ssize_t n = stream_next(r->stream, &data, want, diag);

		if (n <= 0)
			return n < 0 ? (int)n : cut(diag);
		len -= (uint64_t)n;
	}
	return 0;
}

static unsigned padding_of(uint64_t len)
{
	return -len & (BLOCK - 1);
}

static int too_large(size_t max, struct diag *diag)
{
	return diag_set(diag, -E2BIG, "extended headers of more than %zu bytes",
		max - 1);
}

/* Append the body of a header that describes the next one, and a NUL that is
 * not counted. */
static int read_special(struct tar_reader *r, const struct tar_header *h,
	struct buf *to, struct diag *diag)
{
	uint64_t size;

	if (tar_unsigned(h->size, sizeof(h->size), &size) < 0)
		return diag_set(diag, -EBADMSG, "malformed size");
	if (size >= to->max || to->len + size >= to->max)
		return too_large(to->max, diag);

	char *data = buf_reserve(to, (size_t)size + 1);

	if (!data)
		return diag_errno(diag, -ENOMEM, "reading the archive");

	ssize_t n = stream_read(r->stream, data, (size_t)size, diag);

	if (n < 0)
		return (int)n;
	if ((uint64_t)n < size)
		return cut(diag);
	data[size] = '\0';
	to->len += (size_t)size;
	return skip(r, padding_of(size), diag);
}

/* A long name ends at its NUL; what is behind is padding of its writer. */
static int read_long(struct tar_reader *r, const struct tar_header *h,
	struct buf *to, struct diag *diag)
{
	buf_reset(to);

	int err = read_special(r, h, to, diag);

	if (err == 0)
		to->len = strlen(to->data);
	return err;
}

/* ---- sparse files ---- */

static int bad_map(int err, struct diag *diag)
{
	if (err == -E2BIG)
		return diag_set(diag, err, "a sparse map with too many pieces");
	if (err == -ENOMEM)
		return diag_errno(diag, err, "reading a sparse map");
	return diag_set(diag, -EBADMSG, "malformed sparse map");
}

static int add_sparse(struct tar_map *map, const struct tar_sparse *s,
	size_t count, bool *ret_end)
{
	*ret_end = false;
	for (size_t i = 0; i < count; i++) {
		uint64_t off, len;

		if (s[i].len[0] == '\0') {
			*ret_end = true;
			return 0;
		}
		if (tar_unsigned(s[i].off, sizeof(s[i].off), &off) < 0 ||
			tar_unsigned(s[i].len, sizeof(s[i].len), &len) < 0)
			return -EBADMSG;

		int r = tar_map_add(map, off, len);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Old GNU format: four pieces in the header, more in blocks behind it. */
static int read_map_old(
	struct tar_reader *r, const struct tar_header *h, struct diag *diag)
{
	struct tar_member *m = &r->member;
	struct tar_extension x = {.more = h->gnu.more};
	bool end;
	int err = add_sparse(&m->map, h->gnu.sparse, 4, &end);

	if (tar_unsigned(h->gnu.realsize, sizeof(h->gnu.realsize), &m->size) <
		0)
		err = -EBADMSG;
	while (err == 0 && x.more) {
		err = read_block(r, &x, diag);
		if (err < 0)
			return err;
		err = end ? -EBADMSG
			  : add_sparse(&m->map, x.sparse, ARRAY_LEN(x.sparse),
				    &end);
	}
	return err < 0 ? bad_map(err, diag) : 0;
}

/* Pax format 1.0: the map stands before the data, as lines of decimal numbers:
 * how many pieces, then offset and length of each; padded to a block. */
static int read_map_1_0(struct tar_reader *r, struct diag *diag)
{
	struct tar_member *m = &r->member;
	uint64_t wanted = 1, seen = 0, off = 0, n = 0;
	char block[BLOCK];
	size_t at = BLOCK, digits = 0;

	while (seen < wanted) {
		if (at == BLOCK) {
			if (m->stored < BLOCK)
				return bad_map(-EBADMSG, diag);

			int err = read_block(r, block, diag);

			if (err < 0)
				return err;
			m->stored -= BLOCK;
			at = 0;
		}

		char c = block[at++];

		if (c >= '0' && c <= '9' && digits++ < 18) {
			n = n * 10 + (uint64_t)(c - '0');
			continue;
		}
		if (c != '\n' || digits == 0)
			return bad_map(-EBADMSG, diag);

		int err = 0;

		if (seen == 0)
			wanted += 2 * n; /* below 2 * 10^18 */
		else if (seen % 2)
			off = n;
		else
			err = tar_map_add(&m->map, off, n);
		if (err < 0)
			return bad_map(err, diag);
		seen++;
		n = digits = 0;
	}
	return 0;
}

/* Which of the sparse formats is it, if any; fills the map and the size. */
static int read_map(struct tar_reader *r, const struct pax *pax,
	const struct tar_header *h, struct diag *diag)
{
	struct tar_member *m = &r->member;
	struct span size = pax->sparse_realsize.data ? pax->sparse_realsize
						     : pax->sparse_size;
	int err = 0;

	if (h->type == 'S') {
		m->sparse = true;
		err = read_map_old(r, h, diag);
	} else if (pax->sparse_major.data || pax->sparse_minor.data) {
		if (!pax->sparse_major.data || !pax->sparse_minor.data ||
			!span_is(pax->sparse_major, "1") ||
			!span_is(pax->sparse_minor, "0"))
			return diag_set(diag, -EOPNOTSUPP,
				"unknown version of the sparse format");
		m->sparse = true;
		err = read_map_1_0(r, diag);
	} else if (pax->sparse_map.data) {
		m->sparse = true;
		err = pax_read_map(pax, &m->map);
		if (err < 0)
			return bad_map(err, diag);
	} else if (pax->sparse_blocks.data || m->map.count) {
		m->sparse = true;
	}
	if (err < 0 || !m->sparse)
		return err;
	if (h->type != 'S' && (!size.data || span_number(size, &m->size) < 0))
		return bad_map(-EBADMSG, diag);
	if (m->map.end > m->size || m->map.sum != m->stored ||
		m->size > INT64_MAX)
		return diag_set(
			diag, -EBADMSG, "the sparse map does not fit the size");
	return 0;
}

/* ---- members ---- */

static int read_member(
	struct tar_reader *r, const struct tar_header *h, struct diag *diag)
{
	struct tar_member *m = &r->member;
	struct pax pax = {0};
	const struct tar_headers from = {
		.block = h,
		.pax = &pax,
		.long_name = &r->long_name,
		.long_link = &r->long_link,
	};
	struct span text[2];

	tar_map_done(&m->map);
	m->sparse = false;
	tar_reader_records(r, text);

	int err = pax_read(&pax, text[0], &m->map, diag);

	if (err == 0)
		err = pax_read(&pax, text[1], &m->map, diag);
	if (err == 0)
		err = tar_member_fill(m, &from, diag);
	if (err == 0 && m->type == '0')
		err = read_map(r, &pax, h, diag);
	r->left = m->stored;
	r->padding = padding_of(m->stored);
	return err;
}

/* After the mark of the end: padding, usually of zeros. Reading on to the end
 * lets the decompressor check its sums. */
static int read_end(struct tar_reader *r, struct diag *diag)
{
	if (r->local.len || r->long_name.len || r->long_link.len)
		return diag_set(diag, -EBADMSG,
			"an extended header that no member follows");
	for (;;) {
		const uint8_t *data;
		ssize_t n = stream_next(r->stream, &data, SIZE_MAX, diag);

		if (n <= 0)
			return (int)n;
		if (!r->has_more && !is_zero(data, (size_t)n))
			r->has_more = true;
	}
}

/* Does a header have a record of this key? */
static bool has_key(struct span text, struct span key)
{
	struct span k, value;

	while (pax_next(&text, &k, &value) > 0) {
		if (k.len == key.len && memcmp(k.data, key.data, k.len) == 0)
			return true;
	}
	return false;
}

/* Records for all further members: what was said before about another thing
 * still holds. Each key is kept once, since all are read for each member. */
static int read_global(
	struct tar_reader *r, const struct tar_header *h, struct diag *diag)
{
	_cleanup_buf_ struct buf text = {.max = GLOBAL_MAX};
	struct span old = {r->global.data, r->global.len}, key, value;
	int err = read_special(r, h, &text, diag);

	if (err < 0)
		return err;
	for (struct span at = old; pax_next(&old, &key, &value) > 0; at = old) {
		if (has_key((struct span){text.data, text.len}, key))
			continue;
		if (buf_add(&text, at.data, (size_t)(old.data - at.data)) < 0)
			return too_large(GLOBAL_MAX, diag);
	}
	buf_done(&r->global);
	r->global = text;
	text = (struct buf){0};
	return 0;
}

/* A header that is no member: 1 when it was one, 0 for a member's. */
static int read_extra(
	struct tar_reader *r, const struct tar_header *h, struct diag *diag)
{
	uint64_t size;
	int err;

	switch (h->type) {
	case 'x':
	case 'X': err = read_special(r, h, &r->local, diag); break;
	case 'g': err = read_global(r, h, diag); break;
	case 'L': err = read_long(r, h, &r->long_name, diag); break;
	case 'K': err = read_long(r, h, &r->long_link, diag); break;
	case 'V': /* the name of the volume */
		if (tar_unsigned(h->size, sizeof(h->size), &size) < 0)
			return diag_set(diag, -EBADMSG, "malformed size");
		err = skip(r, size, diag);
		if (err == 0)
			err = skip(r, padding_of(size), diag);
		break;
	default: return 0;
	}
	return err < 0 ? err : 1;
}

static int bad_header(const struct tar_reader *r, struct diag *diag)
{
	uint64_t at = stream_offset(r->stream) - BLOCK;

	if (at == 0)
		return diag_set(diag, -EBADMSG,
			"not a tar archive (nor one compressed with gzip, "
			"bzip2, xz, zstd or lz4)");
	return diag_set(diag, -EBADMSG, "no valid header at byte %llu",
		(unsigned long long)at);
}

int tar_reader_next(
	struct tar_reader *r, const struct tar_member **ret, struct diag *diag)
{
	union {
		struct tar_header h;
		uint8_t bytes[BLOCK];
	} block;
	int err = skip(r, r->left, diag);

	if (err == 0)
		err = skip(r, r->padding, diag);
	if (err < 0)
		return err;
	r->left = r->padding = 0;
	buf_reset(&r->local);
	buf_reset(&r->long_name);
	buf_reset(&r->long_link);
	do {
		ssize_t n = stream_read(r->stream, &block, BLOCK, diag);

		if (n < 0)
			return (int)n;
		if (n == 0 && stream_offset(r->stream) == 0)
			return diag_set(diag, -EBADMSG,
				"there is nothing to read: not an archive");
		if (n == 0)
			return diag_set(diag, -EBADMSG,
				"the archive ends without the mark of its end "
				"(a block of zeros): it may be cut off");
		if (n < BLOCK)
			return cut(diag);
		if (is_zero(block.bytes, BLOCK))
			return read_end(r, diag);
		if (!tar_header_is_right(&block.h))
			return bad_header(r, diag);
		err = read_extra(r, &block.h, diag);
	} while (err > 0);
	if (err == 0)
		err = read_member(r, &block.h, diag);
	if (err < 0)
		return err;
	*ret = &r->member;
	return 1;
}

ssize_t tar_reader_data(struct tar_reader *r, const uint8_t **ret,
	uint64_t want, struct diag *diag)
{
	if (want > r->left)
		want = r->left;
	if (want == 0)
		return 0;

	ssize_t n = stream_next(r->stream, ret,
		want < SIZE_MAX ? (size_t)want : SIZE_MAX, diag);

	if (n == 0)
		return cut(diag);
	if (n > 0)
		r->left -= (uint64_t)n;
	return n;
}
