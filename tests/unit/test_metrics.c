/* SPDX-License-Identifier: Apache-2.0 */
/* The counters, their text, and who is given it. Whether the text is as
 * OpenMetrics wants it is for tests/system/test_metrics.py. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fs/ledger/scrape.h"
#include "tests/unit/hook_kit.h"

#define SECOND (1000 * MS)

struct fixture {
	struct scratch scratch;
	int epoll;
	struct metrics *metrics;
	struct scrape *scrape;
	char path[SCRATCH_PATH], place[SCRATCH_PATH + 8];
};

static int set_up(void **state)
{
	static const struct ledger_mount mount = {
		.mount_point = "/m\"\\\n\xff", .version = "1.0"};
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f || !scratch_init(&f->scratch))
		return -1;
	f->epoll = epoll_create1(EPOLL_CLOEXEC);
	*state = f;
	return f->epoll < 0 ? -1 : metrics_new(&mount, &f->metrics);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	scrape_free(f->scrape);
	metrics_free(f->metrics);
	(void)close(f->epoll);
	scratch_done(&f->scratch);
	free(f);
	return 0;
}

static char *print(struct fixture *f, int64_t now)
{
	struct buf text;

	buf_init(&text, METRICS_MAX);
	assert_int_equal(metrics_print(f->metrics, now, &text), 0);
	assert_int_equal(buf_add(&text, "", 1), 0);
	return text.data;
}

static void must_have(const char *text, const char *line)
{
	char whole[256];

	(void)snprintf(whole, sizeof(whole), "\n%s\n", line);
	if (!strstr(text, whole))
		print_error("no line '%s' in\n%s", line, text ? text : "");
	assert_non_null(strstr(text, whole));
}

/* ---- the text ---- */

static void test_values(void **state)
{
	struct fixture *f = *state;
	struct metrics *m = f->metrics;
	struct metrics_place *p = metrics_add_place(m, "file:/a b");
	_cleanup_free_ char *before = print(f, 0);

	must_have(
		before, "stele_attempts_total{op=\"create\",rule=\"image\"} 0");
	assert_null(strstr(before, "stele_checkpoint_age_seconds"));
	assert_null(strstr(before, "anchor_age_seconds{"));

	metrics_attempt(m, LEDGER_CREATE, "image");
	metrics_attempt(m, LEDGER_CREATE, "image");
	metrics_attempt(m, LEDGER_OPEN, "/a\"b\\c\xc3\n");
	metrics_wait(m, 3 * SECOND / 2);
	metrics_wait(m, 1);
	metrics_add(&m->delayed_ns, 7);
	metrics_add(&m->events[LEDGER_EVENT_ALARM], 4);
	metrics_add(&m->alerts_suppressed, 5);
	atomic_store(&m->checkpoint_time, 100 * SECOND);
	atomic_store(&m->checkpoint_size, 12);
	metrics_add(&p->done, 2);
	atomic_store(&p->last, 104 * SECOND + 1);

	_cleanup_free_ char *text = print(f, 105 * SECOND);

	must_have(text, "stele_attempts_total{op=\"create\",rule=\"image\"} 2");
	must_have(text, "stele_attempts_total{op=\"open\","
			"rule=\"/a\\\"b\\\\x5cc\\\\xc3\\\\x0a\"} 1");
	must_have(text, "stele_queue_wait_seconds 1.500000000");
	must_have(text, "stele_delayed_seconds_total 0.000000007");
	must_have(text, "stele_events_total{kind=\"alarm\"} 4");
	must_have(text, "stele_alerts_total{result=\"suppressed\"} 5");
	must_have(text, "stele_checkpoint_age_seconds 5.000000000");
	must_have(text, "stele_checkpoint_records 12");
	must_have(text, "stele_anchors_total{place=\"file:/a b\"} 2");
	must_have(text,
		"stele_anchor_age_seconds{place=\"file:/a b\"} 0.999999999");
	must_have(text, "# EOF");
	assert_int_equal(metrics_attempts(m), 3);
	/* What the longest wait was is told for one more interval. */
	metrics_turn(m);
	assert_int_equal(atomic_load(&m->wait_last), 3 * SECOND / 2);
	metrics_turn(m);
	assert_int_equal(atomic_load(&m->wait_last), 0);
}

static void *count_rules(void *arg)
{
	struct fixture *f = arg;

	for (int i = 0; i < 20000; i++) {
		char rule[16];

		(void)snprintf(rule, sizeof(rule), "/%d", i % 100);
		metrics_attempt(f->metrics, LEDGER_MKDIR, rule);
	}
	return NULL;
}

/* However many rules there are, each attempt counts once, and each rule that is
 * told apart has one line. */
static void test_many_rules(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, count_rules, f), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(metrics_attempts(f->metrics), 80000);

	_cleanup_free_ char *text = print(f, 0);
	int lines = 0;

	for (const char *p = text; (p = strstr(p, "{op=\"mkdir\"")); p++)
		lines++;
	assert_int_equal(lines, METRICS_RULES + 1); /* and "(other)" */
	must_have(text, "stele_attempts_total{op=\"mkdir\",rule=\"/7\"} 800");
	must_have(text,
		"stele_attempts_total{op=\"mkdir\",rule=\"(other)\"} 29600");
}

/* ---- a file ---- */

static void open_scrape(struct fixture *f, const char *kind, int want)
{
	struct diag diag = {0};

	scratch_name(&f->scratch, "m", f->path);
	(void)snprintf(f->place, sizeof(f->place), "%s:%s", kind, f->path);
	assert_int_equal(
		scrape_new(f->place, f->metrics, f->epoll, &f->scrape, &diag),
		want);
	assert_true((want == 0) == !*diag.text);
}

static void test_file(void **state)
{
	struct fixture *f = *state;
	const struct store_time now = {0};
	char path[SCRATCH_PATH], text[32768];
	struct stat before, after;

	/* Left over by one that was killed. */
	assert_true(scratch_write(&f->scratch, "m.tmp", "x", 1));
	open_scrape(f, "file", 0);
	assert_int_equal(stat(f->path, &before), 0);
	assert_int_equal(before.st_mode & 0777, 0644);
	metrics_attempt(f->metrics, LEDGER_OPEN, "image");
	assert_int_equal(scrape_write(f->scrape, &now), 0);
	assert_int_equal(stat(f->path, &after), 0);
	assert_true(before.st_ino != after.st_ino); /* as a whole */
	hook_kit_read(&f->scratch, "m", text, sizeof(text));
	must_have(text, "stele_attempts_total{op=\"open\",rule=\"image\"} 1");
	assert_string_equal(text + strlen(text) - 6, "# EOF\n");
	assert_int_equal(
		access(scratch_name(&f->scratch, "m.tmp", path), F_OK), -1);
}

/* ---- a socket ---- */

static int connect_to(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(strlen(path) < sizeof(to.sun_path));
	memcpy(to.sun_path, path, strlen(path) + 1);
	assert_int_equal(
		connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/* Serve until the client has all of its answer. */
static char *answer(struct fixture *f, int fd)
{
	char *text = calloc(1, METRICS_MAX);
	int64_t end = hook_kit_now() + 60 * SECOND;
	size_t len = 0;

	assert_non_null(text);
	for (;;) {
		struct store_time now = store_now();
		ssize_t n;

		(void)scrape_tick(f->scrape, &now);
		n = recv(fd, text + len, METRICS_MAX - 1 - len, MSG_DONTWAIT);
		if (n == 0)
			break;
		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			assert_true(now.boot < end);
			hook_kit_rest(f->epoll);
		} else {
			len += (size_t)n;
		}
	}
	(void)close(fd);
	return text;
}

static void test_socket(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	mode_t mask = umask(077);

	open_scrape(f, "unix", 0);
	(void)umask(mask);
	assert_int_equal(stat(f->path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0660);

	/* Who says nothing, or something else than HTTP, gets the text. */
	_cleanup_free_ char *plain = answer(f, connect_to(f->path));

	assert_memory_equal(plain, "# TYPE stele_mount info\n", 24);
	assert_string_equal(plain + strlen(plain) - 6, "# EOF\n");

	int fd = connect_to(f->path);

	assert_int_equal(send(fd, "hello\n", 6, 0), 6);

	_cleanup_free_ char *other = answer(f, fd);

	assert_string_equal(plain, other);

	/* HTTP, in pieces. */
	fd = connect_to(f->path);
	assert_int_equal(send(fd, "GE", 2, 0), 2);

	struct store_time now = store_now();

	(void)scrape_tick(f->scrape, &now);
	assert_int_equal(send(fd, "T / HTTP/1.1\r\n", 14, 0), 14);
	(void)scrape_tick(f->scrape, &now);
	assert_int_equal(send(fd, "Host: x\r\n\r\n", 11, 0), 11);

	_cleanup_free_ char *http = answer(f, fd);
	char head[256];
	int n = snprintf(head, sizeof(head),
		"HTTP/1.0 200 OK\r\nContent-Type: application/"
		"openmetrics-text; version=1.0.0; charset=utf-8\r\n"
		"Content-Length: %zu\r\n\r\n",
		strlen(plain));

	assert_memory_equal(http, head, (size_t)n);
	assert_string_equal(http + n, plain);
	scrape_free(take_ptr(f->scrape));
	assert_int_equal(stat(f->path, &st), -1);
}

/* Whoever does not read, or never ends its request, is in nobody's way. */
static void test_slow_clients(void **state)
{
	struct fixture *f = *state;
	int slow[SCRAPE_CLIENTS * 2];

	open_scrape(f, "unix", 0);
	for (size_t i = 0; i < ARRAY_LEN(slow); i++) {
		struct store_time now = store_now();
		int small = 1;

		slow[i] = connect_to(f->path);
		(void)setsockopt(
			slow[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
		if (i % 2)
			assert_int_equal(send(slow[i], "GET ", 4, 0), 4);
		(void)scrape_tick(f->scrape, &now);
		assert_true(store_now().boot - now.boot < SECOND);
	}

	_cleanup_free_ char *text = answer(f, connect_to(f->path));

	assert_string_equal(text + strlen(text) - 6, "# EOF\n");

	/* After its time each is let go of. */
	struct store_time late = store_now();

	late.boot += 10 * SECOND;
	assert_int_equal(scrape_tick(f->scrape, &late), INT64_MAX);
	for (size_t i = 0; i < ARRAY_LEN(slow); i++)
		(void)close(slow[i]);
}

static void test_names_taken(void **state)
{
	struct fixture *f = *state;
	struct scrape *first;

	open_scrape(f, "unix", 0);
	first = take_ptr(f->scrape);
	open_scrape(f, "unix", -EBUSY); /* somebody answers there */

	/* Left over by one that was killed: nobody answers. */
	char kept[SCRATCH_PATH];

	assert_int_equal(
		link(f->path, scratch_name(&f->scratch, "kept", kept)), 0);
	scrape_free(first);
	assert_int_equal(rename(kept, f->path), 0);
	open_scrape(f, "unix", 0);
	scrape_free(take_ptr(f->scrape));

	assert_true(scratch_write(&f->scratch, "m", "text", 4));
	open_scrape(f, "unix", -EEXIST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_values, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_many_rules, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_socket, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_slow_clients, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_names_taken, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
