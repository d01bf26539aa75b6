/* SPDX-License-Identifier: Apache-2.0 */
/* Facts of processes: each is what the process is. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "fs/base/io.h"
#include "tests/lib/scratch.h"
#include "tests/unit/proc_kit.h"

struct exe {
	struct stat st;
	int calls;
};

static bool exe_digest(void *arg, uint32_t dev_major, uint32_t dev_minor,
	uint64_t ino, struct digest *ret)
{
	struct exe *e = arg;

	e->calls++;
	if (makedev(dev_major, dev_minor) != e->st.st_dev ||
		ino != e->st.st_ino)
		return false;
	memset(ret->bytes, 0xab, DIGEST_LEN);
	return true;
}

static void check_ids(const struct proc_facts *f)
{
	assert_true(f->uid.real.known && f->gid.fs.known);
	assert_int_equal(f->uid.real.value, getuid());
	assert_int_equal(f->uid.effective.value, geteuid());
	assert_int_equal(f->gid.saved.value, getegid());
	assert_non_null(f->groups.data);
	assert_true(f->cap_eff.known);
	assert_true(f->pid_ns.known && f->mnt_ns.known && f->user_ns.known);
	assert_true(f->pid_ns.value > 0);
}

static void check_times(const struct proc_facts *f)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);

	int64_t now = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;

	/* A minute is plenty for this test, and a clock tick is 10 ms. */
	assert_true(f->start_real <= now + 20000000);
	assert_true(f->start_real > now - INT64_C(60000000000));
}

static void test_facts(void **state)
{
	static const char args[] = "sh\0-c\0echo; read x; :\0zero\0a b\0\0"
				   "\xff\n";
	struct exe exe = {.calls = 0};
	const struct proc_options opt = {
		.exe_digest = exe_digest, .exe_digest_arg = &exe};
	struct proc_table *t = must_make(&opt);
	struct scratch s;
	struct child c;
	char link[64];

	(void)state;
	assert_true(scratch_init(&s));
	assert_int_equal(stat("/bin/sh", &exe.st), 0);
	start(&c, s.path, "echo; read x; :");
	await_line(&c);

	struct proc *p = proc_find(t, c.pid);

	assert_non_null(p);

	const struct proc_facts *f = &p->facts;

	assert_int_equal(f->key.tgid, c.pid);
	assert_int_equal(f->ppid, getpid());
	(void)snprintf(link, sizeof(link), "/proc/%d/exe", c.pid);
	same_link(&f->exe, link);
	assert_true(f->has_exe_file);
	assert_int_equal(f->exe_ino, exe.st.st_ino);
	assert_true(f->has_exe_digest);
	assert_int_equal(f->exe_digest.bytes[31], 0xab);
	same_text(&f->comm, "sh");
	same_bytes(&f->cmdline, args, sizeof(args));
	assert_null(f->cmdline_note);
	same_text(&f->cwd, s.path);
	assert_non_null(f->cgroup.data);
	check_ids(f);
	check_times(f);

	/* Not asked again. */
	struct proc *again = proc_find(t, c.pid);

	assert_ptr_equal(again, p);
	proc_unref(again);
	proc_unref(p);
	stop(&c);
	proc_table_free(t);
	scratch_done(&s);
}

/* What the shell is asked to be before it says that it is ready. */
static void test_modes(void **state)
{
	struct proc_table *t = must_make(NULL);
	struct child c;

	(void)state;
	start(&c, "/", "umask 0137; echo; read x; :");
	await_line(&c);

	struct proc *p = proc_find(t, c.pid), *me = proc_find(t, getpid());

	assert_non_null(p);
	assert_non_null(me);

	const struct proc_facts *f = &p->facts;

	assert_true(f->umask.known && f->vpid.known);
	assert_int_equal(f->umask.value, 0137);
	assert_int_equal(f->vpid.value, c.pid);
	assert_true(f->no_new_privs.known && f->seccomp.known);
	assert_int_equal(
		f->no_new_privs.value, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	assert_int_equal(f->seccomp.value, prctl(PR_GET_SECCOMP));
	proc_unref(p);
	stop(&c);

	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	start(&c, "/", "echo; read x; :");
	await_line(&c);
	p = proc_find(t, c.pid);
	assert_non_null(p);
	assert_int_equal(p->facts.no_new_privs.value, 1);
	proc_unref(p);
	proc_unref(me);
	stop(&c);
	proc_table_free(t);
}

/* Its number there is 1, whatever it is here. */
static void test_pid_namespace(void **state)
{
	static const char script[] =
		"exec unshare -pf --kill-child sh -c 'echo; read x; :'";
	struct proc_table *t = must_make(NULL);
	char path[64], text[32];
	struct child c;
	ssize_t n;

	(void)state;
	if (geteuid() != 0)
		skip_because("a pid namespace needs root");
	start(&c, "/", script);
	await_line(&c);
	(void)snprintf(
		path, sizeof(path), "/proc/%d/task/%d/children", c.pid, c.pid);

	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	n = io_read(fd, text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = '\0';

	pid_t inner = (pid_t)strtol(text, NULL, 10);
	struct proc *p = proc_find(t, inner);

	assert_non_null(p);
	assert_true(p->facts.vpid.known);
	assert_int_equal(p->facts.vpid.value, 1);
	assert_int_equal(p->facts.key.tgid, inner);
	assert_int_not_equal(
		p->facts.pid_ns.value, p->parent->facts.pid_ns.value);
	proc_unref(p);
	stop(&c);
	proc_table_free(t);
}

struct label {
	const char *text;
};

/* A security module that labels everything, and ends labels its own way. */
static ssize_t read_labelled(void *arg, int fd, void *buf, size_t len)
{
	char path[64], target[256];
	const char *label = ((struct label *)arg)->text;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);

	ssize_t n = readlink(path, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	if (!strstr(target, "/attr/current"))
		return io_read(fd, buf, len);
	/* with its NUL, as SELinux has it */
	return label ? snprintf(buf, len, "%s", label) + 1 : -EINVAL;
}

static void check_label(const char *label, const char *want)
{
	struct label l = {label};
	const struct proc_options opt = {
		.read_cmdline = read_labelled, .read_cmdline_arg = &l};
	struct proc_table *t = must_make(&opt);
	struct proc *me = proc_find(t, getpid());

	assert_non_null(me);
	assert_null(me->facts.cmdline_note);
	if (want)
		same_text(&me->facts.lsm, want);
	else
		assert_null(me->facts.lsm.data);
	proc_unref(me);
	proc_table_free(t);
}

static void test_label(void **state)
{
	(void)state;
	check_label("/usr/bin/x (enforce)\n", "/usr/bin/x (enforce)");
	check_label("u:r:t:s0", "u:r:t:s0");
	check_label("\n", NULL);
	check_label("", NULL);
	check_label(NULL, NULL); /* no such module */
}

#define ID "3b8f2a1c9d7e4f60518a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f70"

/* A cgroup with the name of a container; false where none can be made. */
static bool make_cgroup(char path[256], char procs[300])
{
	static const char *const roots[] = {
		"/sys/fs/cgroup/unified", "/sys/fs/cgroup"};

	for (size_t i = 0; i < ARRAY_LEN(roots); i++) {
		(void)snprintf(path, 256, "%s/docker-%s.scope", roots[i], ID);
		(void)snprintf(procs, 300, "%s/cgroup.procs", path);
		if (mkdir(path, 0755) < 0)
			continue;
		if (access(procs, W_OK) == 0)
			return true;
		(void)rmdir(path);
	}
	return false;
}

static void test_container(void **state)
{
	char path[256], procs[300], text[16];
	struct proc_table *t = must_make(NULL);
	struct child c;

	(void)state;
	if (geteuid() != 0 || !make_cgroup(path, procs)) {
		proc_table_free(t);
		skip_because("no cgroup can be made here");
	}
	start(&c, "/", "echo; read x; :");
	await_line(&c);
	(void)snprintf(text, sizeof(text), "%d", c.pid);

	int fd = open(procs, O_WRONLY | O_CLOEXEC);
	int moved = fd < 0 ? -errno : io_write(fd, text, strlen(text));
	struct proc *p = proc_find(t, c.pid), *me = proc_find(t, getpid());

	if (fd >= 0)
		close(fd);
	stop(&c);
	/* It is empty when the kernel is done with the child. */
	while (rmdir(path) < 0 && errno == EBUSY)
		sched_yield();
	assert_int_equal(moved, 0);
	assert_non_null(p);
	assert_non_null(me);
	assert_string_equal(p->facts.container, ID);
	assert_string_equal(p->facts.runtime, "docker");
	assert_null(p->facts.pod);
	assert_true(
		!me->facts.container || strcmp(me->facts.container, ID) != 0);
	proc_unref(p);
	proc_unref(me);
	proc_table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_pid_namespace),
		cmocka_unit_test(test_label),
		cmocka_unit_test(test_container),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
