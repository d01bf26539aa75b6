/* SPDX-License-Identifier: Apache-2.0 */
/* Who is who: the right facts for the right process, without waiting. */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fs/base/io.h"
#include "tests/unit/proc_kit.h"

static void test_ancestors(void **state)
{
	struct proc_table *t = must_make(NULL);
	struct child c;

	(void)state;
	start(&c, "/", "echo; read x; :");
	await_line(&c);

	struct proc *p = proc_find(t, c.pid), *me = proc_find(t, getpid());

	assert_non_null(p);
	assert_non_null(me);
	assert_ptr_equal(p->parent, me);
	same_link(&me->facts.exe, "/proc/self/exe");
	assert_int_equal(me->facts.ppid, getppid());

	int depth = 0;
	const struct proc *top = p;

	for (; top->parent; top = top->parent) {
		assert_int_equal(top->parent->facts.key.tgid, top->facts.ppid);
		depth++;
	}
	/* To the first process, or as far as we go. */
	assert_true(top->facts.ppid == 0 || depth == PROC_ANCESTORS);
	proc_unref(me);
	proc_unref(p);
	stop(&c);
	proc_table_free(t);
}

static void test_exec(void **state)
{
	struct proc_table *t = must_make(NULL);
	struct child c;

	(void)state;
	start(&c, "/", "echo; read x; exec cat");
	await_line(&c);

	struct proc *before = proc_find(t, c.pid);

	tell(&c); /* read takes this line */
	tell(&c); /* cat gives this one back */
	await_line(&c);

	struct proc *after = proc_find(t, c.pid);

	assert_non_null(before);
	assert_non_null(after);
	assert_ptr_not_equal(before, after);
	assert_int_equal(before->facts.key.tgid, after->facts.key.tgid);
	assert_int_equal(
		before->facts.key.start_ticks, after->facts.key.start_ticks);
	assert_int_not_equal(
		before->facts.key.exec_stamp, after->facts.key.exec_stamp);
	same_text(&before->facts.comm, "sh");
	same_text(&after->facts.comm, "cat");
	proc_unref(before);
	proc_unref(after);
	stop(&c);
	proc_table_free(t);
}

/* ---- threads and numbers ---- */

struct waiter {
	int ready[2], go[2];
	pid_t tid;
};

static void *wait_in_thread(void *arg)
{
	struct waiter *w = arg;
	char letter = 'x';

	w->tid = (pid_t)syscall(SYS_gettid);
	pthread_setname_np(pthread_self(), "other) name");
	if (io_write(w->ready[1], &letter, 1) < 0 ||
		io_read(w->go[0], &letter, 1) != 1)
		abort();
	return NULL;
}

static void test_thread(void **state)
{
	struct proc_table *t = must_make(NULL);
	struct waiter w;
	pthread_t thread;
	char letter;

	(void)state;
	assert_int_equal(pipe2(w.ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(w.go, O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&thread, NULL, wait_in_thread, &w), 0);
	assert_int_equal(io_read(w.ready[0], &letter, 1), 1);

	struct proc *p = proc_find(t, w.tid), *me = proc_find(t, getpid());

	assert_non_null(p);
	assert_ptr_equal(p, me);
	assert_int_equal(p->facts.key.tgid, getpid());
	same_text(&p->facts.comm, program_invocation_short_name);
	proc_unref(p);
	proc_unref(me);
	assert_int_equal(io_write(w.go[1], "x", 1), 0);
	pthread_join(thread, NULL);
	/* pthread_join returns when the kernel has cleared the tid, shortly
	 * before the thread leaves /proc: give it the time it takes. */
	while (syscall(SYS_tgkill, getpid(), w.tid, 0) == 0)
		sched_yield();
	assert_null(proc_find(t, w.tid));
	assert_null(proc_find(t, 0));
	assert_null(proc_find(t, -1));
	for (int i = 0; i < 2; i++) {
		close(w.ready[i]);
		close(w.go[i]);
	}
	proc_table_free(t);
}

/* Have the kernel give out pid next; false when it may not be asked. */
static bool ask_for_pid(pid_t pid)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", pid - 1);
	_cleanup_close_ int fd =
		open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);

	return fd >= 0 && io_write(fd, text, (size_t)len) == 0;
}

/* A number that was given to another process leads to that one. */
static void test_reused_number(void **state)
{
	struct proc_table *t = must_make(NULL);
	struct child old, new = {0};

	(void)state;
	start(&old, "/", "echo; read x; :");
	await_line(&old);

	struct proc *before = proc_find(t, old.pid);

	assert_non_null(before);
	stop(&old);
	/* Others on this machine take numbers too. */
	for (int i = 0; i < 100 && new.pid != old.pid; i++) {
		if (new.pid)
			stop(&new);
		if (!ask_for_pid(old.pid)) {
			proc_unref(before);
			proc_table_free(t);
			print_message("skipped: choosing a pid needs root\n");
			skip();
		}
		start(&new, "/", "exec cat");
	}
	assert_int_equal(new.pid, old.pid);
	tell(&new);
	await_line(&new);

	struct proc *after = proc_find(t, new.pid);

	assert_non_null(after);
	assert_ptr_not_equal(after, before);
	same_text(&after->facts.comm, "cat");
	proc_unref(before);
	proc_unref(after);
	stop(&new);
	proc_table_free(t);
}

static int count_descriptors(void)
{
	_cleanup_closedir_ DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	return n;
}

/* Tables of one entry forget, and are right all the same. */
static void test_bounds(void **state)
{
	const struct proc_options opt = {.max_processes = 1, .max_threads = 1};
	struct proc_table *t = must_make(&opt);
	struct child c[3];
	int descriptors = 0;

	(void)state;
	for (int i = 0; i < 3; i++) {
		start(&c[i], "/", "echo; read x; :");
		await_line(&c[i]);
	}
	for (int i = 0; i < 60; i++) {
		struct proc *p = proc_find(t, c[i % 3].pid);

		assert_non_null(p);
		assert_int_equal(p->facts.key.tgid, c[i % 3].pid);
		assert_int_equal(p->facts.ppid, getpid());
		proc_unref(p);
		if (i == 0)
			descriptors = count_descriptors();
	}
	assert_int_equal(count_descriptors(), descriptors);
	for (int i = 0; i < 3; i++)
		stop(&c[i]);
	proc_table_free(t);
}

/* ---- a read that does not come back ---- */

/* What stands for /proc/PID/cmdline of a process whose mmap lock is held. */
struct gate {
	int ends[2];
	atomic_int entered, left;
};

static ssize_t read_behind_gate(void *arg, int fd, void *buf, size_t len)
{
	struct gate *g = arg;
	char letter;

	atomic_fetch_add(&g->entered, 1);
	if (io_read(g->ends[0], &letter, 1) != 1)
		abort();

	ssize_t n = io_read(fd, buf, len);

	atomic_fetch_add(&g->left, 1);
	return n;
}

static void open_gate(struct gate *g, int times)
{
	for (int i = 0; i < times; i++)
		assert_int_equal(io_write(g->ends[1], "x", 1), 0);
}

static int64_t ms_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static ssize_t get(struct cmdline *c, char *buf, size_t len)
{
	_cleanup_close_ int dir = open("/proc/self", O_PATH | O_CLOEXEC);

	assert_true(dir >= 0);
	return cmdline_get(c, dir, "cmdline", buf, len);
}

static void test_stuck(void **state)
{
	struct gate g = {.entered = 0};
	struct proc_options opt = {.read_cmdline = read_behind_gate,
		.read_cmdline_arg = &g,
		.cmdline_bound_ns = 20000000};
	struct child c;
	int descriptors = count_descriptors();

	(void)state;
	assert_int_equal(pipe2(g.ends, O_CLOEXEC), 0);

	struct proc_table *t = must_make(&opt);

	start(&c, "/", "echo; read x; :");
	await_line(&c);

	struct proc *p = proc_find(t, c.pid);
	int seen = 0;

	/* The child, this process, and all above it: one wait for all. */
	for (const struct proc *q = p; q; q = q->parent) {
		assert_null(q->facts.cmdline.data);
		assert_string_equal(q->facts.cmdline_note, "timeout");
		assert_non_null(q->facts.comm.data);
		seen++;
	}
	assert_true(seen >= 2);
	assert_true(atomic_load(&g.entered) <= 1);
	proc_unref(p);
	stop(&c);

	/* The end of a mount does not wait for it either. */
	int64_t began = ms_now();

	proc_table_free(t);
	assert_true(ms_now() - began < 5000);
	open_gate(&g, 1);
	/* It ends by itself, and gives back what it had. */
	while (atomic_load(&g.left) == 0 ||
		count_descriptors() != descriptors + 2)
		sched_yield();
	close(g.ends[0]);
	close(g.ends[1]);
}

static void test_unstuck(void **state)
{
	struct gate g = {.entered = 0};
	struct cmdline *c = NULL;
	char buf[CMDLINE_MAX + 1];
	ssize_t n = -ETIMEDOUT;

	(void)state;
	assert_int_equal(pipe2(g.ends, O_CLOEXEC), 0);
	assert_int_equal(cmdline_new(read_behind_gate, &g, 20000000, &c), 0);
	assert_int_equal(get(c, buf, sizeof(buf)), -ETIMEDOUT);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(get(c, buf, sizeof(buf)), -ETIMEDOUT);
	assert_true(atomic_load(&g.entered) <= 1);
	/* When it is back, it works again: one letter for the read that was
	 * given up, one for each that is given up on a slow machine. */
	open_gate(&g, 4000);

	int64_t end = ms_now() + 60000;

	while (n == -ETIMEDOUT && ms_now() < end) {
		sched_yield();
		n = get(c, buf, sizeof(buf));
	}
	assert_true(n > 0);
	while (atomic_load(&g.left) != atomic_load(&g.entered))
		sched_yield();
	cmdline_free(c);
	close(g.ends[1]);
	close(g.ends[0]);
}

/* Many askers, one helper: each gets an answer of its own. */
static void *ask_many(void *arg)
{
	char buf[CMDLINE_MAX + 1];
	intptr_t wrong = 0;

	for (int i = 0; i < 500; i++) {
		_cleanup_close_ int dir = open("/proc/self", O_PATH);
		ssize_t n = cmdline_get(arg, dir, "comm", buf, sizeof(buf));

		wrong += n <= 0 || buf[n - 1] != '\n';
	}
	return (void *)wrong;
}

static void test_many_askers(void **state)
{
	struct cmdline *c = NULL;
	pthread_t threads[4];
	void *wrong;

	(void)state;
	assert_int_equal(cmdline_new(NULL, NULL, UINT64_C(60000000000), &c), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, ask_many, c), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
	cmdline_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ancestors),
		cmocka_unit_test(test_exec),
		cmocka_unit_test(test_thread),
		cmocka_unit_test(test_reused_number),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_stuck),
		cmocka_unit_test(test_unstuck),
		cmocka_unit_test(test_many_askers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
