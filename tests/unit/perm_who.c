/* SPDX-License-Identifier: Apache-2.0 */
/* A process with given ids and capabilities asks the kernel; see perm_kit.h. */
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "fs/base/io.h"
#include "tests/unit/perm_kit.h"
#include "tests/unit/unit.h"

/* What both sides know. */
struct talk {
	const struct subjects *s;
	const struct who *w;
	int (*run)(void); /* instead of asking about subjects */
	struct answers *answers;
	int socket;
};

/* In the child: anything unexpected ends it, which the parent notices. */
static void need(bool good)
{
	if (!good)
		_exit(1);
}

static void say(int socket)
{
	need(write(socket, "x", 1) == 1);
}

static void listen_for(int socket)
{
	char c;

	need(read(socket, &c, 1) == 1);
}

/* An id of ours as the map has it inside. */
static uint32_t inside(const char *map, uint32_t id)
{
	uint32_t in, out, count;
	int used;

	while (map &&
		sscanf(map, "%u %u %u%n", &in, &out, &count, &used) == 3) {
		if (id >= out && id - out < count)
			return id - out + in;
		map += used;
	}
	need(!map);
	return id;
}

static void set_capabilities(const struct who *w)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
		{.effective = (uint32_t)w->effective,
			.permitted = (uint32_t)w->permitted},
		{.effective = (uint32_t)(w->effective >> 32),
			.permitted = (uint32_t)(w->permitted >> 32)},
	};

	need(syscall(SYS_capset, &head, data) == 0);
}

/* By the calls themselves: the library's change all threads. */
static void set_ids(const struct who *w)
{
	uint32_t rgid = inside(w->gid_map, w->rgid);
	uint32_t egid = inside(w->gid_map, w->egid);
	uint32_t ruid = inside(w->uid_map, w->ruid);
	uint32_t euid = inside(w->uid_map, w->euid);

	need(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0);
	need(syscall(SYS_setresgid, rgid, egid, egid) == 0);
	need(syscall(SYS_setresuid, ruid, euid, euid) == 0);
}

static void become(const struct talk *t)
{
	const struct who *w = t->w;

	/* Before: groups need not be mapped to be there. */
	need(syscall(SYS_setgroups, w->group_count, w->groups) == 0);
	if (w->uid_map) {
		need(unshare(CLONE_NEWUSER) == 0);
		say(t->socket);
		listen_for(t->socket); /* the maps are written */
	}
	if (!w->uid_map || *w->uid_map)
		set_ids(w);
	set_capabilities(w);
}

static int ask_access(int dir, const char *name, int mask, int flags)
{
	return syscall(SYS_faccessat2, dir, name, mask, flags) == 0 ? 0 : errno;
}

static void ask_all(const struct talk *t)
{
	static const struct timespec times[2] = {{1, 1}, {1, 1}};
	const struct subjects *s = t->s;
	struct answers *a = t->answers;

	for (int i = 0; i < SUBJECTS; i++) {
		const char *name = s->all[i].name;

		for (int mask = 0; mask < 8; mask++) {
			a->effective[i][mask] =
				ask_access(s->dir, name, mask, AT_EACCESS);
			a->real[i][mask] = ask_access(s->dir, name, mask, 0);
		}
		a->utime[i] = utimensat(s->dir, name, times, 0) ? errno : 0;
	}
	for (int i = 0; i < PARENTS; i++) {
		char path[32];

		(void)snprintf(path, sizeof(path), "%s/%s", s->parents[i].name,
			s->victims[i].name);
		need(unlinkat(s->dir, path, AT_REMOVEDIR) < 0);
		a->rmdir[i] = errno;
	}
}

static void *ask(void *arg)
{
	const struct talk *t = arg;

	become(t);
	t->answers->tid = (int)syscall(SYS_gettid);
	if (t->run)
		t->answers->result = t->run();
	else
		ask_all(t);
	say(t->socket);
	listen_for(t->socket); /* /proc was read */
	return NULL;
}

static void child(struct talk *t)
{
	pthread_t thread;

	/* Should the parent fail, nobody would end us. */
	need(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0);
	if (!t->w->in_thread) {
		(void)ask(t);
	} else {
		need(pthread_create(&thread, NULL, ask, t) == 0);
		need(pthread_join(thread, NULL) == 0);
	}
	_exit(0);
}

static void write_map(int pid, const char *name, const char *map)
{
	char path[64];

	if (!*map)
		return;
	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);

	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, map, strlen(map)), strlen(map));
	assert_int_equal(close(fd), 0);
}

static void await(const struct asking *a)
{
	char c;

	if (read(a->socket, &c, 1) != 1)
		fail_msg("the process that asks has ended");
}

static void start(struct asking *a, struct talk talk)
{
	const struct who *w = talk.w;
	int sockets[2];

	talk.answers = mmap(NULL, sizeof(*talk.answers), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(talk.answers, MAP_FAILED);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	talk.socket = sockets[1];
	*a = (struct asking){.socket = sockets[0], .answers = talk.answers};
	a->pid = fork();
	assert_true(a->pid >= 0);
	if (a->pid == 0) {
		(void)close(sockets[0]); /* the parent's */
		child(&talk);
	}
	assert_int_equal(close(sockets[1]), 0);
	if (w->uid_map) {
		await(a);
		write_map(a->pid, "uid_map", w->uid_map);
		write_map(a->pid, "gid_map", w->gid_map);
		assert_int_equal(write(a->socket, "x", 1), 1);
	}
	await(a);
}

void who_begin(struct asking *a, const struct subjects *s, const struct who *w)
{
	start(a, (struct talk){.s = s, .w = w});
}

void who_run(struct asking *a, const struct who *w, int (*run)(void))
{
	start(a, (struct talk){.w = w, .run = run});
}

void who_end(struct asking *a)
{
	int status;

	assert_int_equal(write(a->socket, "x", 1), 1);
	assert_int_equal(waitpid(a->pid, &status, 0), a->pid);
	assert_int_equal(status, 0);
	assert_int_equal(close(a->socket), 0);
	assert_int_equal(munmap(a->answers, sizeof(*a->answers)), 0);
}
