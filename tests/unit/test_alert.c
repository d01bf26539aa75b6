/* SPDX-License-Identifier: Apache-2.0 */
/* Alerts: what they say, how often, and what becomes of too many. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "fs/ledger/alert.h"
#include "tests/unit/hook_kit.h"

#define SECOND (1000 * MS)

struct fixture {
	struct scratch scratch;
	int epoll;
	struct metrics *metrics;
	struct alerts *alerts;
	atomic_int woken;
	int failed;
	char why[256];
};

static int set_up(void **state)
{
	const struct ledger_mount mount = {.mount_point = "/mnt"};
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f || !scratch_init(&f->scratch))
		return -1;
	f->epoll = epoll_create1(EPOLL_CLOEXEC);
	f->metrics = metrics_new(&mount);
	*state = f;
	return f->epoll < 0 || !f->metrics ? -1 : 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	alerts_free(f->alerts);
	metrics_free(f->metrics);
	(void)close(f->epoll);
	scratch_done(&f->scratch);
	free(f);
	return 0;
}

static void note_wake(void *arg)
{
	struct fixture *f = arg;

	atomic_fetch_add(&f->woken, 1);
}

static void note_failure(void *arg, const char *place, const char *why)
{
	struct fixture *f = arg;

	f->failed++;
	(void)snprintf(f->why, sizeof(f->why), "%s: %s", place, why);
}

static void open_alerts(struct fixture *f, const char *const *programs)
{
	static const struct digest image = {.bytes = {0xab, 0xcd}};
	const struct alert_options opt = {
		.programs = programs,
		.mount_point = "/mnt/\xff",
		.image_id = &image,
		.metrics = f->metrics,
		.epoll = f->epoll,
		.program_ns = 10 * SECOND,
		.wake = note_wake,
		.failed = note_failure,
		.arg = f,
	};
	struct diag diag = {0};
	int r = alerts_new(&opt, &f->alerts, &diag);

	if (r < 0)
		print_error("%d %s\n", r, diag.text);
	assert_int_equal(r, 0);
}

/* An attempt of a process, at this second. */
static struct proc process(pid_t tgid, uint64_t stamp)
{
	static char comm[] = "sh", exe[] = "/bin/sh";

	return (struct proc){.facts = {.key = {tgid, 7, stamp},
				     .comm = {comm, 2},
				     .exe = {exe, 7}}};
}

static void offer(struct fixture *f, const struct proc *p, const char *rule,
	int64_t second)
{
	const struct ledger_attempt a = {.op = LEDGER_CREATE,
		.error = EPERM,
		.rule = rule,
		.path = "/etc/new\n",
		.tid = 11,
		.uid = 3,
		.gid = 4};
	const struct alert_attempt x = {.attempt = &a,
		.proc = p,
		.seq = second,
		.at = {.real = 1700000000 * SECOND + 5,
			.boot = second * SECOND}};

	alerts_offer(f->alerts, &x);
}

static uint64_t sent(const struct fixture *f)
{
	return atomic_load(&f->metrics->alerts_sent);
}

/* Until all that wait are told. */
static void tell_all(struct fixture *f, const struct alert_checkpoint *last)
{
	int64_t end = hook_kit_now() + 60 * SECOND;

	while (alerts_tick(f->alerts, hook_kit_now(), last, "h/stele/0") <
		INT64_MAX) {
		assert_true(hook_kit_now() < end);
		hook_kit_rest(f->epoll);
	}
}

static void test_text(void **state)
{
	struct fixture *f = *state;
	char place[SCRATCH_PATH + 8], text[4096];
	const char *const programs[] = {place, NULL};
	struct alert_checkpoint last = {0};
	struct proc p = process(10, 1);

	hook_kit_program(&f->scratch, "p", "cat >> ${0%p}got", place);
	open_alerts(f, programs);
	offer(f, &p, "image", 20);
	tell_all(f, &last);
	assert_int_equal(atomic_load(&f->woken), 1);
	offer(f, NULL, "/srv", 0); /* nobody known, and no number yet */
	last.size = 40;
	tell_all(f, &last);
	hook_kit_read(&f->scratch, "got", text, sizeof(text));
	assert_string_equal(text,
		"{\"seq\":20,\"time\":\"2023-11-14T22:13:20.000000005Z\","
		"\"op\":\"create\",\"path\":\"/etc/new\\n\",\"path2\":null,"
		"\"errno\":1,\"rule\":\"image\",\"uid\":3,\"gid\":4,\"tid\":11,"
		"\"pid\":10,\"comm\":\"sh\",\"exe\":\"/bin/sh\","
		"\"container\":null,"
		"\"mount_point\":\"/mnt/\\ufffd\","
		"\"mount_point_raw\":\"L21udC//\",\"image_id\":\"abcd"
		"000000000000000000000000000000000000000000000000000000000000"
		"\",\"origin\":\"h/stele/0\",\"suppressed\":0,\"dropped\":0,"
		"\"checkpoint\":null}\n"
		"{\"seq\":null,\"time\":\"2023-11-14T22:13:20.000000005Z\","
		"\"op\":\"create\",\"path\":\"/etc/new\\n\",\"path2\":null,"
		"\"errno\":1,\"rule\":\"/srv\",\"uid\":3,\"gid\":4,\"tid\":11,"
		"\"pid\":null,\"comm\":null,\"exe\":null,\"container\":null,"
		"\"mount_point\":\"/mnt/\\ufffd\","
		"\"mount_point_raw\":\"L21udC//\",\"image_id\":\"abcd"
		"000000000000000000000000000000000000000000000000000000000000"
		"\",\"origin\":\"h/stele/0\",\"suppressed\":0,\"dropped\":0,"
		"\"checkpoint\":{\"size\":40,\"root\":"
		"\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}}\n");
	assert_int_equal(sent(f), 2);
}

static void test_rate(void **state)
{
	struct fixture *f = *state;
	char place[SCRATCH_PATH + 8], text[16384];
	const char *const programs[] = {place, NULL};
	const struct alert_checkpoint none = {0};
	struct proc a = process(10, 1), other = process(11, 1),
		    after_exec = process(10, 2);

	hook_kit_program(&f->scratch, "p",
		"grep -o '\"seq\":[0-9]*\\|\"suppressed\":[0-9]*' >>"
		" ${0%p}got",
		place);
	open_alerts(f, programs);
	/* One in ten seconds of one process and rule. */
	for (int second = 100; second < 130; second++)
		offer(f, &a, "image", second);
	/* Others have their own. */
	offer(f, &a, "/srv", 201);
	offer(f, &other, "image", 202);
	offer(f, &after_exec, "image", 203);
	offer(f, NULL, "image", 204);
	offer(f, NULL, "image", 205);
	tell_all(f, &none);
	hook_kit_read(&f->scratch, "got", text, sizeof(text));
	assert_string_equal(text, "\"seq\":100\n\"suppressed\":0\n"
				  "\"seq\":110\n\"suppressed\":9\n"
				  "\"seq\":120\n\"suppressed\":9\n"
				  "\"seq\":201\n\"suppressed\":0\n"
				  "\"seq\":202\n\"suppressed\":0\n"
				  "\"seq\":203\n\"suppressed\":0\n"
				  "\"seq\":204\n\"suppressed\":0\n");
	assert_int_equal(sent(f), 7);
	assert_int_equal(f->metrics->alerts_suppressed, 9 + 9 + 9 + 1);
}

/* Many processes at once: the queue has its end, and says so. */
static void test_too_many(void **state)
{
	struct fixture *f = *state;
	char place[SCRATCH_PATH + 8], text[256];
	const char *const programs[] = {place, NULL};
	const struct alert_checkpoint none = {0};

	hook_kit_program(&f->scratch, "p",
		"grep -o '\"dropped\":[0-9]*' >> ${0%p}got", place);
	open_alerts(f, programs);
	for (int i = 0; i < ALERT_QUEUE + 50; i++) {
		struct proc p = process(1000 + i, 1);

		offer(f, &p, "image", 100);
	}
	assert_int_equal(f->metrics->alerts_dropped, 50);
	while (sent(f) < 1) {
		(void)alerts_tick(f->alerts, hook_kit_now(), &none, "o");
		hook_kit_rest(f->epoll);
	}
	hook_kit_read(&f->scratch, "got", text, sizeof(text));
	/* The first one that is told after that. */
	assert_memory_equal(text, "\"dropped\":50\n", 13);
}

/* Each program is told, one after the other; a failure of one is its own. */
static void test_several_programs(void **state)
{
	struct fixture *f = *state;
	char bad[SCRATCH_PATH + 8], good[SCRATCH_PATH + 8], text[64];
	const char *const programs[] = {bad, good, NULL};
	const struct alert_checkpoint none = {0};
	struct proc p = process(10, 1);

	hook_kit_program(&f->scratch, "bad", "exit 1", bad);
	hook_kit_program(&f->scratch, "good", "echo yes > ${0%good}got", good);
	open_alerts(f, programs);
	offer(f, &p, "image", 100);
	tell_all(f, &none);
	hook_kit_read(&f->scratch, "got", text, sizeof(text));
	assert_string_equal(text, "yes\n");
	assert_int_equal(sent(f), 1);
	assert_int_equal(f->metrics->alerts_failed, 1);
	assert_int_equal(f->failed, 1);
	assert_non_null(strstr(f->why, "/bad: it ended with status 1"));
}

/* A program that writes to the mount must not be told of itself for ever. */
static void test_own_attempts(void **state)
{
	struct fixture *f = *state;
	char place[SCRATCH_PATH + 8], text[64];
	const char *const programs[] = {place, NULL};
	const struct alert_checkpoint none = {0};
	struct proc p = process(10, 1), its = process(0, 1),
		    child = process(1, 1);

	hook_kit_program(&f->scratch, "p",
		"echo $$ > ${0%p}pid.tmp; mv ${0%p}pid.tmp ${0%p}pid\n"
		"while ! test -e ${0%p}go; do sleep 0.01; done",
		place);
	open_alerts(f, programs);
	offer(f, &p, "image", 100);
	do {
		(void)alerts_tick(f->alerts, hook_kit_now(), &none, "o");
		hook_kit_rest(f->epoll);
		hook_kit_read(&f->scratch, "pid", text, sizeof(text));
	} while (!*text);
	its.facts.key.tgid = (pid_t)strtol(text, NULL, 10);
	child.facts.ppid = its.facts.key.tgid;
	offer(f, &its, "image", 101);
	offer(f, &child, "image", 101);
	assert_true(scratch_write(&f->scratch, "go", "", 0));
	tell_all(f, &none);
	assert_int_equal(sent(f), 1);
}

static void *offer_often(void *arg)
{
	struct fixture *f = arg;

	for (int i = 0; i < 2000; i++) {
		struct proc p = process(1 + i % 900, 1);

		offer(f, &p, "image", 100);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct fixture *f = *state;
	char place[SCRATCH_PATH + 8];
	const char *const programs[] = {place, NULL};
	pthread_t threads[4];

	hook_kit_program(&f->scratch, "p", "exit 0", place);
	open_alerts(f, programs);
	for (int i = 0; i < 4; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, offer_often, f), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&f->woken) +
				 f->metrics->alerts_suppressed +
				 f->metrics->alerts_dropped,
		8000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_text, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rate, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_too_many, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_several_programs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_own_attempts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_threads, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
