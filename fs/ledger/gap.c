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
#include <string.h>
#include <sys/stat.h>

#include "fs/base/io.h"
#include "fs/ledger/claim.h"
#include "fs/ledger/gap_internal.h"

#define MAGIC UINT64_C(0x31706167656c6574) /* "telegap1" */
#define PLACE_LEN 12288
#define FILE_LEN (2 * PLACE_LEN + sizeof(struct sketch))

_Static_assert(
	(COUNT_NUMBERS + 1) * sizeof(uint64_t) + 2 * PATH_KEPT <= PLACE_LEN,
	"a place holds the counts");

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

	/* Whether it is on the disk or not, the gap before is over. */
	g->written = g->now;
	if (r == 0)
		r = write_sketch(g);
	if (r == 0)
		g->dirty = 0;
	return r;
}

static bool is_marked(const uint8_t *place)
{
	uint64_t magic;

	memcpy(&magic, place, sizeof(magic));
	return le64toh(magic) == MAGIC;
}

/* Take up what the file holds; false: nothing that is whole. A file without a
 * mark was never finished, and counted nothing. */
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
	g->damaged = !found && (is_marked(file) || is_marked(file + PLACE_LEN));
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

static int start(struct gap *g, uint64_t last)
{
	struct stat st;
	int r = fstat(g->fd, &st) < 0 ? -errno : 0;

	if (r == 0 && st.st_size != FILE_LEN)
		r = reserve(g);
	if (r < 0)
		return r;
	if (st.st_size == 0 || !load(g))
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

	if (g)
		g->fd = -1;
	if (!g || !(g->hasher = hasher_new()))
		return diag_errno(diag, -ENOMEM, "ledger %s", ledger);
	g->fsync = fsync;

	int r = claim_beside(ledger, "-gap", &g->fd, diag);

	if (r < 0)
		return r;
	r = start(g, last);
	if (r < 0)
		return diag_errno(diag, r, "%s-gap", ledger);
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
	if (g->now.n[COUNT_ATTEMPTS] == g->written.n[COUNT_ATTEMPTS])
		return 0;

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
