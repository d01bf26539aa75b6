/* SPDX-License-Identifier: Apache-2.0 */
/* Many targets in one blob; see names.h. */
#include "fs/ledger/names.h"

#include <assert.h>
#include <string.h>

#include "fs/codec/zstd.h"

#define HEAD 4	/* the length of the entries */
#define LEVEL 3 /* attempts wait while a fold is closed */

#define NS_PER_US 1000

/* Seven numbers of at most ten bytes each. */
#define NUMBERS_MAX 70

struct names_packer {
	struct compressor *compressor;
	struct buf raw;	 /* entries */
	struct buf blob; /* head, then the entries packed */
	struct buf last; /* path of the entry before */
	int64_t t_real;
	size_t count;
	size_t paths; /* bytes of all paths in full */
};

static uint64_t zigzag(int64_t n)
{
	return (uint64_t)n << 1 ^ (n < 0 ? UINT64_MAX : 0);
}

static int64_t unzigzag(uint64_t n)
{
	return (int64_t)(n >> 1 ^ (n & 1 ? UINT64_MAX : 0));
}

int names_packer_new(struct names_packer **ret)
{
	_cleanup_(names_packer_free) struct names_packer *p =
		calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	/* Numbers are written before it is known how long they are. */
	buf_init(&p->raw, NAMES_RAW_MAX + NUMBERS_MAX);
	buf_init(&p->blob, HEAD + NAMES_RAW_MAX);
	buf_init(&p->last, NAMES_RAW_MAX);
	p->compressor = compressor_new(LEVEL);
	if (!p->compressor)
		return -ENOMEM;
	*ret = take_ptr(p);
	return 0;
}

void names_packer_free(struct names_packer *p)
{
	if (!p)
		return;
	compressor_free(p->compressor);
	buf_done(&p->raw);
	buf_done(&p->blob);
	buf_done(&p->last);
	free(p);
}

void names_begin(struct names_packer *p, int64_t t_real)
{
	buf_reset(&p->raw);
	buf_reset(&p->last);
	p->t_real = t_real;
	p->count = 0;
	p->paths = 0;
}

/* Into memory that has room. */
static char *put_number(char *at, uint64_t n)
{
	for (; n > 0x7f; n >>= 7)
		*at++ = (char)(n | 0x80);
	*at++ = (char)n;
	return at;
}

static char *put_bytes(char *at, const char *bytes, size_t len)
{
	return len ? mempcpy(at, bytes, len) : at;
}

static size_t count_shared(const struct buf *last, const char *path, size_t len)
{
	size_t n = 0;

	while (n < last->len && n < len && last->data[n] == path[n])
		n++;
	return n;
}

/* Whole microseconds from one time to another, towards zero. */
static bool us_between(int64_t from, int64_t to, int64_t *ret)
{
	if (__builtin_sub_overflow(to, from, ret))
		return false;
	*ret /= NS_PER_US;
	return true;
}

/* The last time is told from the first as readers will see it, so that the
 * error of one does not add to that of the other. */
static bool encode_times(int64_t t_real, const struct names_entry *e,
	int64_t *ret_first, int64_t *ret_last)
{
	int64_t first;

	if (!us_between(t_real, e->t_first, ret_first))
		return false;
	first = t_real + *ret_first * NS_PER_US; /* between the two */
	return us_between(first, e->t_last, ret_last);
}

static size_t paths_of(const struct names_entry *e)
{
	return e->len + (e->path2 ? e->len2 : 0);
}

static bool fits(const struct names_packer *p, const struct names_entry *e)
{
	return p->count < NAMES_MAX && e->count > 0 &&
	       e->ino <= UINT64_MAX >> 1 && e->len <= NAMES_RAW_MAX &&
	       paths_of(e) - e->len <= NAMES_RAW_MAX &&
	       p->paths + paths_of(e) <= NAMES_PATHS_MAX;
}

/* Append the bytes of an entry; all or nothing. */
static int add_raw(struct names_packer *p, const struct names_entry *e,
	int64_t first, int64_t last)
{
	size_t shared = count_shared(&p->last, e->path, e->len);
	size_t rest = e->len - shared, len2 = e->path2 ? e->len2 : 0;

	if (rest + len2 > NAMES_RAW_MAX - p->raw.len)
		return -E2BIG;

	char *start = buf_reserve(&p->raw, rest + len2 + NUMBERS_MAX);

	if (!start)
		return -ENOMEM;

	char *at = put_number(start, shared);

	at = put_number(at, rest);
	at = put_bytes(at, e->path + shared, rest);
	at = put_number(at, e->path2 ? (uint64_t)len2 + 1 : 0);
	at = put_bytes(at, e->path2, len2);
	at = put_number(at, e->ino << 1 | e->ino_is_parent);
	at = put_number(at, (uint64_t)e->count);
	at = put_number(at, zigzag(first));
	at = put_number(at, zigzag(last));

	size_t len = p->raw.len + (size_t)(at - start);

	if (len > NAMES_RAW_MAX)
		return -E2BIG;
	p->raw.len = len;
	return 0;
}

int names_add(struct names_packer *p, const struct names_entry *e)
{
	size_t before = p->raw.len;
	int64_t first, last;

	if (!fits(p, e) || !encode_times(p->t_real, e, &first, &last))
		return -E2BIG;

	int r = add_raw(p, e, first, last);

	if (r < 0)
		return r;
	buf_reset(&p->last);
	r = buf_add(&p->last, e->path, e->len);
	if (r < 0) {
		p->raw.len = before; /* the next shares nothing: as good */
		return r;
	}
	p->count++;
	p->paths += paths_of(e);
	return 0;
}

int names_end(struct names_packer *p, const void **ret, size_t *ret_len)
{
	size_t raw_len = p->raw.len;

	buf_reset(&p->blob);

	char *blob = buf_reserve(&p->blob, HEAD + raw_len);

	if (!blob)
		return -ENOMEM;
	for (int i = 0; i < HEAD; i++)
		blob[i] = (char)(raw_len >> 8 * i);

	size_t packed = raw_len ? compressor_run(p->compressor, blob + HEAD,
					  p->raw.data, raw_len)
				: 0;

	if (!packed && raw_len)
		memcpy(blob + HEAD, p->raw.data, raw_len);
	p->blob.len = HEAD + (packed ? packed : raw_len);
	*ret = blob;
	*ret_len = p->blob.len;
	return 0;
}

/* ---- reading ---- */

struct names_reader {
	struct decompressor *decompressor;
	struct buf raw;	 /* entries, unless they lie in the blob itself */
	struct buf path; /* of the entry at hand */
};

/* Where a reader is among the entries. */
struct cursor {
	const uint8_t *at, *end;
	struct buf *path;
	int64_t t_real;
	size_t paths;
};

int names_reader_new(struct names_reader **ret)
{
	_cleanup_(names_reader_free) struct names_reader *r =
		calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	buf_init(&r->raw, NAMES_RAW_MAX);
	buf_init(&r->path, NAMES_RAW_MAX);
	r->decompressor = decompressor_new();
	if (!r->decompressor)
		return -ENOMEM;
	*ret = take_ptr(r);
	return 0;
}

void names_reader_free(struct names_reader *r)
{
	if (!r)
		return;
	decompressor_free(r->decompressor);
	buf_done(&r->raw);
	buf_done(&r->path);
	free(r);
}

/* One encoding only: no number ends in bytes that add nothing. */
static bool get_number(struct cursor *c, uint64_t *ret)
{
	uint64_t n = 0;

	for (int shift = 0; shift < 64 && c->at < c->end; shift += 7) {
		uint64_t bits = *c->at & 0x7f;
		bool more = *c->at++ & 0x80;

		if (shift == 63 && bits > 1)
			return false;
		n |= bits << shift;
		if (more)
			continue;
		*ret = n;
		return bits || shift == 0;
	}
	return false;
}

static bool get_bytes(struct cursor *c, uint64_t len, const char **ret)
{
	if (len > (size_t)(c->end - c->at))
		return false;
	*ret = (const char *)c->at;
	c->at += len;
	return true;
}

static int read_path(struct cursor *c, struct names_entry *e)
{
	uint64_t shared, rest;
	const char *bytes;

	if (!get_number(c, &shared) || shared > c->path->len ||
		!get_number(c, &rest) || !get_bytes(c, rest, &bytes))
		return -EBADMSG;
	c->path->len = shared;

	int r = buf_add(c->path, bytes, rest);

	if (r < 0)
		return r == -E2BIG ? -EBADMSG : r;
	e->path = c->path->len ? c->path->data : "";
	e->len = c->path->len;
	return 0;
}

static int read_path2(struct cursor *c, struct names_entry *e)
{
	uint64_t len;

	if (!get_number(c, &len))
		return -EBADMSG;
	if (len == 0)
		return 0;
	if (!get_bytes(c, len - 1, &e->path2))
		return -EBADMSG;
	e->len2 = len - 1;
	return 0;
}

static bool after(int64_t from, uint64_t coded, int64_t *ret)
{
	int64_t ns;

	return !__builtin_mul_overflow(unzigzag(coded), NS_PER_US, &ns) &&
	       !__builtin_add_overflow(from, ns, ret);
}

static int read_numbers(struct cursor *c, struct names_entry *e)
{
	uint64_t ino, count, first, last;

	if (!get_number(c, &ino) || !get_number(c, &count) || count == 0 ||
		count > INT64_MAX || !get_number(c, &first) ||
		!get_number(c, &last))
		return -EBADMSG;
	if (!after(c->t_real, first, &e->t_first) ||
		!after(e->t_first, last, &e->t_last))
		return -EBADMSG;
	e->ino = ino >> 1;
	e->ino_is_parent = ino & 1;
	e->count = (int64_t)count;
	return 0;
}

static int read_entry(struct cursor *c, struct names_entry *e)
{
	*e = (struct names_entry){0};

	int r = read_path(c, e);

	if (r == 0)
		r = read_path2(c, e);
	if (r == 0)
		r = read_numbers(c, e);
	if (r < 0)
		return r;
	c->paths += e->len + e->len2;
	return c->paths > NAMES_PATHS_MAX ? -EBADMSG : 0;
}

/* The entries of a blob, unpacked where they are packed. */
static int unpack(struct names_reader *r, const uint8_t *blob, size_t len,
	struct cursor *ret)
{
	size_t raw_len = 0;

	if (len < HEAD)
		return -EBADMSG;
	for (int i = 0; i < HEAD; i++)
		raw_len |= (size_t)blob[i] << 8 * i;
	blob += HEAD;
	len -= HEAD;
	/* Before there is memory for it. A frame is always the shorter. */
	if (raw_len > NAMES_RAW_MAX || len > raw_len)
		return -EBADMSG;
	if (len < raw_len) {
		buf_reset(&r->raw);

		void *raw = buf_reserve(&r->raw, raw_len);

		if (!raw)
			return -ENOMEM;

		int e = decompressor_run(
			r->decompressor, raw, raw_len, blob, len);

		if (e < 0)
			return e;
		blob = raw;
	}
	ret->at = blob;
	ret->end = blob + raw_len;
	return 0;
}

int names_read(struct names_reader *r, const void *blob, size_t len,
	int64_t t_real, int (*fn)(void *arg, const struct names_entry *e),
	void *arg)
{
	struct cursor c = {.path = &r->path, .t_real = t_real};
	int e = unpack(r, blob, len, &c);

	buf_reset(&r->path);
	for (size_t n = 0; e == 0 && c.at < c.end; n++) {
		struct names_entry entry;

		e = n < NAMES_MAX ? read_entry(&c, &entry) : -EBADMSG;
		if (e == 0)
			e = fn(arg, &entry);
	}
	return e;
}
