/* SPDX-License-Identifier: Apache-2.0 */
/* What a ledger does beside its attempts: checkpoints in the right order, keys
 * that change, signs of life. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fs/base/base64.h"
#include "fs/base/io.h"
#include "fs/db/db.h"
#include "tests/unit/clerk_kit.h"

#define SECOND (1000 * MS)

/* ---- a disk that loses what was not synced ---- */

/*
 * What would be left of a ledger after a power failure: of each of its files
 * the content at its last sync. SQLite and we both come through here.
 */
static struct disk {
	pthread_mutex_t lock;
	const char *ledger; /* NULL: nobody is watched */
	char after[SCRATCH_PATH];
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void keep_synced(int fd)
{
	char link[64], path[PATH_MAX], copy[PATH_MAX];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return;
	path[n] = '\0';
	pthread_mutex_lock(&disk.lock);
	if (disk.ledger &&
		strncmp(path, disk.ledger, strlen(disk.ledger)) == 0) {
		(void)snprintf(copy, sizeof(copy), "%s%s", disk.after,
			path + strlen(disk.ledger));
		clerk_kit_copy_file(path, copy);
	}
	pthread_mutex_unlock(&disk.lock);
}

/* NOLINTNEXTLINE: these take the place of libc's, for libraries too */
int fdatasync(int fd)
{
	int r = (int)syscall(SYS_fdatasync, fd);

	if (r == 0)
		keep_synced(fd);
	return r;
}

int fsync(int fd)
{
	int r = (int)syscall(SYS_fsync, fd);

	if (r == 0)
		keep_synced(fd);
	return r;
}

/* The program that a checkpoint is anchored with waits here; look at the disk
 * as it is in this moment. */
static void check_disk(const char *fifo, const char *copy)
{
	char note[NOTE_MAX];
	struct note parsed;
	char sql[128];
	int fd = open(fifo, O_RDONLY | O_CLOEXEC);
	ssize_t n = io_read(fd, note, sizeof(note));

	assert_true(fd >= 0 && n > 0);
	(void)close(fd);
	assert_int_equal(note_parse(note, (size_t)n, &parsed), 0);
	pthread_mutex_lock(&disk.lock);
	clerk_kit_copy(disk.after, copy);
	pthread_mutex_unlock(&disk.lock);
	(void)snprintf(sql, sizeof(sql),
		"SELECT count(*) FROM checkpoint WHERE size = %llu",
		(unsigned long long)parsed.size);
	assert_int_equal(kit_number(copy, sql), 1);
	assert_true((uint64_t)kit_number(copy,
			    "SELECT max(coalesce((SELECT max(seq) FROM"
			    " attempt), 0), (SELECT max(seq) FROM event))") >=
		    parsed.size);
}

struct flood {
	struct ledger *l;
	atomic_bool stop;
};

static void *write_on(void *arg)
{
	struct flood *f = arg;

	for (unsigned i = 0; !atomic_load(&f->stop); i++) {
		struct ledger_attempt a = kit_unlike(LEDGER_CREATE, "/x", i);

		if (ledger_attempt(f->l, &a, NULL) < 0)
			abort();
	}
	return NULL;
}

static void test_no_anchor_outruns_the_disk(void **state)
{
	struct kit *k = *state;
	char fifo[SCRATCH_PATH], program[SCRATCH_PATH], text[1024],
		copy[SCRATCH_PATH], place[SCRATCH_PATH + 8];
	const char *const places[] = {place, NULL};
	const struct ledger_options opt = {.pace = &quick, .anchors = places};
	struct flood f = {0};
	pthread_t writer;

	scratch_name(&k->scratch, "after", disk.after);
	scratch_name(&k->scratch, "copy", copy);
	scratch_name(&k->scratch, "program", program);
	assert_int_equal(
		mkfifo(scratch_name(&k->scratch, "fifo", fifo), 0600), 0);
	(void)snprintf(text, sizeof(text), "#!/bin/sh\nexec cat > %s\n", fifo);
	assert_true(scratch_write(&k->scratch, "program", text, strlen(text)));
	assert_int_equal(chmod(program, 0700), 0);
	(void)snprintf(place, sizeof(place), "exec:%s", program);

	disk.ledger = k->path;
	f.l = clerk_kit_open(k->path, &opt);
	assert_int_equal(pthread_create(&writer, NULL, write_on, &f), 0);
	for (int i = 0; i < 40; i++)
		check_disk(fifo, copy);
	atomic_store(&f.stop, true);
	pthread_join(writer, NULL);
	/* The last ones, while it is closed, have nobody who reads them. */
	int fd = open(fifo, O_RDWR | O_CLOEXEC);

	ledger_close(f.l);
	(void)close(fd);
	pthread_mutex_lock(&disk.lock);
	disk.ledger = NULL;
	pthread_mutex_unlock(&disk.lock);
	clerk_kit_sealed(k->path);
}

/* ---- keys ---- */

static bool file_holds(const char *path, const void *what, size_t len)
{
	char bytes[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = io_read(fd, bytes, sizeof(bytes));

	assert_true(fd >= 0 && n > 0);
	(void)close(fd);
	return memmem(bytes, (size_t)n, what, len) != NULL;
}

/* While it is replaced: who has the old file open sees it overwritten. */
static void read_live(const char *path, struct keyfile *ret)
{
	int64_t end = hook_kit_now() + 60 * SECOND;
	int r;

	while ((r = keyfile_read(path, ret, NULL)) == -EBADMSG)
		assert_true(hook_kit_now() < end);
	assert_int_equal(r, 0);
}

/* The secret as the file has it, and which one it is. */
static uint64_t read_seed(const char *path, char ret[BASE64_LEN(SIGN_SEED_LEN)])
{
	struct keyfile key;
	uint64_t number;

	read_live(path, &key);
	number = key.number;
	base64_write(key.seed, sizeof(key.seed), ret);
	keyfile_done(&key);
	return number;
}

static void test_keys_change(void **state)
{
	const struct clerk_pace pace = {
		.tick = MS, .checkpoint = MS, .epoch_records = 20};
	const struct ledger_options opt = {.pace = &pace};
	char seeds[6][BASE64_LEN(SIGN_SEED_LEN)], path[SCRATCH_PATH];
	struct kit *k = *state;
	struct ledger *l = clerk_kit_open(k->path, &opt);

	scratch_name(&k->scratch, "ledger-key", path);
	(void)read_seed(path, seeds[0]);
	for (unsigned i = 1; i <= 5; i++) {
		clerk_kit_try(l, 21);
		clerk_kit_wait(k->path, "SELECT max(number) FROM epoch", i);
		/* The row comes first, the key file follows. */
		while (read_seed(path, seeds[i]) < i)
			(void)sched_yield();
	}
	ledger_close(l);
	(void)read_seed(path, seeds[5]);
	assert_true(file_holds(path, seeds[5], sizeof(seeds[5])));
	for (int i = 0; i < 5; i++)
		assert_false(file_holds(path, seeds[i], sizeof(seeds[i])));
	clerk_kit_sealed(k->path);
}

/* Death between the two steps of a change of keys, on either side of the row
 * that makes the next key the one. */
static void test_death_between_keys(void **state)
{
	const struct ledger_options opt = {.pace = &quick};
	struct kit *k = *state;
	char path[SCRATCH_PATH];
	struct keyfile key;

	ledger_close(clerk_kit_open(k->path, &opt));
	scratch_name(&k->scratch, "ledger-key", path);
	assert_int_equal(keyfile_read(path, &key, NULL), 0);
	assert_int_equal(keyfile_prepare(&key, NULL), 0);

	struct ledger *l = clerk_kit_open(k->path, &opt);

	clerk_kit_try(l, 5);
	ledger_close(l);
	clerk_kit_sealed(k->path);
	keyfile_done(&key);

	assert_int_equal(keyfile_read(path, &key, NULL), 0);
	assert_int_equal(keyfile_prepare(&key, NULL), 0);

	struct note note = {.kind = NOTE_NEXT_KEY,
		.size = key.size,
		.root = key.root,
		.number = key.number + 1,
		.next = key.next};
	char sql[4096], name[NOTE_KEY_MAX];
	struct buf text;

	buf_init(&text, NOTE_MAX);
	memcpy(note.origin, key.origin, sizeof(note.origin));
	assert_int_equal(note_make(&note, key.seed, &text), 0);
	assert_int_equal(note_key_print(&key.next, name), 0);
	(void)snprintf(sql, sizeof(sql),
		"INSERT INTO epoch VALUES(%d, '%s', %d, '%.*s')",
		(int)note.number, name, (int)note.size, (int)text.len,
		text.data);
	kit_change(k->path, sql);
	buf_done(&text);
	keyfile_done(&key);
	l = clerk_kit_open(k->path, &opt);
	clerk_kit_try(l, 5);
	ledger_close(l);
	clerk_kit_sealed(k->path);
}

/* ---- signs of life ---- */

/* A clock that can be set. */
struct fake_clock {
	_Atomic int64_t ahead; /* of the wall clock, ns */
	_Atomic uint64_t looks;
};

static struct store_time fake_now(void *arg)
{
	struct fake_clock *c = arg;
	struct store_time now = store_now();

	atomic_fetch_add(&c->looks, 1);
	now.real += atomic_load(&c->ahead);
	return now;
}

#define STEPS "SELECT count(*) FROM event WHERE kind = 'clock'"
#define BEATS "SELECT count(*) FROM event WHERE kind = 'heartbeat'"

static void test_heartbeats(void **state)
{
	const struct clerk_pace pace = {
		.tick = MS, .checkpoint = MS, .heartbeat = 20 * MS};
	const struct ledger_options opt = {.pace = &pace};
	struct kit *k = *state;
	struct ledger *l = clerk_kit_open(k->path, &opt);
	char text[4096];

	clerk_kit_try(l, 7);
	clerk_kit_wait(k->path, BEATS, 3);
	/* Each is signed soon. */
	clerk_kit_wait(k->path,
		"SELECT (SELECT max(size) FROM checkpoint) >= (SELECT min(seq)"
		" FROM event WHERE kind = 'heartbeat')",
		1);
	ledger_close(l);
	clerk_kit_sealed(k->path);
	clerk_kit_event(k->path, "heartbeat", text);
	assert_non_null(strstr(text, "\"answered\":7,"));
	assert_non_null(strstr(text, "\"gaps\":0,"));
	assert_non_null(strstr(text, "\"image_id\":\"010203ff00"));
	assert_non_null(strstr(text, "\"boot_id\":\""));
	assert_non_null(strstr(text, "\"uptime_seconds\":0}"));
}

/* By so many seconds, but for what the machine makes a thread wait. */
static void must_have_jumped(const char *path, long long seconds)
{
	char text[4096];
	const char *at;
	long long jump;

	clerk_kit_event(path, "clock", text);
	at = strstr(text, "\"jump_ns\":");
	assert_non_null(at);
	jump = strtoll(at + 10, NULL, 10) - seconds * SECOND;
	assert_true(jump < 10 * SECOND && jump > -10 * SECOND);
}

static void test_clock_is_set(void **state)
{
	struct fake_clock clock = {0};
	const struct clerk_pace pace = {.tick = MS,
		.checkpoint = MS,
		.heartbeat = 5 * MS,
		.now = fake_now,
		.arg = &clock};
	const struct ledger_options opt = {.pace = &pace};
	struct kit *k = *state;
	struct ledger *l = clerk_kit_open(k->path, &opt);

	/* Slewing, faster than any real one: in steps of less than a second,
	 * each of which it has seen. */
	for (int i = 1; i <= 20; i++) {
		atomic_store(&clock.ahead, i * SECOND / 2);
		clerk_kit_wait(k->path, BEATS, kit_number(k->path, BEATS) + 2);
	}
	assert_int_equal(kit_number(k->path, STEPS), 0);

	atomic_fetch_add(&clock.ahead, 3600 * SECOND);
	clerk_kit_wait(k->path, STEPS, 1);
	must_have_jumped(k->path, 3600);
	atomic_fetch_sub(&clock.ahead, 7200 * SECOND);
	clerk_kit_wait(k->path, STEPS, 2);
	must_have_jumped(k->path, -7200);
	ledger_close(l);

	/* While nobody wrote: the last record tells. It has the true time. */
	l = clerk_kit_open(k->path, &opt);
	assert_int_equal(kit_number(k->path, STEPS), 3);
	ledger_close(l);
	clerk_kit_sealed(k->path);
}

/* Nothing happens, and so the thread sleeps; it wakes for an attempt. */
static void test_it_sleeps(void **state)
{
	const struct timespec moment = {.tv_nsec = 300 * MS};
	struct fake_clock clock = {0};
	const struct clerk_pace pace = {
		.tick = MS, .checkpoint = MS, .now = fake_now, .arg = &clock};
	const struct ledger_options opt = {.pace = &pace};
	struct kit *k = *state;
	struct ledger *l = clerk_kit_open(k->path, &opt);
	uint64_t looks;

	clerk_kit_try(l, 10);
	clerk_kit_wait(k->path, "SELECT max(size) FROM checkpoint", 11);
	/* It would look 300 times in this time if it were awake. */
	do {
		looks = atomic_load(&clock.looks);
		(void)nanosleep(&moment, NULL);
	} while (atomic_load(&clock.looks) > looks + 20);
	clerk_kit_try(l, 1);
	clerk_kit_wait(k->path, "SELECT max(size) FROM checkpoint", 12);
	ledger_close(l);
}

/* Old records go, a segment at a time, when they are anchored. */
static void test_old_records_go(void **state)
{
	struct fake_clock clock = {0};
	const struct clerk_pace pace = {.tick = MS,
		.checkpoint = MS,
		.prune = MS,
		.now = fake_now,
		.arg = &clock};
	struct kit *k = *state;
	char place[SCRATCH_PATH + 8], path[SCRATCH_PATH];
	const char *const places[] = {place, NULL};
	const struct ledger_options opt = {
		.pace = &pace, .anchors = places, .keep_seconds = 3600};

	(void)snprintf(place, sizeof(place), "file:%s",
		scratch_name(&k->scratch, "anchor", path));

	struct ledger *l = clerk_kit_open(k->path, &opt);

	clerk_kit_try(l, 5000);
	clerk_kit_wait(k->path, "SELECT max(size) FROM anchor", 5001);
	assert_int_equal(
		kit_number(k->path, "SELECT count(*) FROM attempt"), 5000);
	atomic_fetch_add(&clock.ahead, 7200 * SECOND);
	clerk_kit_wait(
		k->path, "SELECT count(*) FROM event WHERE kind = 'prune'", 1);
	ledger_close(l);
	assert_int_equal(
		kit_number(k->path, "SELECT min(seq) FROM attempt"), 4097);
	assert_int_equal(clerk_kit_verify(k->path), VERIFY_NOTE);
	/* And it can be gone on with. */
	ledger_close(clerk_kit_open(k->path, &(struct ledger_options){0}));
}

/* ---- what fails ---- */

static void test_alarm(void **state)
{
	struct kit *k = *state;
	char place[SCRATCH_PATH + 8], path[SCRATCH_PATH], text[4096];
	const char *const places[] = {place, NULL};
	const struct ledger_options opt = {.pace = &quick, .anchors = places};

	(void)snprintf(place, sizeof(place), "file:%s",
		scratch_name(&k->scratch, "anchor", path));

	struct ledger *l = clerk_kit_open(k->path, &opt);

	clerk_kit_wait(k->path, "SELECT count(*) FROM anchor", 1);
	/* It became a folder. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	for (int i = 0; i < 10; i++) {
		int64_t size =
			kit_number(k->path, "SELECT max(size) FROM checkpoint");

		clerk_kit_try(l, 3);
		clerk_kit_wait(
			k->path, "SELECT max(size) FROM checkpoint", size + 1);
	}
	ledger_close(l);
	/* Once in a minute, however often it fails. */
	assert_int_equal(
		kit_number(k->path,
			"SELECT count(*) FROM event WHERE kind = 'alarm'"),
		1);
	clerk_kit_event(k->path, "alarm", text);
	assert_non_null(strstr(text, place));
	assert_non_null(strstr(text, "Is a directory"));
	clerk_kit_sealed(k->path);
}

/* What can't work is said at once, and nothing is made. */
static void test_bad_places(void **state)
{
	static const char *const bad[] = {"", "file:", "file:relative", "/path",
		"exec:/no/such/program", "file:/no/such/folder/x", "exec:echo",
		"syslogd"};
	struct kit *k = *state;
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const char *const places[] = {bad[i], NULL};
		const struct ledger_options all[] = {{.anchors = places},
			{.alerts = places}, {.metrics = bad[i]}};

		for (size_t j = 0; j < ARRAY_LEN(all); j++) {
			struct ledger *l = NULL;
			struct diag diag = {0};

			/* Two kinds that only the third has. */
			if (j == 2 && strncmp(bad[i], "exec:/", 6) == 0)
				continue;
			assert_true(ledger_open(k->path, &kit_mount, &all[j],
					    &l, &diag) < 0);
			assert_true(*diag.text);
			assert_int_equal(stat(k->path, &st), -1);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_anchor_outruns_the_disk,
			kit_set_up, kit_tear_down),
		cmocka_unit_test_setup_teardown(
			test_keys_change, kit_set_up, kit_tear_down),
		cmocka_unit_test_setup_teardown(
			test_death_between_keys, kit_set_up, kit_tear_down),
		cmocka_unit_test_setup_teardown(
			test_heartbeats, kit_set_up, kit_tear_down),
		cmocka_unit_test_setup_teardown(
			test_clock_is_set, kit_set_up, kit_tear_down),
		cmocka_unit_test_setup_teardown(
			test_it_sleeps, kit_set_up, kit_tear_down),
		cmocka_unit_test_setup_teardown(
			test_old_records_go, kit_set_up, kit_tear_down),
		cmocka_unit_test_setup_teardown(
			test_alarm, kit_set_up, kit_tear_down),
		cmocka_unit_test_setup_teardown(
			test_bad_places, kit_set_up, kit_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
