/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of the file of a ledger are damaged, one at a time: verify never
 * fails in another way than with a line, and when it calls the ledger intact,
 * every row that is signed is what it was.
 */
#include <fcntl.h>
#include <string.h>

#include "fs/audit/reader.h"
#include "fs/base/io.h"
#include "fs/ledger/record.h"
#include "tests/unit/audit_kit.h"

enum { SQL_MAX = 4096 };

/* With sanitizers each look takes six times as long. */
#if defined(__SANITIZE_ADDRESS__)
#define STEP 7
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STEP 7
#endif
#endif
#ifndef STEP
#define STEP 1
#endif

/* What a reader of the ledger is shown, but for columns that nothing signs: the
 * time of a checkpoint, the list of anchors, folds that are open. */
static const char *const tables[] = {
	"mount",
	"proc",
	"node",
	"attempt",
	"event",
	"op",
	"meta",
	"tile",
	"epoch",
};

static int add_rows(struct db *db, const char *sql, struct hasher *h)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	int r = db_prepare(db, sql, &s);

	while (r >= 0 && (r = db_next(s)) > 0) {
		size_t len = 0;
		const void *bytes = db_bytes(s, 0, &len);

		if (bytes)
			hasher_add(h, bytes, len);
		hasher_add(h, &len, sizeof(len));
	}
	return r;
}

/* Every column in a text of its own. */
static int add_table(struct db *db, const char *table, struct hasher *h)
{
	_cleanup_buf_ struct buf names, sql;
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	int r;

	buf_init(&names, SQL_MAX);
	buf_init(&sql, SQL_MAX);
	r = buf_printf(
		&names, "SELECT name FROM pragma_table_info('%s')", table);
	if (r == 0)
		r = buf_add(&names, "", 1);
	if (r == 0)
		r = db_prepare(db, names.data, &s);
	if (r == 0)
		r = buf_printf(&sql, "SELECT ''");
	while (r >= 0 && (r = db_next(s)) > 0) {
		size_t len = 0;
		const char *name = db_bytes(s, 0, &len);

		r = buf_printf(&sql, "||'|'||quote(\"%.*s\")", (int)len, name);
	}
	if (r == 0)
		r = buf_printf(&sql, " FROM %s ORDER BY 1", table);
	if (r == 0)
		r = buf_add(&sql, "", 1);
	return r < 0 ? r : add_rows(db, sql.data, h);
}

static int digest_ledger(const char *path, struct digest *ret)
{
	_cleanup_(hasher_free) struct hasher *h = hasher_new();
	_cleanup_(db_close) struct db *db = NULL;
	int r = reader_open(path, &db, NULL);

	assert_non_null(h);
	hasher_begin(h);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(tables); i++)
		r = add_table(db, tables[i], h);
	if (r == 0)
		r = add_rows(db,
			"SELECT size||'|'||note FROM checkpoint ORDER BY 1", h);
	hasher_end(h, ret);
	return r;
}

static void fill(struct audit_kit *k, unsigned count)
{
	audit_attempts(k, 5);
	audit_sign(k);
	audit_next_key(k);
	audit_attempts(k, count - 5);
	audit_event(k, LEDGER_EVENT_UNMOUNT, "unmounted", 1);
	audit_sign(k);
	audit_close(k);
}

static unsigned damage(struct audit_kit *k, int fd, uint64_t at, uint8_t flip,
	const struct digest *good)
{
	struct digest is;
	uint8_t byte;
	bool intact;
	int r;

	assert_int_equal(io_pread(fd, &byte, 1, at), 1);
	byte ^= flip;
	assert_int_equal(io_pwrite(fd, &byte, 1, at), 0);
	r = audit_verify(k, NULL);
	intact = r == 0 && k->result.kind == VERIFY_NOTE;
	if (intact &&
		(digest_ledger(k->path, &is) < 0 || !digest_equal(&is, good)))
		fail_msg("byte %llu changed a row, and is not found",
			(unsigned long long)at);
	byte ^= flip;
	assert_int_equal(io_pwrite(fd, &byte, 1, at), 0);
	return !intact;
}

/* Every step-th byte of a ledger with so many attempts. */
static void damage_all(struct audit_kit *k, unsigned count, off_t step)
{
	struct digest good;
	unsigned found = 0, tried = 0;

	fill(k, count);
	audit_must_be(k, VERIFY_NOTE);
	assert_int_equal(digest_ledger(k->path, &good), 0);

	_cleanup_close_ int fd = open(k->path, O_RDWR | O_CLOEXEC);
	off_t end = lseek(fd, 0, SEEK_END);

	assert_in_range(end, 512, 1 << 20);
	for (off_t at = 0; at < end; at += step, tried++)
		found += damage(
			k, fd, (uint64_t)at, (uint8_t)(1 << tried % 8), &good);
	print_message("%u of %u bytes are not free to change\n", found, tried);
	/* Most of the file means something. */
	assert_in_range(found, tried / 2, tried);
	audit_must_be(k, VERIFY_NOTE);
}

static void test_every_byte(void **state)
{
	damage_all(*state, 7, STEP);
}

/* With a full tile and some levels of pages. */
static void test_bytes_of_a_larger_one(void **state)
{
	damage_all(*state, 260, 13 * STEP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_every_byte, audit_set_up_small, audit_tear_down),
		cmocka_unit_test_setup_teardown(test_bytes_of_a_larger_one,
			audit_set_up_small, audit_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
