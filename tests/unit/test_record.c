/* SPDX-License-Identifier: Apache-2.0 */
/* The canonical bytes of a row: the same when written and when read, and only
 * one way to cut them. */
#include "tests/unit/unit.h"

#include <string.h>

#include "fs/base/diag.h"
#include "fs/ledger/record.h"
#include "fs/ledger/schema.h"
#include "tests/lib/scratch.h"

struct fixture {
	struct scratch scratch;
	struct db *db;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct diag diag = {0};
	char path[SCRATCH_PATH];

	if (!f || !scratch_init(&f->scratch) ||
		!scratch_write(&f->scratch, "db", "", 0) ||
		db_open(scratch_name(&f->scratch, "db", path), 0, &f->db,
			&diag) < 0 ||
		schema_create(f->db, path, &diag) < 0) {
		print_error("%s\n", diag.text);
		free(f);
		return -1;
	}
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	db_close(f->db);
	scratch_done(&f->scratch);
	free(f);
	return 0;
}

static struct db_stmt *prepare(struct db *db, const char *sql)
{
	struct db_stmt *s = NULL;
	int r = db_prepare(db, sql, &s);

	if (r < 0)
		print_error("%s: %s\n", sql, db_error(db));
	assert_int_equal(r, 0);
	return s;
}

/* The list of columns is that of the table. */
static void test_columns(void **state)
{
	static const struct {
		char letter;
		const char *name;
	} tables[] = {{'m', "mount"}, {'p', "proc"}, {'n', "node"},
		{'a', "attempt"}, {'e', "event"}};
	struct fixture *f = *state;
	int count = 0;

	for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
		struct db_stmt *s =
			prepare(f->db, "SELECT name FROM pragma_table_info(?)");
		const char *const *columns =
			record_columns(tables[t].letter, &count);

		assert_non_null(columns);
		db_bind_text(s, tables[t].name);
		for (int i = 0; i < count; i++) {
			size_t len;
			const void *name;

			assert_int_equal(db_next(s), 1);
			name = db_bytes(s, 0, &len);
			assert_int_equal(len, strlen(columns[i]));
			assert_memory_equal(name, columns[i], len);
		}
		assert_int_equal(db_next(s), 0);
		db_stmt_free(s);
	}
	assert_null(record_columns('f', &count));
	assert_null(record_columns('\0', &count));
}

/* These bytes are the format: they may never change. */
static void test_bytes(void **state)
{
	static const char want[] = "n"
				   "I\x00\x00\x00\x00\x00\x00\x00\x07"
				   "I\xff\xff\xff\xff\xff\xff\xff\xfe"
				   "N"
				   "T\x00\x00\x00\x03"
				   "abc"
				   "T\x00\x00\x00\x00"
				   "B\x00\x00\x00\x02"
				   "\x00\xff"
				   "B\x00\x00\x00\x00"
				   "N"
				   "B\x00\x00\x00\x20"
				   "0123456789abcdef0123456789abcdef";
	struct digest d;
	struct record r;

	(void)state;
	memcpy(d.bytes, "0123456789abcdef0123456789abcdef", DIGEST_LEN);
	record_init(&r);
	for (int again = 0; again < 2; again++) {
		record_begin(&r, NULL, 'n');
		record_int(&r, 7);
		record_int(&r, -2);
		record_null(&r);
		record_text(&r, "abc");
		record_text(&r, "");
		record_bytes(&r, "\x00\xff", 2);
		record_bytes(&r, "", 0);
		record_refer(&r, NULL);
		record_refer(&r, &d);
		assert_int_equal(record_end(&r), 0);
		assert_int_equal(r.bytes.len, sizeof(want) - 1);
		assert_memory_equal(r.bytes.data, want, sizeof(want) - 1);
	}
	record_done(&r);
}

/* What was written is what is read, whatever the types of the values. */
static void test_read(void **state)
{
	static const char path[] = {'/', 1, '\'', (char)0xff};
	struct fixture *f = *state;
	struct db_stmt *add =
		prepare(f->db, "INSERT INTO event VALUES(?,?,?,?,?,?,?,?)");
	struct db_stmt *get = prepare(f->db, "SELECT 9, * FROM event");
	struct record written, seen;

	assert_int_equal(db_exec(f->db, "PRAGMA foreign_keys = OFF"), 0);
	record_init(&written);
	record_init(&seen);
	record_begin(&written, add, 'e');
	record_int(&written, 1);
	record_int(&written, INT64_MIN);
	record_int(&written, INT64_MAX);
	record_int(&written, -1);
	record_text(&written, "12"); /* stays text */
	record_bytes(&written, path, sizeof(path));
	record_text(&written, "");
	record_int(&written, 0);
	assert_int_equal(db_run(add), 0);
	assert_int_equal(record_end(&written), 0);

	assert_int_equal(db_next(get), 1);
	record_read(&seen, 'e', get, 1, 8);
	assert_int_equal(record_end(&seen), 0);
	assert_int_equal(seen.bytes.len, written.bytes.len);
	assert_memory_equal(
		seen.bytes.data, written.bytes.data, seen.bytes.len);
	db_rewind(get);

	/* Another type of the same value is another record. */
	assert_int_equal(
		db_exec(f->db, "UPDATE event SET kind = CAST(kind AS BLOB)"),
		0);
	assert_int_equal(db_next(get), 1);
	record_read(&seen, 'e', get, 1, 8);
	assert_int_equal(record_end(&seen), 0);
	assert_int_equal(seen.bytes.len, written.bytes.len);
	assert_memory_not_equal(
		seen.bytes.data, written.bytes.data, seen.bytes.len);
	db_rewind(get);

	/* None has a number with a point. */
	assert_int_equal(db_exec(f->db, "UPDATE event SET count = 0.5"), 0);
	assert_int_equal(db_next(get), 1);
	record_read(&seen, 'e', get, 1, 8);
	assert_int_equal(record_end(&seen), -EBADMSG);
	db_stmt_free(add);
	db_stmt_free(get);
	record_done(&written);
	record_done(&seen);
}

/* More than a record may hold: said, and nothing is cut. */
static void test_too_long(void **state)
{
	_cleanup_free_ char *big = calloc(1, RECORD_MAX + 1);
	struct record r;

	(void)state;
	assert_non_null(big);
	record_init(&r);
	record_begin(&r, NULL, 'a');
	record_bytes(&r, big, RECORD_MAX);
	record_int(&r, 1);
	assert_int_equal(record_end(&r), -E2BIG);
	record_begin(&r, NULL, 'a');
	record_bytes(&r, big, (size_t)UINT32_MAX + 1);
	assert_int_equal(record_end(&r), -E2BIG);
	record_begin(&r, NULL, 'a');
	record_int(&r, 1);
	assert_int_equal(record_end(&r), 0);
	record_done(&r);
}

/* ---- walking ---- */

static int walk(const char *bytes, size_t len, int *ret_values)
{
	/* Of its own, so that reading past the end shows. */
	_cleanup_free_ char *copy = malloc(len ? len : 1);
	const struct buf b = {.data = copy, .len = len};
	struct record_value v;
	size_t at = 0;
	int r;

	assert_non_null(copy);
	if (len)
		memcpy(copy, bytes, len);
	*ret_values = 0;
	while ((r = record_next(&b, &at, &v)) > 0) {
		assert_true(at > 1 && at <= len);
		if (v.len)
			assert_true(v.bytes >= copy &&
				    v.bytes + v.len <= copy + len);
		(*ret_values)++;
	}
	return r;
}

static void test_walk(void **state)
{
	struct record_value v;
	struct record r;
	size_t at = 0;
	int values;

	(void)state;
	record_init(&r);
	record_begin(&r, NULL, 'a');
	record_int(&r, INT64_MIN);
	record_null(&r);
	record_text(&r, "x\xffy");
	record_bytes(&r, "", 0);
	assert_int_equal(record_next(&r.bytes, &at, &v), 1);
	assert_int_equal(v.type, 'I');
	assert_true(v.number == INT64_MIN);
	assert_int_equal(record_next(&r.bytes, &at, &v), 1);
	assert_int_equal(v.type, 'N');
	assert_int_equal(record_next(&r.bytes, &at, &v), 1);
	assert_int_equal(v.type, 'T');
	assert_int_equal(v.len, 3);
	assert_memory_equal(v.bytes, "x\xffy", 3);
	assert_int_equal(record_next(&r.bytes, &at, &v), 1);
	assert_int_equal(v.type, 'B');
	assert_int_equal(v.len, 0);
	assert_int_equal(record_next(&r.bytes, &at, &v), 0);
	assert_int_equal(record_next(&r.bytes, &at, &v), 0);

	/* Cut anywhere: whole values, or a refusal. */
	static const size_t ends[] = {1, 10, 11, 19, 24};

	for (size_t len = 0; len <= r.bytes.len; len++) {
		int whole = -1;

		for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
			if (ends[i] == len)
				whole = (int)i;
		}
		assert_int_equal(walk(r.bytes.data, len, &values),
			whole < 0 ? -EBADMSG : 0);
		if (whole >= 0)
			assert_int_equal(values, whole);
	}
	record_done(&r);
}

static void test_walk_refuses(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
		{"", 0},
		{"aX", 2},
		{"a\0", 2},
		{"aT\xff\xff\xff\xff", 6},
		{"aB\x00\x00\x00\x02x", 7},
		{"aI\x00\x00\x00\x00\x00\x00\x00", 9},
	};
	char text[] = "aN";
	const struct buf two = {.data = text, .len = 2};
	struct record_value v;
	size_t at = 3;
	int values;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(
			walk(bad[i].bytes, bad[i].len, &values), -EBADMSG);
	assert_int_equal(record_next(&two, &at, &v), -EBADMSG);
}

int main(void)
{
#define WITH_DB(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_DB(test_columns),
		cmocka_unit_test(test_bytes),
		WITH_DB(test_read),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_walk_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
