/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of a tar stream, one block after another; see tar_reader.h. */
#include "fs/tree/tar_reader.h"

#include <string.h>

#include "fs/tree/tar_header.h"

#define BLOCK TAR_BLOCK

/* An extended header or a long name is at most this long: extended attributes
 * of 64 KiB, a few of them, in base 64. */
#define SPECIAL_MAX ((size_t)4 << 20)

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
		buf_init(all[i], SPECIAL_MAX + BLOCK);
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

/* Append the body of a header that describes the next one, and a NUL that is
 * not counted. */
static int read_special(struct tar_reader *r, const struct tar_header *h,
	struct buf *to, struct diag *diag)
{
	uint64_t size;

	if (tar_unsigned(h->size, sizeof(h->size), &size) < 0)
		return diag_set(diag, -EBADMSG, "malformed size");
	if (size > SPECIAL_MAX || to->len + size > SPECIAL_MAX)
		return diag_set(diag, -E2BIG,
			"an extended header of more than %zu bytes",
			SPECIAL_MAX);

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

/* A copy of len bytes up to their first NUL, in exactly these bytes. */
static int set_text(struct buf *to, const char *data, size_t len)
{
	buf_reset(to);

	int err = buf_add(to, data, strnlen(data, len));

	if (err == 0)
		err = buf_add(to, "", 1);
	if (err == 0)
		to->len--;
	return err;
}

/* From the extended header, the long name, or the block: the first there is. */
static int set_name(struct buf *to, struct span pax, const struct buf *longer,
	struct span block)
{
	if (pax.data) {
		if (memchr(pax.data, '\0', pax.len))
			return -EBADMSG;
		return set_text(to, pax.data, pax.len);
	}
	if (longer->len)
		return set_text(to, longer->data, longer->len);
	return set_text(to, block.data, block.len);
}

static int read_names(struct tar_reader *r, const struct pax *pax,
	const struct tar_header *h, struct diag *diag)
{
	char name[TAR_NAME_MAX];
	struct tar_member *m = &r->member;
	struct span path = pax->sparse_name.data ? pax->sparse_name : pax->path;
	bool has_owner = tar_header_is_ustar(h) || tar_header_is_gnu(h);
	struct span link = {h->linkname, sizeof(h->linkname)};
	struct span uname = {h->uname, has_owner ? sizeof(h->uname) : 0};
	struct span gname = {h->gname, has_owner ? sizeof(h->gname) : 0};
	struct buf none = {0};
	int err = set_name(
		&m->path, path, &r->long_name, tar_header_name(h, name));

	if (err == 0)
		err = set_name(&m->target, pax->linkpath, &r->long_link, link);
	if (err == 0)
		err = set_name(&m->uname, pax->uname, &none, uname);
	if (err == 0)
		err = set_name(&m->gname, pax->gname, &none, gname);
	if (err == -EBADMSG)
		return diag_set(diag, err, "a name with a NUL in it");
	return err < 0 ? diag_errno(diag, err, "reading the archive") : 0;
}

static int read_numbers(struct tar_member *m, const struct pax *pax,
	const struct tar_header *h, struct diag *diag)
{
	struct span none = {0};
	bool device = m->type == '3' || m->type == '4';
	int err = tar_number_32(none, h->mode, sizeof(h->mode), &m->mode);

	m->mode &= 07777;
	m->major = m->minor = 0;
	if (err == 0)
		err = tar_number_32(pax->uid, h->uid, sizeof(h->uid), &m->uid);
	if (err == 0)
		err = tar_number_32(pax->gid, h->gid, sizeof(h->gid), &m->gid);
	if (err == 0 && device)
		err = tar_number_32(
			pax->devmajor, h->major, sizeof(h->major), &m->major);
	if (err == 0 && device)
		err = tar_number_32(
			pax->devminor, h->minor, sizeof(h->minor), &m->minor);
	m->mtime_nsec = 0;
	if (err == 0)
		err = pax->mtime.data
			      ? span_time(pax->mtime, &m->mtime, &m->mtime_nsec)
			      : tar_number(
					h->mtime, sizeof(h->mtime), &m->mtime);
	if (err == 0)
		err = pax->size.data ? span_number(pax->size, &m->stored)
				     : tar_unsigned(h->size, sizeof(h->size),
					       &m->stored);
	if (err < 0 || m->stored > INT64_MAX)
		return diag_set(diag, -EBADMSG, "malformed number in a header");
	m->size = m->stored;
	return 0;
}

/* The types of struct tar_member; '\0' for one that is not understood. */
static char member_type(const struct tar_header *h, const struct tar_member *m)
{
	bool slash = m->path.len && m->path.data[m->path.len - 1] == '/';

	switch (h->type) {
	case '\0':
	case '0':
	case '7':			  /* contiguous: a file like others */
		return slash ? '5' : '0'; /* v7 had no type for folders */
	case 'S': return tar_header_is_gnu(h) ? '0' : '\0';
	case 'D': return '5'; /* GNU: with a list of names */
	default: return h->type >= '1' && h->type <= '6' ? h->type : '\0';
	}
}

/* Do bytes follow? POSIX says no for most types whatever the size says, and GNU
 * tar and its elders never have any behind a hard link. */
static bool has_body(const struct tar_header *h, char type)
{
	if (h->type == 'D')
		return true;
	return type == '0' || (type == '1' && tar_header_is_ustar(h));
}

static int read_member(
	struct tar_reader *r, const struct tar_header *h, struct diag *diag)
{
	struct tar_member *m = &r->member;
	struct pax pax = {0};
	struct span text[2];

	tar_map_done(&m->map);
	m->sparse = false;
	tar_reader_records(r, text);

	int err = pax_read(&pax, text[0], &m->map, diag);

	if (err == 0)
		err = pax_read(&pax, text[1], &m->map, diag);
	if (err == 0)
		err = read_names(r, &pax, h, diag);
	if (err < 0)
		return err;
	m->type = member_type(h, m);
	if (!m->type)
		return diag_set(diag, -EOPNOTSUPP,
			"a member of the unknown type '%c'", h->type);
	err = read_numbers(m, &pax, h, diag);
	if (err < 0)
		return err;
	if (!has_body(h, m->type)) {
		if (m->type == '5' && m->stored && h->type != '5')
			return diag_set(diag, -EBADMSG,
				"a name for a folder, but a file's content");
		m->size = m->stored = 0;
	}
	if (m->type == '0')
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

/* A header that is no member: 1 when it was one, 0 for a member's. */
static int read_extra(
	struct tar_reader *r, const struct tar_header *h, struct diag *diag)
{
	uint64_t size;
	int err;

	switch (h->type) {
	case 'x':
	case 'X': err = read_special(r, h, &r->local, diag); break;
	case 'g': err = read_special(r, h, &r->global, diag); break;
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
