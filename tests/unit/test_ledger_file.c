/* SPDX-License-Identifier: Apache-2.0 */
/* What a ledger is written to: one writer, our version, nobody else's file. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/audit/query.h"
#include "fs/ledger/ledger.h"
#include "tests/unit/ledger_kit.h"

static void must_refuse(const char *path, int want, const char *word)
{
	const struct ledger_options opt = {.fsync = false};
	struct ledger *l = NULL;
	struct diag diag = {0};
	int r = ledger_open(path, &kit_mount, &opt, &l, &diag);

	if (r != want || !strstr(diag.text, word))
		print_error("%d, want %d: '%s' has '%s'?\n", r, want, diag.text,
			word);
	assert_int_equal(r, want);
	assert_non_null(strstr(diag.text, word));
	assert_null(l);
}

static void must_not_exist(const struct scratch *s, const char *name)
{
	char path[SCRATCH_PATH];
	struct stat st;

	assert_int_equal(lstat(scratch_name(s, name, path), &st), -1);
	assert_int_equal(errno, ENOENT);
}

static void test_two_writers(void **state)
{
	struct kit *f = *state;
	struct ledger *l = kit_open(f->path);
	char pid[32];

	(void)snprintf(pid, sizeof(pid), "process %d is", (int)getpid());
	must_refuse(f->path, -EBUSY, pid);
	ledger_close(l);
	must_not_exist(&f->scratch, "ledger-lock");
	ledger_close(kit_open(f->path));
}

/* Who waits for nothing: many that want to be the one writer, at once. */
static void *claim_often(void *arg)
{
	const struct ledger_options opt = {.fsync = false};
	intptr_t won = 0;

	for (int i = 0; i < 20; i++) {
		struct ledger *l = NULL;
		struct ledger_attempt a = kit_attempt(LEDGER_OPEN, "/x");
		int r = ledger_open(arg, &kit_mount, &opt, &l, NULL);

		if (r == 0)
			won += ledger_attempt(l, &a, NULL) == 0;
		else if (r != -EBUSY && r != -EAGAIN)
			abort();
		ledger_close(l);
	}
	return (void *)won;
}

static void test_contest(void **state)
{
	struct kit *f = *state;
	pthread_t threads[4];
	intptr_t sum = 0;
	void *won;

	for (int i = 0; i < 4; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, claim_often, f->path),
			0);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &won);
		sum += (intptr_t)won;
	}
	assert_true(sum > 0);
	assert_int_equal(
		kit_number(f->path, "SELECT count(*) FROM attempt"), sum);
	assert_int_equal(
		kit_number(f->path, "SELECT count(*) FROM mount"), sum);
	assert_int_equal(kit_number(f->path, "SELECT max(seq) FROM event"),
		3 * sum); /* begun, tried, ended */
	must_not_exist(&f->scratch, "ledger-lock");
}

/* What can't become a ledger leaves nothing behind. */
static void test_nothing_left(void **state)
{
	static const char *const names[] = {
		"l", "l-wal", "l-shm", "l-journal", "l-lock"};
	struct kit *f = *state;
	char filler[4096] = {0}, path[SCRATCH_PATH];

	if (!scratch_own_mounts()) {
		print_message("skipped: mounting a tmpfs needs root\n");
		skip();
	}
	assert_int_equal(
		mount("tmpfs", f->scratch.path, "tmpfs", 0, "size=8k"), 0);
	assert_true(
		scratch_write(&f->scratch, "filler", filler, sizeof(filler)));
	must_refuse(scratch_name(&f->scratch, "l", path), -ENOSPC, "full");
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		must_not_exist(&f->scratch, names[i]);
	assert_int_equal(umount2(f->scratch.path, MNT_DETACH), 0);
}

static void test_newer(void **state)
{
	struct kit *f = *state;
	struct query *q = NULL;
	struct diag diag = {0};

	ledger_close(kit_open(f->path));
	kit_change(f->path, "UPDATE meta SET value = 3 WHERE key = 'version'");
	must_refuse(f->path, -EOPNOTSUPP, "newer version");
	assert_int_equal(query_open(f->path, &q, &diag), -EOPNOTSUPP);
	assert_non_null(strstr(diag.text, "newer version"));
	assert_int_equal(kit_number(f->path, "SELECT count(*) FROM mount"), 1);
}

static void test_no_ledger(void **state)
{
	static const char text[] = "this is a file of somebody's own writing";
	static const char *const changes[] = {
		"PRAGMA application_id = 7",
		"DELETE FROM meta",
		"ALTER TABLE attempt ADD COLUMN more",
		"DROP VIEW refused",
		("CREATE TRIGGER t AFTER INSERT ON attempt BEGIN"
		 " DELETE FROM attempt; END"),
		"DROP TABLE event; CREATE VIEW event AS SELECT * FROM attempt",
	};
	struct kit *f = *state;
	char path[SCRATCH_PATH];

	assert_true(scratch_write(&f->scratch, "text", text, sizeof(text)));
	scratch_name(&f->scratch, "text", path);
	must_refuse(path, -EBADMSG, "not a ledger");
	must_not_exist(&f->scratch, "text-lock");
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "changed%zu", i);
		scratch_name(&f->scratch, name, path);
		ledger_close(kit_open(path));
		kit_change(path, changes[i]);
		must_refuse(path, -EBADMSG, path);
	}
}

static void test_not_ours(void **state)
{
	struct kit *f = *state;
	char path[SCRATCH_PATH], link[SCRATCH_PATH];

	must_refuse(f->scratch.path, -EPERM, "not a regular file");
	scratch_name(&f->scratch, "missing/ledger", path);
	must_refuse(path, -ENOENT, path);
	scratch_name(&f->scratch, "target", path);
	scratch_name(&f->scratch, "link", link);
	ledger_close(kit_open(path));
	assert_int_equal(symlink(path, link), 0);
	must_refuse(link, -EPERM, "symbolic link");
	scratch_name(&f->scratch, "target-wal", link);
	assert_int_equal(symlink("/etc/passwd", link), 0);
	must_refuse(path, -EPERM, "target-wal");
	if (geteuid() != 0) {
		print_message("not tried: a file of another user (not root)\n");
		return;
	}
	assert_int_equal(unlink(link), 0);
	assert_true(scratch_write(&f->scratch, "target-wal", "", 0));
	assert_int_equal(chown(link, 65534, 65534), 0);
	must_refuse(path, -EPERM, "belongs to uid 65534");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_set_up, kit_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_two_writers),
		TEST(test_contest),
		TEST(test_newer),
		TEST(test_no_ledger),
		TEST(test_not_ours),
		/* The last one: it changes the mounts of this process. */
		TEST(test_nothing_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
