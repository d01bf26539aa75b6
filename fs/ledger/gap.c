/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of a gap; see gap.h. It consists of two places for counts of
 * PLACE_LEN bytes, then a struct sketch. Counts are the numbers of enum count,
 * 64 bits each, little-endian; the first path, the last path; and XXH3 over all
 * of that, as another such number. The place with the higher generation holds;
 * its number modulo 2 says which place it is in.
 */
#include "fs/ledger/gap.h"

#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "fs/base/base64.h"
#include "fs/base/io.h"
#include "fs/base/json.h"
#include "fs/ledger/gap_sketch.h"

#define MAGIC UINT64_C(0x31706167656c6574) /* "telegap1" */
#define PLACE_LEN 12288
#define FILE_LEN (2 * PLACE_LEN + sizeof(struct sketch))
#define PATH_KEPT 4095 /* bytes of a path */
#define OPS_MAX 32     /* kinds of attempts there is room for */

enum count {
	COUNT_MAGIC,
	COUNT_GENERATION,
	COUNT_NUMBER,
	COUNT_ATTEMPTS,
	COUNT_FIRST, /* times by the wall clock */
	COUNT_LAST,
	COUNT_OPS,
	COUNT_FIRST_LEN = COUNT_OPS + OPS_MAX, /* of the paths */
	COUNT_LAST_LEN,
	COUNT_NUMBERS,
};

_Static_assert(LEDGER_OP_COUNT <= OPS_MAX, "room for all kinds");
_Static_assert(
	(COUNT_NUMBERS + 1) * sizeof(uint64_t) + 2 * PATH_KEPT <= PLACE_LEN,
	"a place holds the counts");

struct counts {
	uint64_t n[COUNT_NUMBERS];
	char first[PATH_KEPT], last[PATH_KEPT];
};

struct gap {
	int fd;
	bool fsync;
	bool damaged;
	struct hasher *hasher;
	struct counts now, written;
	struct sketch sketch;
	unsigned dirty; /* pages of sketch */
};

/* ---- counts as bytes ---- */

static size_t encode(const struct counts *c, uint8_t *ret)
{
	uint8_t *at = ret;

	for (int i = 0; i < COUNT_NUMBERS; i++, at += sizeof(uint64_t)) {
		uint64_t n = htole64(c->n[i]);

		memcpy(at, &n, sizeof(n));
	}
	memcpy(at, c->first, c->n[COUNT_FIRST_LEN]);
	at += c->n[COUNT_FIRST_LEN];
	memcpy(at, c->last, c->n[COUNT_LAST_LEN]);
	at += c->n[COUNT_LAST_LEN];

	uint64_t sum = htole64(checksum(ret, (size_t)(at - ret)));

	memcpy(at, &sum, sizeof(sum));
	return (size_t)(at - ret) + sizeof(sum);
}

/* False: these are no counts, or not whole. */
static bool decode(const uint8_t *place, struct counts *ret)
{
	const uint8_t *at = place;
	uint64_t sum;

	for (int i = 0; i < COUNT_NUMBERS; i++, at += sizeof(uint64_t)) {
		memcpy(&ret->n[i], at, sizeof(uint64_t));
		ret->n[i] = le64toh(ret->n[i]);
	}
	if (ret->n[COUNT_MAGIC] != MAGIC ||
		ret->n[COUNT_FIRST_LEN] > PATH_KEPT ||
		ret->n[COUNT_LAST_LEN] > PATH_KEPT)
		return false;
	memcpy(ret->first, at, ret->n[COUNT_FIRST_LEN]);
	at += ret->n[COUNT_FIRST_LEN];
	memcpy(ret->last, at, ret->n[COUNT_LAST_LEN]);
	at += ret->n[COUNT_LAST_LEN];
	memcpy(&sum, at, sizeof(sum));
	return checksum(place, (size_t)(at - place)) == le64toh(sum);
}

/* ---- the file ---- */

static int sync_file(const struct gap *g)
{
	return g->fsync && fdatasync(g->fd) < 0 ? -errno : 0;
}

static int write_sketch(struct gap *g)
{
	for (unsigned i = 0; i < SKETCH_PAGES; i++) {
		const char *page = (const char *)&g->sketch + i * SKETCH_PAGE;

		if (!(g->dirty >> i & 1))
			continue;

		int r = io_pwrite(g->fd, page, SKETCH_PAGE,
			2 * PLACE_LEN + i * SKETCH_PAGE);

		if (r < 0)
			return r;
	}
	return 0;
}

/* The other place is left alone, so it holds if this is cut short. */
static int write_counts(struct gap *g)
{
	uint8_t place[PLACE_LEN];

	g->now.n[COUNT_GENERATION] = g->written.n[COUNT_GENERATION] + 1;

	size_t len = encode(&g->now, place);
	uint64_t off = g->now.n[COUNT_GENERATION] % 2 * PLACE_LEN;
	int r = io_pwrite(g->fd, place, len, off);

	return r < 0 ? r : sync_file(g);
}

static void start_over(struct gap *g, uint64_t number)
{
	uint64_t generation = g->written.n[COUNT_GENERATION];

	g->now = (struct counts){.n = {
					 [COUNT_MAGIC] = MAGIC,
					 [COUNT_GENERATION] = generation,
					 [COUNT_NUMBER] = number,
				 }};
	memset(&g->sketch, 0, sizeof(g->sketch));
	g->dirty = (1u << SKETCH_PAGES) - 1;
}

/* The number first: what is then left of the old sketch is not believed. */
static int begin(struct gap *g, uint64_t number)
{
	start_over(g, number);

	int r = write_counts(g);

	if (r == 0)
		r = write_sketch(g);
	if (r < 0)
		return r;
	g->dirty = 0;
	g->written = g->now;
	return 0;
}

/* Take up what the file holds; false: it is not whole. */
static bool load(struct gap *g)
{
	_cleanup_free_ uint8_t *file = malloc(FILE_LEN);
	struct counts second;

	if (!file || io_pread(g->fd, file, FILE_LEN, 0) != (ssize_t)FILE_LEN)
		return false;

	bool found = decode(file, &g->now);

	if (decode(file + PLACE_LEN, &second) &&
		(!found || second.n[COUNT_GENERATION] >
				   g->now.n[COUNT_GENERATION])) {
		g->now = second;
		found = true;
	}
	if (!found)
		return false;
	memcpy(&g->sketch, file + 2 * PLACE_LEN, sizeof(g->sketch));
	g->written = g->now;
	return true;
}

/* Space that is written once is ours, on whatever filesystem that is not
 * copy-on-write; on those, asking for it is the best there is. */
static int reserve(struct gap *g)
{
	static const char zeros[4096];

	(void)posix_fallocate(g->fd, 0, FILE_LEN); /* else writing tells */
	for (size_t off = 0; off < FILE_LEN; off += sizeof(zeros)) {
		int r = io_pwrite(g->fd, zeros, sizeof(zeros), off);

		if (r < 0)
			return r;
	}
	return fdatasync(g->fd) < 0 ? -errno : 0;
}

static int open_file(struct gap *g, const char *path, bool *ret_old)
{
	struct stat st;

	g->fd = open(path,
		O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK |
			O_NOCTTY,
		0600);
	if (g->fd < 0)
		return errno == ELOOP ? -EPERM : -errno;
	if (fstat(g->fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1)
		return -EPERM;
	*ret_old = st.st_size > 0;
	return st.st_size == FILE_LEN ? 0 : reserve(g);
}

static int start(struct gap *g, const char *path, uint64_t last)
{
	bool old;
	int r = open_file(g, path, &old);

	if (r < 0)
		return r;

	bool whole = old && load(g);

	g->damaged = old && !whole;
	if (!whole)
		return begin(g, last + 1);
	if (g->now.n[COUNT_NUMBER] <= last || g->now.n[COUNT_ATTEMPTS] == 0)
		return begin(g, last < g->now.n[COUNT_NUMBER]
					? g->now.n[COUNT_NUMBER]
					: last + 1);
	return 0;
}

int gap_open(const char *ledger, uint64_t last, bool fsync, struct gap **ret,
	struct diag *diag)
{
	_cleanup_(gap_close) struct gap *g = calloc(1, sizeof(*g));
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s-gap", ledger) < 0)
		path = NULL;
	if (g)
		g->fd = -1;
	if (!g || !path || !(g->hasher = hasher_new()))
		return diag_errno(diag, -ENOMEM, "ledger %s", ledger);
	g->fsync = fsync;

	int r = start(g, path, last);

	if (r == -EPERM)
		return diag_set(diag, r,
			"%s is somebody else's or no regular file; remove it",
			path);
	if (r < 0)
		return diag_errno(diag, r, "%s", path);
	*ret = take_ptr(g);
	return 0;
}

void gap_close(struct gap *g)
{
	if (!g)
		return;
	if (g->fd >= 0)
		(void)close(g->fd); /* what matters was checked when written */
	hasher_free(g->hasher);
	free(g);
}

/* ---- counting ---- */

uint64_t gap_count(const struct gap *g)
{
	return g->now.n[COUNT_ATTEMPTS];
}

uint64_t gap_number(const struct gap *g)
{
	return g->now.n[COUNT_NUMBER];
}

bool gap_was_damaged(const struct gap *g)
{
	return g->damaged;
}

static void see_path(struct gap *g, const char *path, bool counts)
{
	struct digest name;

	hasher_run(g->hasher, path, strlen(path), &name);
	g->dirty |= sketch_add(&g->sketch, &name, counts);
}

static uint64_t keep_path(char ret[PATH_KEPT], const char *path)
{
	size_t len = strnlen(path, PATH_KEPT);

	memcpy(ret, path, len);
	return len;
}

void gap_add(struct gap *g, const struct ledger_attempt *a,
	const struct store_time *at)
{
	struct counts *c = &g->now;

	if (c->n[COUNT_ATTEMPTS]++ == 0) {
		c->n[COUNT_FIRST] = (uint64_t)at->real;
		c->n[COUNT_FIRST_LEN] = keep_path(c->first, a->path);
	}
	c->n[COUNT_LAST] = (uint64_t)at->real;
	c->n[COUNT_LAST_LEN] = keep_path(c->last, a->path);
	c->n[COUNT_OPS + a->op]++;
	see_path(g, a->path, true);
	if (a->path2)
		see_path(g, a->path2, false);
}

int gap_write(struct gap *g)
{
	int r = write_sketch(g);

	if (r == 0)
		r = write_counts(g);
	if (r < 0) {
		g->now = g->written; /* the sketch may know more */
		return r;
	}
	g->dirty = 0;
	g->written = g->now;
	return 0;
}

int gap_next(struct gap *g)
{
	return begin(g, g->now.n[COUNT_NUMBER] + 1);
}

/* ---- as text ---- */

static void add_time(struct json *j, const char *name, uint64_t ns)
{
	time_t sec = (time_t)((int64_t)ns / 1000000000);
	char text[64];
	struct tm tm;

	if (!gmtime_r(&sec, &tm) ||
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		text[0] = '\0';
	json_text(j, name, text);
}

static void add_ops(struct json *j, const struct counts *c)
{
	json_open(j, "ops");
	for (int op = 0; op < LEDGER_OP_COUNT; op++) {
		if (c->n[COUNT_OPS + op])
			json_int(j, ledger_op_name((enum ledger_op)op),
				(int64_t)c->n[COUNT_OPS + op]);
	}
	json_close(j);
}

#define FILTER_BEFORE ",\"bloom\":{\"bits\":"
#define FILTER_SET ",\"hashes\":4,\"set\":\""
#define FILTER_AFTER "\"}}"

_Static_assert(SKETCH_HASHES == 4, "as the text says");

/* The filter comes last, where a reader finds it and a person can stop. */
static int add_filter(const struct sketch *s, struct buf *ret)
{
	_cleanup_buf_ struct buf set = {.max = BASE64_LEN(SKETCH_BITS / 8)};
	uint32_t bits;
	int r = sketch_pack(s, &set, &bits);

	return r < 0 ? r
		     : buf_printf(ret,
			       FILTER_BEFORE "%" PRIu32 FILTER_SET
					     "%.*s" FILTER_AFTER,
			       bits, (int)set.len, set.data);
}

int gap_describe(const struct gap *g, struct buf *ret)
{
	const struct counts *c = &g->now;
	struct json j;

	json_begin(&j, ret);
	json_int(&j, "gap", (int64_t)c->n[COUNT_NUMBER]);
	json_int(&j, "attempts", (int64_t)c->n[COUNT_ATTEMPTS]);
	add_time(&j, "first", c->n[COUNT_FIRST]);
	add_time(&j, "last", c->n[COUNT_LAST]);
	add_ops(&j, c);
	json_bytes(&j, "first_path", c->first, c->n[COUNT_FIRST_LEN]);
	json_bytes(&j, "last_path", c->last, c->n[COUNT_LAST_LEN]);
	json_int(&j, "paths", (int64_t)sketch_estimate(&g->sketch));
	if (j.error < 0)
		return j.error;
	return add_filter(&g->sketch, ret);
}

/* ---- for readers ---- */

uint64_t gap_number_of(const char *text, size_t len)
{
	static const char head[] = "{\"gap\":";
	const size_t head_len = sizeof(head) - 1;
	uint64_t n = 0;

	if (len < head_len || memcmp(text, head, head_len) != 0)
		return 0;
	for (size_t i = head_len; i < len; i++) {
		if (text[i] == ',')
			return n;
		if (text[i] < '0' || text[i] > '9' ||
			__builtin_mul_overflow(n, 10, &n) ||
			__builtin_add_overflow(
				n, (uint64_t)(text[i] - '0'), &n))
			return 0;
	}
	return 0;
}

/* Take a known text off the front. */
static bool skip(const char **at, const char *end, const char *text)
{
	size_t len = strlen(text);

	if ((size_t)(end - *at) < len || memcmp(*at, text, len) != 0)
		return false;
	*at += len;
	return true;
}

/* The base64 of the filter, and how many bits it has. No string before it can
 * hold what stands before it, since there its quotes would be escaped. */
static bool find_filter(const char *text, size_t len, const char **ret,
	size_t *ret_len, uint32_t *ret_bits)
{
	const char *end = text + len;
	const char *at =
		memmem(text, len, FILTER_BEFORE, strlen(FILTER_BEFORE));
	uint32_t bits = 0;

	if (!at)
		return false;
	at += strlen(FILTER_BEFORE);
	for (; at < end && *at >= '0' && *at <= '9'; at++) {
		bits = bits * 10 + (uint32_t)(*at - '0');
		if (bits > SKETCH_BITS)
			return false;
	}
	if (bits < 8 || (bits & (bits - 1)) || !skip(&at, end, FILTER_SET))
		return false;
	*ret = at;
	*ret_len = BASE64_LEN(bits / 8);
	*ret_bits = bits;
	if ((size_t)(end - at) < *ret_len)
		return false;
	at += *ret_len;
	return skip(&at, end, FILTER_AFTER) && at == end;
}

int gap_may_hold(const char *text, size_t len, const char *path)
{
	_cleanup_free_ uint8_t *filter = malloc(SKETCH_BITS / 8);
	struct digest name;
	const char *set;
	size_t set_len;
	uint32_t bits;

	if (!filter)
		return -ENOMEM;
	if (!gap_number_of(text, len) ||
		!find_filter(text, len, &set, &set_len, &bits) ||
		base64_read(set, set_len, filter, SKETCH_BITS / 8) !=
			(ssize_t)(bits / 8))
		return -EBADMSG;

	int r = digest_of(path, strlen(path), &name);

	return r < 0 ? r : sketch_may_hold(filter, bits, &name);
}
