/* SPDX-License-Identifier: Apache-2.0 */
/* A ledger is gone on with only when its end is what its writer left. */
#include "tests/unit/unit.h"

#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/db/db.h"
#include "tests/unit/clerk_kit.h"

static const struct ledger_options options = {.pace = &quick};

/* A ledger with some records, closed in order. */
static void make(const char *path, unsigned count)
{
	struct ledger *l = clerk_kit_open(path, &options);

	clerk_kit_try(l, count);
	ledger_close(l);
}

static const char *beside(
	struct kit *k, const char *name, char ret[SCRATCH_PATH])
{
	return scratch_name(&k->scratch, name, ret);
}

static void test_in_order(void **state)
{
	struct kit *k = *state;

	for (int i = 0; i < 3; i++) {
		make(k->path, 200);
		clerk_kit_sealed(k->path);
	}
	assert_int_equal(
		kit_number(k->path, "SELECT count(*) FROM event WHERE kind"
				    " NOT IN ('mount', 'unmount')"),
		0);
}

static void test_origin(void **state)
{
	struct kit *k = *state;

	make(k->path, 1);
	assert_int_equal(
		kit_number(k->path,
			"SELECT value GLOB '?*/stele/' || replace("
			"'................', '.', '[0-9a-f]') FROM meta"
			" WHERE key = 'origin'"),
		1);
	assert_int_equal(
		kit_number(k->path,
			"SELECT count(*) FROM epoch, meta WHERE number = 0 AND"
			" size = 0 AND note IS NULL AND meta.key = 'origin' AND"
			" substr(epoch.key, 1, length(value) + 1) ="
			" value || '+'"),
		1);
}

/* ---- what must be refused ---- */

static void test_rows_cut(void **state)
{
	/* Few and many: the last tile, and tiles before it. */
	static const int keep[] = {1, 2, 50, 255, 256, 257, 300, 599};
	char sql[512], path[SCRATCH_PATH];
	struct kit *k = *state;

	make(k->path, 600);
	for (size_t i = 0; i < ARRAY_LEN(keep); i++) {
		beside(k, "cut", path);
		clerk_kit_copy(k->path, path);
		(void)snprintf(sql, sizeof(sql),
			"DELETE FROM attempt WHERE seq > %1$d;"
			"DELETE FROM event WHERE seq > %1$d;"
			"DELETE FROM tile WHERE n >= %1$d / 256",
			keep[i]);
		kit_change(path, sql);
		clerk_kit_refused(path, "are missing");
	}
}

/* The tiles still know of the records. */
static void test_only_rows_cut(void **state)
{
	struct kit *k = *state;

	make(k->path, 600);
	kit_change(k->path, "DELETE FROM attempt WHERE seq > 200;"
			    "DELETE FROM event WHERE seq > 200");
	clerk_kit_refused(k->path, "missing");
}

static void test_cut_with_checkpoints(void **state)
{
	struct kit *k = *state;

	make(k->path, 600);
	kit_change(k->path, "DELETE FROM attempt WHERE seq > 300;"
			    "DELETE FROM event WHERE seq > 300;"
			    "DELETE FROM checkpoint WHERE size > 300;"
			    "DELETE FROM tile WHERE n > 0");
	clerk_kit_refused(k->path, "an older copy, or was cut");
}

static void test_older_copy(void **state)
{
	char old[SCRATCH_PATH], key[SCRATCH_PATH];
	struct kit *k = *state;

	make(k->path, 100);
	beside(k, "old", old);
	clerk_kit_copy(k->path, old);
	make(k->path, 100);
	beside(k, "ledger-key", key);
	/* The ledger alone is put back. */
	clerk_kit_copy_file(old, k->path);
	clerk_kit_refused(k->path, "an older copy");
}

static void test_older_key_number(void **state)
{
	const struct clerk_pace pace = {
		.tick = MS, .checkpoint = MS, .epoch_records = 50};
	const struct ledger_options opt = {.pace = &pace};
	char old[SCRATCH_PATH];
	struct kit *k = *state;
	struct ledger *l;

	make(k->path, 10);
	beside(k, "old", old);
	clerk_kit_copy_file(k->path, old);
	l = clerk_kit_open(k->path, &opt);
	clerk_kit_try(l, 60);
	clerk_kit_wait(k->path, "SELECT count(*) FROM epoch", 2);
	ledger_close(l);
	clerk_kit_copy_file(old, k->path);
	clerk_kit_refused(k->path, "an older copy");
}

static void test_edited(void **state)
{
	static const char *const edits[] = {
		/* in a tile, behind the last tile */
		"UPDATE attempt SET path = '/other' WHERE seq = 100",
		"UPDATE attempt SET uid = 0 WHERE seq = 590",
		"UPDATE attempt SET t_real = t_real + 1 WHERE seq = 256",
		"DELETE FROM attempt WHERE seq = 257",
		"DELETE FROM attempt WHERE seq = 590",
		"UPDATE event SET text = 'x' WHERE seq = 1",
		"UPDATE tile SET root = zeroblob(32) WHERE n = 0",
		"UPDATE tile SET leaves = zeroblob(8192) WHERE n = 1",
		"UPDATE checkpoint SET note = replace(note, '/stele/', '/x/')",
		"UPDATE checkpoint SET note = ''",
		("UPDATE checkpoint SET size = size + 1"
		 " WHERE size = (SELECT max(size) FROM checkpoint)"),
		"DELETE FROM meta WHERE key = 'origin'",
		"UPDATE mount SET mount_point = '/elsewhere'",
	};
	char path[SCRATCH_PATH];
	struct kit *k = *state;

	make(k->path, 600);
	for (size_t i = 0; i < ARRAY_LEN(edits); i++) {
		print_message("%s\n", edits[i]);
		beside(k, "edited", path);
		clerk_kit_copy(k->path, path);
		kit_change(path, edits[i]);
		clerk_kit_refused(path, "");
	}
}

/* Without its tiles the tree can't be found. */
static void test_tile_gone(void **state)
{
	const struct ledger_options recover = {.pace = &quick, .recover = true};
	struct ledger *l = NULL;
	struct kit *k = *state;
	struct diag diag = {0};

	make(k->path, 600);
	kit_change(k->path, "DELETE FROM tile WHERE n = 0");
	assert_int_equal(ledger_open(k->path, &kit_mount, &recover, &l, &diag),
		-EBADMSG);
	assert_non_null(strstr(diag.text, "give another --ledger"));
}

static void test_other_key(void **state)
{
	char other[SCRATCH_PATH], key[SCRATCH_PATH], its[SCRATCH_PATH];
	struct kit *k = *state;

	make(k->path, 10);
	make(beside(k, "other", other), 10);
	beside(k, "ledger-key", key);
	beside(k, "other-key", its);
	clerk_kit_copy_file(its, key);
	clerk_kit_refused(k->path, "that of another ledger");
}

static void test_no_key(void **state)
{
	char key[SCRATCH_PATH];
	struct kit *k = *state;

	make(k->path, 10);
	assert_int_equal(unlink(beside(k, "ledger-key", key)), 0);
	clerk_kit_refused(k->path, "is missing");
	assert_int_equal(
		kit_number(k->path,
			"SELECT count(*) FROM epoch WHERE number = 1 AND"
			" note IS NULL"),
		1);
}

static void test_damaged_key(void **state)
{
	char key[SCRATCH_PATH];
	struct kit *k = *state;

	make(k->path, 10);
	assert_true(scratch_write(&k->scratch, "ledger-key", "x", 1));
	assert_int_equal(chmod(beside(k, "ledger-key", key), 0600), 0);
	clerk_kit_refused(k->path, "is damaged");
}

static void test_lost_ledger(void **state)
{
	struct kit *k = *state;
	struct stat st;

	make(k->path, 10);
	assert_int_equal(unlink(k->path), 0);
	clerk_kit_refused(k->path, "is gone");
	/* The secret of the lost one is kept: it may turn up again. */
	char old[SCRATCH_PATH];

	assert_int_equal(stat(beside(k, "ledger-key.old", old), &st), 0);
	clerk_kit_sealed(k->path);
}

/* A refused ledger is left as it is. */
static void test_refused_is_untouched(void **state)
{
	struct ledger *l = NULL;
	struct kit *k = *state;

	make(k->path, 300);
	kit_change(k->path, "DELETE FROM attempt WHERE seq = 290");
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			ledger_open(k->path, &kit_mount, &options, &l, NULL),
			-EBADMSG);
	assert_int_equal(kit_number(k->path, "SELECT count(*) FROM mount"), 1);
	assert_int_equal(kit_number(k->path, "SELECT count(*) FROM event"), 2);
}

/* ---- death at any moment ---- */

/* A child that writes until it is killed. */
static pid_t start_writer(const char *path)
{
	const struct clerk_pace pace = {
		.tick = MS / 4, .checkpoint = MS / 2, .epoch_records = 40};
	const struct ledger_options opt = {.pace = &pace};
	pid_t pid = fork();

	if (pid == 0) {
		struct ledger *l = NULL;

		if (ledger_open(path, &kit_mount, &opt, &l, NULL) < 0)
			_exit(1);
		for (unsigned i = 0;; i++) {
			struct ledger_attempt a =
				kit_unlike(LEDGER_MKDIR, "/x", i);

			if (ledger_attempt(l, &a, NULL) < 0)
				_exit(2);
		}
	}
	assert_true(pid > 0);
	return pid;
}

static void test_killed(void **state)
{
	struct kit *k = *state;
	int status;

	make(k->path, 1);
	for (int round = 0; round < 30; round++) {
		int64_t before =
			kit_number(k->path, "SELECT max(size) FROM checkpoint");
		pid_t pid = start_writer(k->path);

		/* At another moment in each round. */
		clerk_kit_wait(k->path, "SELECT max(size) FROM checkpoint",
			before + 1 + round * 17 % 90);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		/* Nobody calls that anything but a crash. */
		assert_true(clerk_kit_verify(k->path) <= VERIFY_CRASHED);
		make(k->path, 2);
	}
	clerk_kit_sealed(k->path);
	/* Those that left something unsigned behind are on record. */
	assert_int_equal(
		kit_number(k->path,
			"SELECT count(*) FROM event WHERE kind = 'recovery'"
			" AND text NOT LIKE '{\"what\":\"crash\",%'"),
		0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_in_order, kit_set_up, kit_tear_down),
		cmocka_unit_test_setup_teardown(
			test_origin, kit_set_up, kit_tear_down),
		cmocka_unit_test_setup_teardown(
			test_rows_cut, kit_set_up, kit_tear_down),
		cmocka_unit_test_setup_teardown(
			test_only_rows_cut, kit_set_up, kit_tear_down),
		cmocka_unit_test_setup_teardown(
			test_cut_with_checkpoints, kit_set_up, kit_tear_down),
		cmocka_unit_test_setup_teardown(
			test_older_copy, kit_set_up, kit_tear_down),
		cmocka_unit_test_setup_teardown(
			test_older_key_number, kit_set_up, kit_tear_down),
		cmocka_unit_test_setup_teardown(
			test_edited, kit_set_up, kit_tear_down),
		cmocka_unit_test_setup_teardown(
			test_tile_gone, kit_set_up, kit_tear_down),
		cmocka_unit_test_setup_teardown(
			test_other_key, kit_set_up, kit_tear_down),
		cmocka_unit_test_setup_teardown(
			test_no_key, kit_set_up, kit_tear_down),
		cmocka_unit_test_setup_teardown(
			test_damaged_key, kit_set_up, kit_tear_down),
		cmocka_unit_test_setup_teardown(
			test_lost_ledger, kit_set_up, kit_tear_down),
		cmocka_unit_test_setup_teardown(
			test_refused_is_untouched, kit_set_up, kit_tear_down),
		cmocka_unit_test_setup_teardown(
			test_killed, kit_set_up, kit_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
