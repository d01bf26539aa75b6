/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints arrive in each kind of place as they are, and failures are told.
 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fs/ledger/anchor.h"
#include "tests/unit/hook_kit.h"

#define NOTE                                                          \
	"host/stele/0123\n12\nROOT=\n\n\xe2\x80\x94 host/stele/0123 " \
	"SIGNATURE=\n"
#define LINE                                                                 \
	"stele checkpoint host/stele/0123 12 ROOT= \xe2\x80\x94 host/stele/" \
	"0123 SIGNATURE="

struct told {
	int done, failed;
	uint64_t size; /* of the last one */
	int error;
	char why[256];
};

struct fixture {
	struct scratch scratch;
	int epoll;
	struct metrics *metrics;
	struct anchors *anchors;
	struct told told;
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

	anchors_free(f->anchors);
	metrics_free(f->metrics);
	(void)close(f->epoll);
	scratch_done(&f->scratch);
	free(f);
	return 0;
}

static void note_result(
	void *arg, const char *place, uint64_t size, int error, const char *why)
{
	struct told *t = arg;

	if (error)
		t->failed++;
	else
		t->done++;
	t->size = size;
	t->error = error;
	(void)snprintf(t->why, sizeof(t->why), "%s", why ? why : "");
}

static void open_anchors(struct fixture *f, const char *place, int64_t bound)
{
	const char *const places[] = {place, NULL};
	const struct anchor_options opt = {
		.places = places,
		.metrics = f->metrics,
		.epoll = f->epoll,
		.program_ns = bound,
		.done = note_result,
		.arg = &f->told,
	};
	struct diag diag = {0};
	int r = anchors_new(&opt, &f->anchors, &diag);

	if (r < 0)
		print_error("%d %s\n", r, diag.text);
	assert_int_equal(r, 0);
}

static void put(struct fixture *f, uint64_t size)
{
	anchors_put(f->anchors, NOTE, strlen(NOTE), size);
}

/* Until so many have ended, well or not. */
static void wait_for(struct fixture *f, int count)
{
	int64_t end = hook_kit_now() + 60000 * MS;

	while (f->told.done + f->told.failed < count) {
		(void)anchors_tick(f->anchors, hook_kit_now());
		assert_true(hook_kit_now() < end);
		hook_kit_rest(f->epoll);
	}
}

static void test_file(void **state)
{
	struct fixture *f = *state;
	char path[SCRATCH_PATH], place[SCRATCH_PATH + 8], text[1024];
	struct stat st;

	(void)snprintf(place, sizeof(place), "file:%s",
		scratch_name(&f->scratch, "notes", path));
	open_anchors(f, place, 0);
	put(f, 12);
	put(f, 13);
	hook_kit_read(&f->scratch, "notes", text, sizeof(text));
	assert_string_equal(text, NOTE "\n" NOTE "\n");
	assert_int_equal(f->told.done, 2);
	assert_int_equal(f->told.size, 13);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);

	/* A link in its place is not followed. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/dev/null", path), 0);
	put(f, 14);
	assert_int_equal(f->told.error, -ELOOP);
	assert_int_equal(f->metrics->places[0].done, 2);
	assert_int_equal(f->metrics->places[0].failed, 1);
}

static void test_syslog(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	char path[SCRATCH_PATH], place[SCRATCH_PATH + 8], text[1024];
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	scratch_name(&f->scratch, "log", path);
	(void)snprintf(place, sizeof(place), "syslog:%s", path);
	open_anchors(f, place, 0); /* the daemon may come later */
	put(f, 1);
	assert_int_equal(f->told.error, -ENOENT);

	assert_true(strlen(path) < sizeof(at.sun_path));
	memcpy(at.sun_path, path, strlen(path) + 1);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	put(f, 12);
	assert_int_equal(f->told.done, 1);

	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);
	int priority, day, hour, minute, second, pid, at_text = 0;
	char month[4];

	assert_true(n > 0);
	text[n] = '\0';
	assert_int_equal(
		sscanf(text, "<%d>%3s %2d %2d:%2d:%2d stele[%d]: %n", &priority,
			month, &day, &hour, &minute, &second, &pid, &at_text),
		7);
	assert_int_equal(priority, 85); /* authpriv.notice */
	assert_int_equal(pid, getpid());
	assert_string_equal(text + at_text, LINE);

	/* Nobody takes them: a failure, and no waiting. */
	for (int i = 0; i < 10000 && f->told.failed == 1; i++)
		put(f, 13);
	assert_int_equal(f->told.error, -EAGAIN);
	(void)close(fd);
}

static void test_output(void **state)
{
	struct fixture *f = *state;
	int ends[2], before = dup(STDOUT_FILENO);
	char text[sizeof(LINE) + 1] = "";

	open_anchors(f, "stdout", 0);
	assert_int_equal(pipe(ends), 0);
	(void)fflush(stdout);
	assert_true(dup2(ends[1], STDOUT_FILENO) >= 0);
	put(f, 12);
	for (int i = 0; i < 10000 && f->told.failed == 0; i++)
		put(f, 13); /* nobody reads */
	assert_true(dup2(before, STDOUT_FILENO) >= 0);
	assert_int_equal(
		read(ends[0], text, sizeof(text) - 1), sizeof(text) - 1);
	assert_string_equal(text, LINE "\n");
	assert_int_equal(f->told.error, -EAGAIN);
	assert_true(f->told.done > 1);
	(void)close(before);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static void test_program(void **state)
{
	struct fixture *f = *state;
	char place[SCRATCH_PATH + 8], text[4096];

	/* Its input, what it is given, and what it inherits. */
	hook_kit_program(&f->scratch, "p",
		"cat > ${0%p}got\n"
		"echo $# >> ${0%p}got\n"
		"env | grep -v -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD="
		" >> ${0%p}got\n"
		"for n in 3 4 5 6 7 8 9; do\n"
		"  test -e /proc/$$/fd/$n && echo $n >> ${0%p}got\n"
		"done\n"
		"grep SigIgn /proc/$$/status | tail -c 8 >> ${0%p}got\n"
		"echo noise; echo noise >&2",
		place);
	assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	open_anchors(f, place, 0);
	put(f, 12);
	wait_for(f, 1);
	assert_int_equal(f->told.done, 1);
	assert_int_equal(f->told.size, 12);
	hook_kit_read(&f->scratch, "got", text, sizeof(text));
	assert_string_equal(text,
		NOTE "0\n"
		     "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
		     "/sbin:/bin\n"
		     "0000000\n");
}

static void test_program_fails(void **state)
{
	struct fixture *f = *state;
	char place[SCRATCH_PATH + 8], path[SCRATCH_PATH];

	hook_kit_program(&f->scratch, "p", "exit 3", place);
	open_anchors(f, place, 0);
	put(f, 1);
	wait_for(f, 1);
	assert_int_equal(f->told.error, -ECHILD);
	assert_string_equal(f->told.why, "it ended with status 3");
	hook_kit_program(&f->scratch, "p", "kill -9 $$", place);
	put(f, 1);
	wait_for(f, 2);
	assert_string_equal(f->told.why, "it was ended by signal 9");
	assert_int_equal(unlink(scratch_name(&f->scratch, "p", path)), 0);
	put(f, 1);
	wait_for(f, 3);
	assert_int_equal(f->told.error, -ENOENT);
}

static bool is_alive(long pid)
{
	char path[64], text[512] = "";

	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", pid);

	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return false;
	return !strstr(text, ") Z ");
}

/* Killed when its time is over, with what it has started. */
static void test_program_hangs(void **state)
{
	struct fixture *f = *state;
	char place[SCRATCH_PATH + 8], text[64];

	hook_kit_program(&f->scratch, "p",
		"sleep 1000 & echo $! > ${0%p}child\n"
		"wait",
		place);
	open_anchors(f, place, 300 * MS);
	put(f, 1);
	wait_for(f, 1);
	assert_int_equal(f->told.error, -ETIMEDOUT);
	hook_kit_read(&f->scratch, "child", text, sizeof(text));

	long child = strtol(text, NULL, 10);

	assert_true(child > 1);
	/* It may take a moment until somebody has taken its end. */
	while (is_alive(child))
		hook_kit_rest(f->epoll);
}

/* While it is busy, only the latest of what comes is kept. */
static void test_program_is_slow(void **state)
{
	struct fixture *f = *state;
	char place[SCRATCH_PATH + 8], text[4096];

	hook_kit_program(&f->scratch, "p",
		"cat >> ${0%p}got\n"
		"while ! test -e ${0%p}go; do sleep 0.01; done",
		place);
	open_anchors(f, place, 0);
	put(f, 1);
	put(f, 2);
	put(f, 3);
	assert_true(anchors_tick(f->anchors, hook_kit_now()) < INT64_MAX);
	assert_int_equal(f->told.done, 0);
	assert_true(scratch_write(&f->scratch, "go", "", 0));
	wait_for(f, 2);
	assert_int_equal(f->told.done, 2);
	assert_int_equal(f->told.size, 3);
	assert_int_equal(anchors_tick(f->anchors, hook_kit_now()), INT64_MAX);
	hook_kit_read(&f->scratch, "got", text, sizeof(text));
	assert_string_equal(text, NOTE NOTE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_syslog, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_output, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_program, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_program_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_program_hangs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_program_is_slow, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
