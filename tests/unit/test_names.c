/* SPDX-License-Identifier: Apache-2.0 */
/* Packed targets: what went in comes out, and nothing else ever does. */
#include "tests/unit/unit.h"

#include <string.h>

#include "fs/codec/zstd.h"
#include "fs/ledger/names.h"
#include "tests/lib/prng.h"

#define T_REAL INT64_C(1767225600000000000)

static struct names_packer *must_pack(void)
{
	struct names_packer *p = NULL;

	assert_int_equal(names_packer_new(&p), 0);
	return p;
}

static struct names_reader *must_read(void)
{
	struct names_reader *r = NULL;

	assert_int_equal(names_reader_new(&r), 0);
	return r;
}

/* A copy of exactly its size, so that reading past its end is seen. */
static uint8_t *must_copy(const void *bytes, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	if (len)
		memcpy(copy, bytes, len);
	return copy;
}

struct want {
	const struct names_entry *entries;
	size_t count, seen;
};

static bool same_path(const char *a, size_t a_len, const char *b, size_t b_len)
{
	return !a == !b && a_len == b_len &&
	       (!a_len || memcmp(a, b, a_len) == 0);
}

static int compare(void *arg, const struct names_entry *e)
{
	struct want *w = arg;

	assert_true(w->seen < w->count);

	const struct names_entry *x = &w->entries[w->seen++];

	assert_true(same_path(e->path, e->len, x->path, x->len));
	assert_true(
		same_path(e->path2, e->len2, x->path2, x->path2 ? x->len2 : 0));
	assert_int_equal(e->ino, x->ino);
	assert_int_equal(e->ino_is_parent, x->ino_is_parent);
	assert_int_equal(e->count, x->count);
	assert_true(llabs(e->t_first - x->t_first) < 1000);
	assert_true(llabs(e->t_last - x->t_last) < 1000);
	return 0;
}

/* Pack, read, compare; how long the blob was. */
static size_t round_trip(const struct names_entry *entries, size_t count)
{
	_cleanup_(names_packer_free) struct names_packer *p = must_pack();
	_cleanup_(names_reader_free) struct names_reader *r = must_read();
	struct want w = {entries, count, 0};
	const void *blob;
	size_t len;

	names_begin(p, T_REAL);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(names_add(p, &entries[i]), 0);
	assert_int_equal(names_end(p, &blob, &len), 0);

	_cleanup_free_ uint8_t *copy = must_copy(blob, len);

	assert_int_equal(names_read(r, copy, len, T_REAL, compare, &w), 0);
	assert_int_equal(w.seen, count);
	return len;
}

static struct names_entry entry(const char *path)
{
	return (struct names_entry){.path = path,
		.len = strlen(path),
		.ino = 7,
		.count = 1,
		.t_first = T_REAL,
		.t_last = T_REAL};
}

static void test_round_trips(void **state)
{
	char all[256];
	struct names_entry e[] = {
		entry("/etc/passwd"),
		entry("/etc/passwd"), /* the same once more */
		entry("/etc/pass"),   /* shorter */
		entry(""),
		entry("/usr/bin/sh"),
		entry("/"),
	};

	(void)state;
	assert_int_equal(round_trip(NULL, 0), 4);
	assert_true(round_trip(e, 1) > 4);
	(void)round_trip(e, ARRAY_LEN(e));

	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	e[1].path = e[2].path2 = all;
	e[1].len = e[2].len2 = sizeof(all);
	e[3].path2 = ""; /* which is not the same as none */
	e[4].ino = UINT64_MAX >> 1;
	e[4].ino_is_parent = true;
	e[4].count = INT64_MAX;
	(void)round_trip(e, ARRAY_LEN(e));
}

static void test_times_to_the_microsecond(void **state)
{
	static const int64_t off[] = {0, 1, 999, 1000, 1001, -1, -999, -1000,
		-1001, 10000000000, -10000000000, 86400000000123};
	struct names_entry e[ARRAY_LEN(off)];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(off); i++) {
		e[i] = entry("/x");
		e[i].t_first = T_REAL + off[i];
		/* a clock that was set back between the two, too */
		e[i].t_last = T_REAL + off[ARRAY_LEN(off) - 1 - i];
	}
	(void)round_trip(e, ARRAY_LEN(e));
}

static void test_full(void **state)
{
	static struct names_entry e[NAMES_MAX];
	static char path[NAMES_MAX][64];

	(void)state;
	for (size_t i = 0; i < NAMES_MAX; i++) {
		(void)snprintf(path[i], sizeof(path[i]),
			"/usr/lib/python3/dist-packages/file-%zu.pyc", i);
		e[i] = entry(path[i]);
		e[i].ino = i;
		e[i].t_first += (int64_t)i * 5000000;
		e[i].t_last = e[i].t_first;
	}

	size_t len = round_trip(e, NAMES_MAX);

	/* What it is for: names of 43 bytes, and all else, in a few bytes. */
	print_message("%zu bytes for %d\n", len, NAMES_MAX);
	assert_true(len < (size_t)NAMES_MAX * 8);
}

/* Noise is stored as it is, and read back. */
static void test_incompressible(void **state)
{
	static char noise[60000];
	struct prng rng = {1};
	struct names_entry e = entry("");

	(void)state;
	prng_fill(&rng, noise, sizeof(noise));
	e.path = noise;
	e.len = sizeof(noise);
	assert_int_equal(round_trip(&e, 1), 4 + 1 + 3 + sizeof(noise) + 5);
}

static void test_one_packer_many_blobs(void **state)
{
	_cleanup_(names_packer_free) struct names_packer *p = must_pack();
	_cleanup_(names_reader_free) struct names_reader *r = must_read();
	const struct names_entry a = entry("/common/a"), b = entry("/common/b");
	const void *blob;
	size_t len;

	(void)state;
	for (int i = 0; i < 3; i++) {
		const struct names_entry *e = i % 2 ? &a : &b;
		struct want w = {e, 1, 0};

		names_begin(p, T_REAL);
		assert_int_equal(names_add(p, e), 0);
		assert_int_equal(names_end(p, &blob, &len), 0);
		assert_int_equal(
			names_read(r, blob, len, T_REAL, compare, &w), 0);
		assert_int_equal(w.seen, 1);
	}
}

static void test_bounds(void **state)
{
	_cleanup_(names_packer_free) struct names_packer *p = must_pack();
	_cleanup_free_ char *big = calloc(1, NAMES_RAW_MAX + 1);
	struct names_entry e = entry("/x");
	const void *blob;
	size_t len;

	(void)state;
	assert_non_null(big);
	names_begin(p, T_REAL);
	for (int i = 0; i < NAMES_MAX; i++)
		assert_int_equal(names_add(p, &e), 0);
	assert_int_equal(names_add(p, &e), -E2BIG);

	/* Entries of just the most bytes: eight of them are numbers. */
	names_begin(p, T_REAL);
	e.path = big;
	e.len = NAMES_RAW_MAX - 8;
	assert_int_equal(names_add(p, &e), -E2BIG);
	e.len--;
	assert_int_equal(names_add(p, &e), 0);
	e.len = 0;
	assert_int_equal(names_add(p, &e), -E2BIG);
	assert_int_equal(names_end(p, &blob, &len), 0);

	names_begin(p, T_REAL);
	e.len = NAMES_RAW_MAX + 1;
	assert_int_equal(names_add(p, &e), -E2BIG);
	e.len = SIZE_MAX;
	assert_int_equal(names_add(p, &e), -E2BIG);
	e.len = 1;
	e.path2 = big;
	e.len2 = NAMES_RAW_MAX;
	assert_int_equal(names_add(p, &e), -E2BIG);
	e.len2 = SIZE_MAX;
	assert_int_equal(names_add(p, &e), -E2BIG);
}

/* The same long path again and again takes a few bytes each. */
static void test_bound_of_paths(void **state)
{
	_cleanup_(names_packer_free) struct names_packer *p = must_pack();
	_cleanup_free_ char *big = calloc(1, NAMES_RAW_MAX);
	struct names_entry e = entry("");
	int added = 0;

	(void)state;
	assert_non_null(big);
	e.path = big;
	e.len = NAMES_RAW_MAX / 2;
	names_begin(p, T_REAL);
	while (names_add(p, &e) == 0)
		added++;
	assert_int_equal(added, NAMES_PATHS_MAX / e.len);
}

static void test_impossible_numbers(void **state)
{
	_cleanup_(names_packer_free) struct names_packer *p = must_pack();
	struct names_entry bad[6];
	const struct names_entry good = entry("/x");
	const void *blob;
	size_t len;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		bad[i] = good;
	bad[0].count = 0;
	bad[1].count = -1;
	bad[2].ino = UINT64_MAX;
	bad[3].t_first = INT64_MIN;
	bad[4].t_first = 1000000;
	bad[4].t_last = INT64_MIN;
	bad[5].t_first = -T_REAL;
	bad[5].t_last = INT64_MAX;
	names_begin(p, T_REAL);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(names_add(p, &bad[i]), -E2BIG);
	/* And left nothing behind. */
	assert_int_equal(names_end(p, &blob, &len), 0);
	assert_int_equal(len, 4);
}

/* ---- damage ---- */

static int check_bounds(void *arg, const struct names_entry *e)
{
	size_t *count = arg;
	unsigned sum = 0;

	assert_non_null(e->path);
	assert_true(e->len <= NAMES_RAW_MAX && e->len2 <= NAMES_RAW_MAX);
	assert_true(e->path2 || e->len2 == 0);
	assert_true(e->count > 0 && e->ino <= UINT64_MAX >> 1);
	for (size_t i = 0; i < e->len; i++)
		sum ^= (uint8_t)e->path[i];
	for (size_t i = 0; i < e->len2; i++)
		sum ^= (uint8_t)e->path2[i];
	assert_true(++*count <= NAMES_MAX);
	return sum > 255; /* it never is: the bytes are looked at */
}

static int read_all(struct names_reader *r, const void *bytes, size_t len)
{
	_cleanup_free_ uint8_t *copy = must_copy(bytes, len);
	size_t count = 0;

	return names_read(r, copy, len, T_REAL, check_bounds, &count);
}

/* A blob of a few entries: packed, or as they are. */
static uint8_t *make_blob(bool packed, size_t *ret_len)
{
	_cleanup_(names_packer_free) struct names_packer *p = must_pack();
	char path[64];
	const void *blob;

	names_begin(p, T_REAL);
	for (int i = 0; i < (packed ? 40 : 2); i++) {
		(void)snprintf(path, sizeof(path), "/srv/%d", i * 77);

		struct names_entry e = entry(path);

		e.path2 = i % 2 ? "/to" : NULL;
		e.len2 = 3;
		e.t_last += i * 1000000;
		assert_int_equal(names_add(p, &e), 0);
	}
	assert_int_equal(names_end(p, &blob, ret_len), 0);
	return must_copy(blob, *ret_len);
}

static void damage(bool packed)
{
	_cleanup_(names_reader_free) struct names_reader *r = must_read();
	size_t len;
	_cleanup_free_ uint8_t *blob = make_blob(packed, &len);

	assert_int_equal(read_all(r, blob, len), 0);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(read_all(r, blob, cut), -EBADMSG);
	for (size_t at = 0; at < len; at++) {
		uint8_t was = blob[at];

		for (int value = 0; value < 256; value++) {
			blob[at] = (uint8_t)value;

			int e = read_all(r, blob, len);

			assert_true(e == 0 || e == -EBADMSG);
		}
		blob[at] = was;
	}
	assert_int_equal(read_all(r, blob, len), 0);
}

static void test_damage_of_packed(void **state)
{
	(void)state;
	damage(true);
}

static void test_damage_of_raw(void **state)
{
	(void)state;
	damage(false);
}

/* Blobs made by hand, entries as they are. */
static void test_malformed(void **state)
{
#define BLOB(len, bytes)                               \
	{                                              \
		(const uint8_t *)len "\0\0\0" bytes,   \
			sizeof(len "\0\0\0" bytes) - 1 \
	}
	static const struct {
		const uint8_t *bytes;
		size_t len;
	} bad[] = {
		BLOB("\7", "\1\0\0\2\1\0\0"),	   /* shares with nothing */
		BLOB("\7", "\0\2\0\2\1\0\0"),	   /* path past the end */
		BLOB("\7", "\0\0\7\2\1\0\0"),	   /* path2 past the end */
		BLOB("\7", "\0\0\0\2\0\0\0"),	   /* no attempt */
		BLOB("\6", "\0\0\0\2\1\0"),	   /* ends too early */
		BLOB("\10", "\0\0\0\2\1\0\0\0"),   /* begins another */
		BLOB("\7", "\0\0\0\2\1\0\200"),	   /* a number without end */
		BLOB("\10", "\0\0\0\2\201\0\0\0"), /* 1 in two bytes */
		BLOB("\20", "\0\0\0\2\377\377\377\377\377\377\377\377\377\1"
			    "\0\0"), /* 2^64 - 1 times */
		BLOB("\20", "\0\0\0\2\377\377\377\377\377\377\377\377\377\2"
			    "\0\0"), /* more than 64 bits */
		BLOB("\20", "\0\0\0\2\1\377\377\377\377\377\377\377\377\377\1"
			    "\0"), /* before all time */
		BLOB("\21", "\0\0\0\2\1\377\377\377\377\377\377\377\377\377\377"
			    "\1\0"), /* eleven bytes */
	};
	_cleanup_(names_reader_free) struct names_reader *r = must_read();

	(void)state;
	assert_int_equal(read_all(r, "\7\0\0\0\0\0\0\2\1\0\0", 11), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(
			read_all(r, bad[i].bytes, bad[i].len), -EBADMSG);
#undef BLOB
}

/* A frame of these bytes, below a head that says something: what is read? */
static int read_frame(const void *raw, size_t len, size_t said)
{
	_cleanup_(names_reader_free) struct names_reader *r = must_read();
	_cleanup_(compressor_free) struct compressor *c = compressor_new(3);
	_cleanup_free_ uint8_t *blob = malloc(4 + len);

	assert_true(c && blob);
	for (int i = 0; i < 4; i++)
		blob[i] = (uint8_t)(said >> 8 * i);

	size_t n = compressor_run(c, blob + 4, raw, len);

	assert_true(n > 0);
	return read_all(r, blob, 4 + n);
}

/* Small blobs that would like to be large. */
static void test_bombs(void **state)
{
	static const size_t said[] = {NAMES_RAW_MAX + 1, UINT32_MAX,
		NAMES_RAW_MAX, NAMES_RAW_MAX - 1, 100};
	size_t room = 8u << 20;
	_cleanup_free_ uint8_t *zeros = calloc(1, room);

	(void)state;
	assert_non_null(zeros);
	for (size_t i = 0; i < ARRAY_LEN(said); i++)
		assert_int_equal(read_frame(zeros, room, said[i]), -EBADMSG);
}

/* As long as it says, but of more entries than there may be. */
static void test_too_many(void **state)
{
	uint8_t raw[(NAMES_MAX + 1) * 7];

	(void)state;
	for (size_t i = 0; i < sizeof(raw); i += 7)
		memcpy(raw + i, "\0\0\0\2\1\0\0", 7);
	assert_int_equal(read_frame(raw, sizeof(raw), sizeof(raw)), -EBADMSG);
	assert_int_equal(read_frame(raw, sizeof(raw) - 7, sizeof(raw) - 7), 0);
}

/* A path of half a megabyte, and again and again the same. */
static void test_long_paths(void **state)
{
	enum { LONG = 1 << 19 };
	_cleanup_free_ uint8_t *raw = calloc(1, NAMES_RAW_MAX);
	uint8_t *at = raw;

	(void)state;
	assert_non_null(raw);
	at = mempcpy(at, "\0\200\200\40", 4);
	memset(at, 'x', LONG);
	at = mempcpy(at + LONG, "\0\2\1\0\0", 5);
	for (unsigned i = 1; i < NAMES_PATHS_MAX / LONG; i++)
		at = mempcpy(at, "\200\200\40\0\0\2\1\0\0", 9);
	assert_int_equal(
		read_frame(raw, (size_t)(at - raw), (size_t)(at - raw)), 0);
	at = mempcpy(at, "\200\200\40\0\0\2\1\0\0", 9);
	assert_int_equal(
		read_frame(raw, (size_t)(at - raw), (size_t)(at - raw)),
		-EBADMSG);
}

static int stop_at_two(void *arg, const struct names_entry *e)
{
	return ++*(int *)arg == 2 ? -ECANCELED : 0;
}

static void test_stops_when_told(void **state)
{
	_cleanup_(names_reader_free) struct names_reader *r = must_read();
	size_t len;
	_cleanup_free_ uint8_t *blob = make_blob(true, &len);
	int seen = 0;

	(void)state;
	assert_int_equal(names_read(r, blob, len, T_REAL, stop_at_two, &seen),
		-ECANCELED);
	assert_int_equal(seen, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_times_to_the_microsecond),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_incompressible),
		cmocka_unit_test(test_one_packer_many_blobs),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_bound_of_paths),
		cmocka_unit_test(test_impossible_numbers),
		cmocka_unit_test(test_damage_of_packed),
		cmocka_unit_test(test_damage_of_raw),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_long_paths),
		cmocka_unit_test(test_stops_when_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
