/* SPDX-License-Identifier: Apache-2.0 */
/* fs/audit/verify.h: each way to tamper with a ledger is found and named. */
#include "fs/audit/verify.h"

#include <string.h>

#include "fs/base/buf.h"
#include "fs/ledger/record.h"
#include "tests/unit/audit_kit.h"

static void test_intact(void **state)
{
	struct audit_kit *k = *state;
	struct verify_options opt = {.key = &k->first};

	audit_fill(k);
	assert_int_equal(audit_verify(k, &opt), 0);
	audit_must_be(k, VERIFY_NOTE);
	assert_int_equal(k->found_count, 0);
	assert_int_equal(k->result.records, AUDIT_LAST);
	assert_int_equal(k->result.attempts, AUDIT_LAST - 2);
	assert_int_equal(k->result.signed_size, AUDIT_LAST);
	assert_int_equal(k->result.checkpoints, 4);
	assert_int_equal(k->result.epochs, 3);
	assert_string_equal(k->result.origin, AUDIT_ORIGIN);
}

/* Every column of every table that a record is made of. */
static void edit_column(struct audit_kit *k, const char *column,
	const char *where, const char *name)
{
	char sql[256];

	audit_restore(k, "good");
	(void)snprintf(sql, sizeof(sql),
		"PRAGMA foreign_keys = OFF;"
		"UPDATE %s SET %s = CASE WHEN typeof(%s) = 'integer' THEN"
		" %s + 100000 WHEN %s IS NULL THEN 1 ELSE %s || 'x' END"
		" WHERE %s",
		name, column, column, column, column, column, where);
	audit_sql(k, sql);
	audit_must_be(k, VERIFY_EDITED);
	(void)audit_must_find(k, VERIFY_EDITED, "record");
}

static void test_every_column(void **state)
{
	static const struct {
		char table;
		const char *name, *where;
	} tables[] = {
		{'m', "mount", "id = 1"},
		{'p', "proc", "id = 1"},
		{'n', "node", "ino = 11"},
		{'a', "attempt", "seq = 100"},
		{'a', "attempt", "seq = 650"},
		{'e', "event", "seq = 1"},
	};
	struct audit_kit *k = *state;
	unsigned edits = 0;

	audit_fill(k);
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		int count;
		const char *const *columns =
			record_columns(tables[i].table, &count);

		for (int c = 0; c < count; c++, edits++)
			edit_column(
				k, columns[c], tables[i].where, tables[i].name);
	}
	assert_in_range(edits, 100, 200);
}

/* With its tile, the very record is named; so are its neighbours' times. */
static void test_edited_record(void **state)
{
	struct audit_kit *k = *state;
	const struct verify_finding *f;

	audit_fill(k);
	audit_sql(k, "UPDATE attempt SET path = '/etc/passwd' WHERE seq = 77");
	audit_must_be(k, VERIFY_EDITED);
	assert_int_equal(k->found_count, 1);
	f = audit_must_find(k, VERIFY_EDITED, "record 77: edited");
	assert_int_equal(f->first, 77);
	assert_int_equal(f->last, 77);
	assert_true(f->has_before && f->has_after && f->before < f->after);
	/* The tree goes on behind it: what follows is known to be well. */
	assert_int_equal(k->result.signed_size, AUDIT_LAST);

	audit_sql(k, "UPDATE attempt SET uid = 0 WHERE seq BETWEEN 79 AND 90");
	audit_must_be(k, VERIFY_EDITED);
	f = audit_must_find(k, VERIFY_EDITED, "records 79 to 90: edited");
	assert_int_equal(f->last, 90);
	assert_int_equal(k->found_count, 2);
}

/* Behind the last tile only the checkpoints tell where. */
static void test_edited_between_checkpoints(void **state)
{
	struct audit_kit *k = *state;
	const struct verify_finding *f;

	audit_fill(k);
	audit_sql(k, "UPDATE attempt SET t_real = t_real + 1 WHERE seq = 600");
	audit_must_be(k, VERIFY_EDITED);
	f = audit_must_find(k, VERIFY_EDITED, "one or more");
	assert_int_equal(f->first, 402);
	assert_int_equal(f->last, AUDIT_LAST);
	assert_int_equal(k->result.signed_size, 401);
}

/* Row and tile were made to fit each other: the range between two roots. */
static void test_edited_with_tile(void **state)
{
	struct audit_kit *k = *state;
	const struct verify_finding *f;

	audit_fill(k);
	audit_sql(k, "UPDATE attempt SET errno = 0 WHERE seq = 77;"
		     "DELETE FROM tile WHERE n = 0");
	audit_must_be(k, VERIFY_EDITED);
	(void)audit_must_find(k, VERIFY_EDITED, "tile 0");
	f = audit_must_find(k, VERIFY_EDITED, "one or more");
	assert_int_equal(f->first, 1);
	assert_int_equal(f->last, 301);
}

static void test_tiles(void **state)
{
	static const char *const edits[] = {
		"UPDATE tile SET root = zeroblob(32) WHERE n = 1",
		"UPDATE tile SET root = 'x' WHERE n = 1",
		"UPDATE tile SET leaves = zeroblob(8192) WHERE n = 1",
		"UPDATE tile SET leaves = zeroblob(1) WHERE n = 1",
		"UPDATE tile SET leaves = NULL WHERE n = 1",
		"DELETE FROM tile WHERE n = 1",
		"UPDATE tile SET n = -1 WHERE n = 1",
	};
	struct audit_kit *k = *state;

	audit_fill(k);
	for (size_t i = 0; i < ARRAY_LEN(edits); i++) {
		audit_restore(k, "good");
		audit_sql(k, edits[i]);
		audit_must_be(k, VERIFY_EDITED);
	}
	/* Both are proved to be well where they are. */
	audit_restore(k, "good");
	audit_sql(k, edits[2]);
	audit_must_be(k, VERIFY_EDITED);
	(void)audit_must_find(k, VERIFY_EDITED, "as signed, but the hash");
	assert_int_equal(k->result.signed_size, AUDIT_LAST);

	/* A tile that never was. */
	audit_restore(k, "good");
	audit_sql(k, "INSERT INTO tile SELECT 9, root, leaves FROM tile"
		     " WHERE n = 1");
	audit_must_be(k, VERIFY_TRUNCATED);
}

static void test_deleted(void **state)
{
	struct audit_kit *k = *state;
	const struct verify_finding *f;

	audit_fill(k);
	audit_sql(k, "DELETE FROM attempt WHERE seq = 50");
	audit_must_be(k, VERIFY_EDITED);
	f = audit_must_find(k, VERIFY_EDITED, "record 50: removed");
	assert_int_equal(f->first, 50);
	assert_int_equal(k->result.signed_size, AUDIT_LAST);

	audit_restore(k, "good");
	audit_sql(k, "DELETE FROM attempt WHERE seq BETWEEN 600 AND 609");
	audit_must_be(k, VERIFY_EDITED);
	(void)audit_must_find(k, VERIFY_EDITED, "records 600 to 609: removed");
	f = audit_must_find(k, VERIFY_EDITED, "402 to 700: not proved");
	assert_int_equal(k->found_count, 2);
	assert_int_equal(k->result.signed_size, 401);

	/* And all that follow moved up. */
	audit_restore(k, "good");
	audit_sql(k, "DELETE FROM attempt WHERE seq = 600;"
		     "UPDATE attempt SET seq = seq - 1 WHERE seq > 600;"
		     "UPDATE event SET seq = seq - 1 WHERE seq > 600");
	audit_must_be(k, VERIFY_TRUNCATED);

	/* So many that nobody counts them. */
	audit_restore(k, "good");
	audit_sql(k, "UPDATE event SET seq = 9000000000000000000"
		     " WHERE seq = 700");
	audit_must_be(k, VERIFY_EDITED);
	(void)audit_must_find(k, VERIFY_EDITED, "removed");
}

static void test_put_in(void **state)
{
	static const char *const edits[] = {
		"INSERT INTO event SELECT 100, mount_id, t_real, t_boot, kind,"
		" path, text, count FROM event WHERE seq = 1",
		"INSERT INTO event SELECT 0, mount_id, t_real, t_boot, kind,"
		" path, text, count FROM event WHERE seq = 1",
		"INSERT INTO event SELECT -7, mount_id, t_real, t_boot, kind,"
		" path, text, count FROM event WHERE seq = 1",
	};
	struct audit_kit *k = *state;

	audit_fill(k);
	for (size_t i = 0; i < ARRAY_LEN(edits); i++) {
		audit_restore(k, "good");
		audit_sql(k, edits[i]);
		audit_must_be(k, VERIFY_EDITED);
		assert_int_equal(k->found_count, 1);
		(void)audit_must_find(k, VERIFY_EDITED, "put in");
		assert_int_equal(k->result.signed_size, AUDIT_LAST);
	}
	/* A sign of life behind the end, that nobody has signed. */
	audit_restore(k, "good");
	audit_sql(k,
		"INSERT INTO event SELECT 701, mount_id, t_real, t_boot,"
		" 'heartbeat', path, text, count FROM event WHERE seq = 1");
	audit_must_be(k, VERIFY_CRASHED);
	(void)audit_must_find(k, VERIFY_CRASHED, "last 1 records");
}

static void test_swapped(void **state)
{
	struct audit_kit *k = *state;

	audit_fill(k);
	audit_sql(k, "UPDATE attempt SET seq = -1 WHERE seq = 60;"
		     "UPDATE attempt SET seq = 60 WHERE seq = 61;"
		     "UPDATE attempt SET seq = 61 WHERE seq = -1");
	audit_must_be(k, VERIFY_EDITED);
	(void)audit_must_find(k, VERIFY_EDITED, "records 60 to 61: edited");
	audit_restore(k, "good");
	audit_sql(k, "UPDATE tile SET n = -1 WHERE n = 0;"
		     "UPDATE tile SET n = 0 WHERE n = 1;"
		     "UPDATE tile SET n = 1 WHERE n = -1");
	audit_must_be(k, VERIFY_EDITED);
}

static void test_cut(void **state)
{
	struct audit_kit *k = *state;
	struct verify_options opt = {0};
	_cleanup_buf_ struct buf note;
	struct expect expect;
	const struct verify_finding *f;

	buf_init(&note, NOTE_MAX + 1);
	audit_attempts(k, 600);
	audit_note(k, &note);
	audit_close(k);
	assert_int_equal(audit_tear_down(state), 0);
	assert_int_equal(audit_set_up(state), 0);
	k = *state;
	audit_fill(k);
	audit_sql(k, "DELETE FROM attempt WHERE seq > 650;"
		     "DELETE FROM event WHERE seq > 650");
	audit_must_be(k, VERIFY_TRUNCATED);
	f = audit_must_find(k, VERIFY_TRUNCATED, "ends with record 650");
	assert_int_equal(f->first, 651);
	assert_int_equal(f->checkpoint, AUDIT_LAST);

	/* Below a tile, whose checkpoints are gone. */
	audit_restore(k, "good");
	audit_sql(k, "DELETE FROM attempt WHERE seq > 310;"
		     "DELETE FROM event WHERE seq > 310;"
		     "DELETE FROM checkpoint WHERE size > 310;"
		     "DELETE FROM epoch WHERE size > 310");
	audit_must_be(k, VERIFY_TRUNCATED);
	(void)audit_must_find(k, VERIFY_TRUNCATED, "a tile tells of 512");

	/* With all that points beyond: only from elsewhere. */
	audit_sql(k, "DELETE FROM tile WHERE n > 0;"
		     "DELETE FROM attempt WHERE seq > 301");
	audit_must_be(k, VERIFY_NOTE);
	expect_init(&expect);
	assert_int_equal(expect_parse(&expect, note.data, strlen(note.data),
				 "note", NULL),
		0);
	opt.expect = &expect;
	assert_int_equal(audit_verify(k, &opt), 0);
	assert_int_equal(k->result.kind, VERIFY_ROLLED_BACK);
	expect_done(&expect);
}

static void test_names_of_operations(void **state)
{
	struct audit_kit *k = *state;

	audit_fill(k);
	audit_sql(k, "UPDATE op SET name = 'read' WHERE op = 0");
	audit_must_be(k, VERIFY_EDITED);
	(void)audit_must_find(k, VERIFY_EDITED, "table op");
}

static void test_removed_by_retention(void **state)
{
	struct audit_kit *k = *state;

	audit_attempts(k, 300);
	audit_sign(k);
	audit_event(k, LEDGER_EVENT_PRUNE,
		"{\"first\":1,\"last\":256,\"attempts\":255,\"events\":1,"
		"\"lost\":0}",
		255);
	audit_sign(k);
	audit_close(k);
	audit_sql(k, "DELETE FROM attempt WHERE seq <= 256;"
		     "DELETE FROM event WHERE seq <= 256;"
		     "UPDATE tile SET leaves = NULL WHERE n = 0");
	audit_must_be(k, VERIFY_NOTE);
	assert_int_equal(k->result.removed, 256);
	assert_int_equal(k->result.signed_size, 302);
	(void)audit_must_find(
		k, VERIFY_NOTE, "records 1 to 256, of 255 attempts");

	audit_sql(k, "INSERT INTO event SELECT 9, mount_id, t_real, t_boot,"
		     " kind, path, text, count FROM event WHERE seq = 302");
	audit_must_be(k, VERIFY_EDITED);
	(void)audit_must_find(k, VERIFY_EDITED, "record 9: put in");
}

static void test_removed_by_others(void **state)
{
	struct audit_kit *k = *state;

	audit_fill(k);
	audit_sql(k, "DELETE FROM attempt WHERE seq <= 256;"
		     "DELETE FROM event WHERE seq <= 256;"
		     "UPDATE tile SET leaves = NULL WHERE n = 0");
	audit_must_be(k, VERIFY_EDITED);
	(void)audit_must_find(k, VERIFY_EDITED, "not by retention");
}

static void test_notes(void **state)
{
	struct audit_kit *k = *state;

	audit_attempts(k, 3);
	k->now.real -= INT64_C(7200) * 1000000000;
	audit_event(k, LEDGER_EVENT_CLOCK, "{}", 1);
	audit_event(k, LEDGER_EVENT_RECOVERY,
		"{\"found\":\"killed\n\x1b[31m\"}", 1);
	audit_event(k, LEDGER_EVENT_RECOVERY, "{\"found\":\"", 1);
	audit_event(k, LEDGER_EVENT_GAP, "full", 900);
	audit_sign(k);
	audit_close(k);
	audit_must_be(k, VERIFY_NOTE);
	(void)audit_must_find(k, VERIFY_NOTE, "set back by 7200 s");
	(void)audit_must_find(k, VERIFY_NOTE, "clock: the mount saw");
	(void)audit_must_find(k, VERIFY_NOTE, "in order: killed??[31m");
	(void)audit_must_find(k, VERIFY_NOTE, "900 attempts were only counted");
}

static void test_no_ledger(void **state)
{
	struct audit_kit *k = *state;

	audit_fill(k);
	assert_true(scratch_write(&k->scratch, "ledger", "nothing", 7));
	assert_int_equal(audit_verify(k, NULL), -EBADMSG);
	audit_restore(k, "good");
	audit_sql(k, "DROP INDEX attempt_path");
	assert_int_equal(audit_verify(k, NULL), -EBADMSG);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, audit_set_up, audit_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_intact),
		TEST(test_every_column),
		TEST(test_edited_record),
		TEST(test_edited_between_checkpoints),
		TEST(test_edited_with_tile),
		TEST(test_tiles),
		TEST(test_deleted),
		TEST(test_put_in),
		TEST(test_swapped),
		TEST(test_cut),
		TEST(test_names_of_operations),
		TEST(test_removed_by_retention),
		TEST(test_removed_by_others),
		TEST(test_notes),
		TEST(test_no_ledger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
