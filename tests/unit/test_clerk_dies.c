/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wherever between two steps towards the disk a mount dies, its ledger is
 * intact or that of a crash, never one that somebody has changed; and the next
 * mount goes on with it and leaves it intact.
 */
#include "tests/unit/unit.h"

#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/clerk_kit.h"

#define SECOND (1000 * MS)
#define DEAD 77

/* Every step; under a sanitizer, where each life takes long, every seventh. */
#ifdef __SANITIZE_ADDRESS__
#define STRIDE 7
#else
#define STRIDE 1
#endif

/* ---- a process that dies at a step ---- */

/* SQLite and we both come through here. */
static struct {
	int at; /* die instead of this one, counted from 1; 0: at none */
	atomic_int count;
} death;

static void step(void)
{
	if (death.at && atomic_fetch_add(&death.count, 1) + 1 == death.at)
		_exit(DEAD);
}

/* NOLINTBEGIN: these take the place of libc's, for libraries too */
ssize_t write(int fd, const void *p, size_t len)
{
	step();
	return syscall(SYS_write, fd, p, len);
}

ssize_t pwrite64(int fd, const void *p, size_t len, off_t off)
{
	step();
	return syscall(SYS_pwrite64, fd, p, len, off);
}

int fdatasync(int fd)
{
	step();
	return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
	step();
	return (int)syscall(SYS_fsync, fd);
}

int unlink(const char *path)
{
	step();
	return (int)syscall(SYS_unlink, path);
}

int link(const char *from, const char *to)
{
	step();
	return (int)syscall(SYS_link, from, to);
}

int renameat2(
	int dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	step();
	return (int)syscall(SYS_renameat2, dir, from, to_dir, to, flags);
}
/* NOLINTEND */

/* ---- a mount ---- */

/* Only its beginning and its end sign, so every run does the same; and each
 * signature is the last of its key. */
static const struct clerk_pace slow = {
	.tick = 3600 * SECOND,
	.checkpoint = 3600 * SECOND,
	.heartbeat = 3600 * SECOND,
	.epoch_records = 1,
};

static struct shared {
	_Atomic int64_t answered;
} * shared;

enum work { BRIEF, FLOOD, FLOOD_AND_DIE };

static int try(struct ledger *l, const struct ledger_attempt *a)
{
	int r = ledger_attempt(l, a, NULL);

	if (r == 0)
		atomic_fetch_add(&shared->answered, 1);
	return r;
}

/* Of nobody, all alike: they share an open record. */
static int flood(struct ledger *l)
{
	struct ledger_attempt a = kit_attempt(LEDGER_UNLINK, "/flood");
	int r = 0;

	for (int i = 0; r == 0 && i < 300; i++)
		r = try(l, &a);
	return r;
}

static int mount_once(const struct kit *k, enum work work)
{
	char place[SCRATCH_PATH + 8], file[SCRATCH_PATH];
	const char *const places[] = {place, NULL};
	const struct ledger_options opt = {.pace = &slow, .anchors = places};
	struct ledger_attempt a = kit_unlike(LEDGER_CREATE, "/one", 1);
	struct ledger *l = NULL;
	struct diag diag = {0};
	int r, at = death.at;

	(void)snprintf(place, sizeof(place), "file:%s",
		scratch_name(&k->scratch, "anchors", file));
	r = ledger_open(k->path, &kit_mount, &opt, &l, &diag);
	if (r < 0)
		print_error("%s\n", diag.text);
	if (r == 0)
		r = try(l, &a);
	death.at = 0; /* a flood is many steps that are all alike */
	if (r == 0 && work != BRIEF)
		r = flood(l);
	if (work == FLOOD_AND_DIE)
		_exit(r < 0 ? 1 : DEAD);
	death.at = at;
	ledger_close(l);
	return r;
}

/* Did it come to its end? */
static bool lives(const struct kit *k, enum work work, int at)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		death.at = at;
		atomic_store(&death.count, 0);

		int r = mount_once(k, work);

		death.at = 0;
		_exit(r < 0 ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != DEAD)
		fail_msg("the mount failed, dying at step %d", at);
	return WEXITSTATUS(status) == 0;
}

/* ---- what is left ---- */

static void tell(void *arg, const struct verify_finding *f)
{
	const int *at = arg;

	if (f->kind > VERIFY_CRASHED)
		print_error("step %d: %s\n", *at, f->text);
}

/* What is said of it; what is no ledger yet has answered nobody. */
static enum verify_kind judge(const struct kit *k, bool keyfile, int at)
{
	char key[SCRATCH_PATH + 8];
	const struct verify_options opt = {.keyfile = keyfile ? key : NULL};
	const struct verify_hooks hooks = {.found = tell, .arg = &at};
	struct verify_result result = {0};
	struct diag diag = {0};
	int r;

	(void)snprintf(key, sizeof(key), "%s-key", k->path);
	r = verify_ledger(k->path, &opt, &hooks, &result, &diag);
	if (r < 0 && atomic_load(&shared->answered) > 0)
		fail_msg("step %d: %s", at, diag.text);
	return r < 0 ? VERIFY_CRASHED : result.kind;
}

static void must_be_ours(const struct kit *k, int at)
{
	assert_in_range(judge(k, true, at), VERIFY_NOTE, VERIFY_CRASHED);
	assert_in_range(judge(k, false, at), VERIFY_NOTE, VERIFY_CRASHED);
}

/* The one that was on its way when a mount died may be there or not. */
static void must_be_complete(const struct kit *k, int deaths)
{
	int64_t got = kit_number(k->path,
			"SELECT (SELECT coalesce(sum(count), 0) FROM attempt) +"
			" (SELECT coalesce(sum(count), 0) FROM fold)"),
		want = atomic_load(&shared->answered);

	assert_in_range(got, want, want + deaths);
}

static void start_over(const struct kit *k, const char *from)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", "-key",
		"-key-new", "-lock", "-journal", "-tally", "-gap"};

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		char name[SCRATCH_PATH + 16];

		(void)snprintf(
			name, sizeof(name), "%s%s", k->path, suffixes[i]);
		(void)unlink(name);
	}
	if (from)
		clerk_kit_copy(from, k->path);
}

/*
 * Die at every step; then once more, elsewhere, in what goes on behind that;
 * then live. How many steps there were.
 */
static int die_everywhere(const struct kit *k, const char *from, enum work work)
{
	int64_t before = atomic_load(&shared->answered);

	for (int at = 1;; at += STRIDE) {
		bool whole;

		start_over(k, from);
		atomic_store(&shared->answered, before);
		whole = lives(k, work, at);
		must_be_ours(k, at);
		if (whole)
			return at - 1;
		(void)lives(k, BRIEF, at * 7 % 61 + 1);
		must_be_ours(k, at);
		assert_true(lives(k, BRIEF, 0));
		assert_int_equal(judge(k, true, at), VERIFY_NOTE);
		must_be_complete(k, 2);
	}
}

static void test_the_first_mount(void **state)
{
	int steps = die_everywhere(*state, NULL, BRIEF);

	print_message("%d steps\n", steps);
	assert_in_range(steps, 60, 2000);
}

static void test_behind_a_mount_that_ended(void **state)
{
	const struct kit *k = *state;
	char base[SCRATCH_PATH];
	int steps;

	assert_true(lives(k, FLOOD, 0));
	scratch_name(&k->scratch, "base", base);
	clerk_kit_copy(k->path, base);
	steps = die_everywhere(k, base, FLOOD);
	print_message("%d steps\n", steps);
	assert_in_range(steps, 40, 2000);
}

/* It has left an open record. */
static void test_behind_a_mount_that_died(void **state)
{
	const struct kit *k = *state;
	char base[SCRATCH_PATH];

	assert_false(lives(k, FLOOD_AND_DIE, 0));
	assert_int_equal(judge(k, true, 0), VERIFY_CRASHED);
	assert_in_range(
		kit_number(k->path, "SELECT count(*) FROM fold"), 1, 10);
	scratch_name(&k->scratch, "base", base);
	clerk_kit_copy(k->path, base);
	assert_in_range(die_everywhere(k, base, BRIEF), 40, 2000);
}

/* ---- what is no crash ---- */

/* The key file remembers what was signed; and a mount signs its beginning. */
static void test_checkpoints_removed(void **state)
{
	const struct kit *k = *state;

	assert_true(lives(k, BRIEF, 0));
	assert_true(lives(k, BRIEF, 0));
	kit_change(k->path, "DELETE FROM checkpoint WHERE size ="
			    " (SELECT max(size) FROM checkpoint)");
	assert_int_equal(judge(k, true, 0), VERIFY_NOT_SIGNED);
	kit_change(k->path, "DELETE FROM checkpoint WHERE size ="
			    " (SELECT max(size) FROM checkpoint)");
	assert_int_equal(judge(k, false, 0), VERIFY_NOT_SIGNED);
}

static int set_up(void **state)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return shared == MAP_FAILED ? -1 : kit_set_up(state);
}

static int tear_down(void **state)
{
	(void)munmap(shared, sizeof(*shared));
	return kit_tear_down(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_first_mount),
		TEST(test_behind_a_mount_that_ended),
		TEST(test_behind_a_mount_that_died),
		TEST(test_checkpoints_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
