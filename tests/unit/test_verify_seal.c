/* SPDX-License-Identifier: Apache-2.0 */
/* fs/audit/verify.h: signatures, keys, and what is known from elsewhere. */
#include "fs/audit/verify.h"

#include <string.h>

#include "fs/base/buf.h"
#include "tests/unit/audit_kit.h"

static void test_signatures(void **state)
{
	static const char *const edits[] = {
		"UPDATE checkpoint SET note = '' WHERE size = 400",
		"UPDATE checkpoint SET note = replace(note, x'e28094', '-')"
		" WHERE size = 400",
		"UPDATE checkpoint SET note = substr(note, 1, 90)"
		" WHERE size = 700",
		"UPDATE checkpoint SET note = (SELECT note FROM checkpoint"
		" WHERE size = 301) WHERE size = 400",
		"UPDATE checkpoint SET size = 399 WHERE size = 400",
		"UPDATE checkpoint SET size = -1 WHERE size = 400",
		"UPDATE checkpoint SET size = 900 WHERE size = 700",
		"DELETE FROM checkpoint",
		"DELETE FROM epoch",
		"DELETE FROM epoch WHERE number = 0",
		"DELETE FROM epoch WHERE number = 1",
		"DELETE FROM epoch WHERE number = 2",
		"UPDATE epoch SET note = NULL WHERE number = 1",
		"UPDATE epoch SET size = size + 1 WHERE number = 1",
		"UPDATE epoch SET size = 0 WHERE number = 2",
		"UPDATE epoch SET size = 1 WHERE number = 0",
		"UPDATE epoch SET key = (SELECT key FROM epoch"
		" WHERE number = 2) WHERE number = 1",
		"UPDATE epoch SET key = 'x' WHERE number = 0",
		"UPDATE epoch SET number = 7 WHERE number = 2",
		"UPDATE epoch SET number = -1 WHERE number = 0",
		"DELETE FROM meta WHERE key = 'origin'",
		"UPDATE meta SET value = 'other/stele/1' WHERE key = 'origin'",
	};
	struct audit_kit *k = *state;

	audit_fill(k);
	for (size_t i = 0; i < ARRAY_LEN(edits); i++) {
		print_message("%s\n", edits[i]);
		audit_restore(k, "good");
		audit_sql(k, edits[i]);
		audit_must_be(k, VERIFY_NOT_SIGNED);
	}
}

/* A root that another signature covers; and one with the right key. */
static void test_forged_root(void **state)
{
	struct audit_kit *k = *state;

	audit_fill(k);
	audit_sql(k, "UPDATE checkpoint SET note = replace(note,"
		     " substr(note, instr(note, char(10) || '400' || char(10))"
		     " + 5, 6), 'AAAAAA') WHERE size = 400");
	audit_must_be(k, VERIFY_NOT_SIGNED);
	(void)audit_must_find(k, VERIFY_NOT_SIGNED, "size 400");
}

/* Who has a later key by theft signs another past with it. */
static void test_later_key(void **state)
{
	struct audit_kit *k = *state;
	_cleanup_buf_ struct buf text, sql;
	struct note n = {
		.kind = NOTE_CHECKPOINT, .origin = AUDIT_ORIGIN, .size = 301};

	buf_init(&text, NOTE_MAX + 1);
	buf_init(&sql, 2 * NOTE_MAX);
	audit_fill(k); /* the seed is that of key 2 by now */
	assert_int_equal(note_make(&n, k->seed, &text), 0);
	assert_int_equal(buf_printf(&sql,
				 "UPDATE checkpoint SET note = '%.*s'"
				 " WHERE size = 301",
				 (int)text.len, text.data),
		0);
	assert_int_equal(buf_add(&sql, "", 1), 0);
	audit_sql(k, sql.data);
	audit_must_be(k, VERIFY_NOT_SIGNED);
	(void)audit_must_find(k, VERIFY_NOT_SIGNED, "the key of its time");
	assert_int_equal(k->result.signed_size, AUDIT_LAST);
}

/* The whole file written anew by somebody with a key of his own. */
static void test_written_anew(void **state)
{
	struct audit_kit *k = *state;
	struct verify_options opt = {0};
	_cleanup_buf_ struct buf note;
	struct note_key key;
	struct expect expect;

	buf_init(&note, NOTE_MAX + 1);
	key = k->first;
	key.key[0] ^= 1;
	audit_fill(k);
	audit_must_be(k, VERIFY_NOTE); /* by its own key it is well */
	opt.key = &key;
	assert_int_equal(audit_verify(k, &opt), 0);
	assert_int_equal(k->result.kind, VERIFY_FORKED);
	(void)audit_must_find(k, VERIFY_FORKED, "another key");

	/* A later key of the ledger is not the first one. */
	opt.key = &k->key;
	assert_int_equal(audit_verify(k, &opt), 0);
	assert_int_equal(k->result.kind, VERIFY_FORKED);
	(void)audit_must_find(k, VERIFY_NOTE, "key 2 of this ledger");

	/* What the true one has signed at the same size. */
	assert_int_equal(audit_tear_down(state), 0);
	assert_int_equal(audit_set_up(state), 0);
	k = *state;
	audit_attempts(k, 298);
	audit_event(k, LEDGER_EVENT_ALARM, "x", 1);
	audit_attempts(k, 1);
	audit_note(k, &note);
	assert_int_equal(audit_tear_down(state), 0);
	assert_int_equal(audit_set_up(state), 0);
	k = *state;
	audit_fill(k);
	expect_init(&expect);
	assert_int_equal(expect_parse(&expect, note.data, strlen(note.data),
				 "note", NULL),
		0);
	opt = (struct verify_options){.expect = &expect, .key = &k->first};
	assert_int_equal(audit_verify(k, &opt), 0);
	assert_int_equal(k->result.kind, VERIFY_FORKED);
	(void)audit_must_find(k, VERIFY_FORKED, "two histories");
	expect_done(&expect);
}

static void test_expected(void **state)
{
	struct audit_kit *k = *state;
	struct verify_options opt = {0};
	_cleanup_buf_ struct buf note;
	struct expect expect;

	buf_init(&note, NOTE_MAX + 1);
	expect_init(&expect);
	audit_attempts(k, 10);
	audit_note(k, &note); /* there is no such row */
	assert_int_equal(expect_parse(&expect, note.data, strlen(note.data),
				 "note", NULL),
		0);
	audit_attempts(k, 10);
	audit_sign(k);
	buf_reset(&note);
	audit_note(k, &note);
	assert_int_equal(expect_parse(&expect, note.data, strlen(note.data),
				 "note", NULL),
		0);
	audit_close(k);
	opt.expect = &expect;
	assert_int_equal(audit_verify(k, &opt), 0);
	assert_int_equal(k->result.kind, VERIFY_NOTE);
	assert_int_equal(k->result.expected, 2);

	audit_sql(k, "UPDATE attempt SET uid = 3 WHERE seq = 5;"
		     "DELETE FROM checkpoint");
	for (size_t i = 0; i < expect.count; i++)
		expect.all[i].seen = false;
	assert_int_equal(audit_verify(k, &opt), 0);
	assert_int_equal(k->result.kind, VERIFY_FORKED);
	expect_done(&expect);
}

static void test_crash(void **state)
{
	struct audit_kit *k = *state;
	struct verify_options opt = {0};

	audit_attempts(k, 10);
	audit_sign(k);
	audit_attempts(k, 7);
	audit_close(k);
	audit_must_be(k, VERIFY_CRASHED);
	(void)audit_must_find(k, VERIFY_CRASHED, "last 7 records");
	assert_int_equal(k->result.signed_size, 11);
	assert_int_equal(audit_verify(k, &opt), 0);
}

/* It would have signed meanwhile. */
static void test_unsigned_for_long(void **state)
{
	struct audit_kit *k = *state;

	audit_attempts(k, 10);
	audit_sign(k);
	for (int i = 0; i < 4; i++) {
		audit_pass(k, 60);
		audit_event(k, LEDGER_EVENT_HEARTBEAT, "{}", 1);
	}
	audit_close(k);
	audit_must_be(k, VERIFY_NOT_SIGNED);
	(void)audit_must_find(k, VERIFY_NOT_SIGNED, "worked for 180 s");
}

/* A machine that slept before the mount could sign, and then lost power. */
static void test_unsigned_over_a_sleep(void **state)
{
	struct audit_kit *k = *state;

	audit_attempts(k, 10);
	audit_sign(k);
	audit_attempts(k, 1);
	audit_pass(k, 3600);
	audit_attempts(k, 1);
	audit_event(k, LEDGER_EVENT_UNMOUNT, "unmounted", 1);
	audit_close(k);
	audit_must_be(k, VERIFY_CRASHED);
	(void)audit_must_find(k, VERIFY_CRASHED, "last 3 records");
}

/* What was removed from a ledger at rest, a day after the crash. */
static void test_unsigned_and_pruned(void **state)
{
	struct audit_kit *k = *state;

	audit_attempts(k, 10);
	audit_sign(k);
	audit_attempts(k, 1);
	for (int i = 0; i < 10; i++) {
		audit_pass(k, 60);
		audit_event(k, LEDGER_EVENT_PRUNE, "{}", 1);
	}
	audit_close(k);
	audit_must_be(k, VERIFY_CRASHED);
}

/* A mount signs its beginning before it answers anybody. */
static void test_unsigned_beginning(void **state)
{
	struct audit_kit *k = *state;

	audit_close(k);
	audit_must_be(k, VERIFY_CRASHED);
	assert_int_equal(audit_tear_down(state), 0);
	assert_int_equal(audit_set_up(state), 0);
	k = *state;
	audit_attempts(k, 1);
	audit_close(k);
	audit_must_be(k, VERIFY_NOT_SIGNED);
	(void)audit_must_find(k, VERIFY_NOT_SIGNED, "before it answers");
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, audit_set_up, audit_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_signatures),
		TEST(test_forged_root),
		TEST(test_later_key),
		TEST(test_written_anew),
		TEST(test_expected),
		TEST(test_crash),
		TEST(test_unsigned_for_long),
		TEST(test_unsigned_over_a_sleep),
		TEST(test_unsigned_and_pruned),
		TEST(test_unsigned_beginning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
