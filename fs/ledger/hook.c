/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that are told something; see hook.h. */
#include "fs/ledger/hook.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "fs/base/io.h"

enum { END_MS = 1000 };

void hook_init(struct hook *h, int epoll, int64_t bound_ns)
{
	*h = (struct hook){.epoll = epoll,
		.pidfd = -1,
		.bound = bound_ns ? bound_ns
				  : (int64_t)HOOK_SECONDS * 1000000000};
}

static int64_t boot_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t); /* cannot fail for this clock */
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* A file of memory and not a pipe: nobody has to wait for a reader. */
static int open_input(const void *text, size_t len)
{
	_cleanup_close_ int fd = memfd_create("stele-hook", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;

	int r = io_write(fd, text, len);

	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	return r < 0 ? r : take_fd(fd);
}

/* No signal may be blocked or ignored in it because it is in us. */
static int set_attributes(posix_spawnattr_t *a)
{
	sigset_t none, all;
	short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
		      POSIX_SPAWN_SETPGROUP;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	r = posix_spawnattr_setsigmask(a, &none);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(a, &all);
	if (r == 0)
		r = posix_spawnattr_setpgroup(a, 0);
	return r ? r : posix_spawnattr_setflags(a, flags);
}

static int set_files(posix_spawn_file_actions_t *f, int input)
{
	int r = posix_spawn_file_actions_adddup2(f, input, STDIN_FILENO);

	if (r == 0)
		r = posix_spawn_file_actions_addopen(
			f, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(
			f, STDOUT_FILENO, STDERR_FILENO);
	return r ? r : posix_spawn_file_actions_addclosefrom_np(f, 3);
}

/* 0 or an errno, as the functions of spawn.h have it. */
static int spawn(const char *path, int input, pid_t *ret)
{
	/* Neither is written to by the program's start. */
	char *argv[] = {strdup(path), NULL};
	char search[] = "PATH=/usr/local/sbin:/usr/local/bin:"
			"/usr/sbin:/usr/bin:/sbin:/bin";
	char *env[] = {search, NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int r = argv[0] ? 0 : ENOMEM;

	if (r)
		return r;
	r = posix_spawnattr_init(&attr);
	if (r)
		goto free_path;
	r = posix_spawn_file_actions_init(&files);
	if (r)
		goto destroy_attr;
	r = set_attributes(&attr);
	if (r == 0)
		r = set_files(&files, input);
	if (r == 0)
		r = posix_spawn(ret, path, &files, &attr, argv, env);
	posix_spawn_file_actions_destroy(&files);
destroy_attr:
	posix_spawnattr_destroy(&attr);
free_path:
	free(argv[0]);
	return r;
}

/* The group: what the program has started ends with it. Nothing else can have
 * this number, since we have not taken its end yet. */
static void kill_group(const struct hook *h)
{
	/* It may have ended in this moment. */
	(void)kill(-h->pid, SIGKILL);
	(void)kill(h->pid, SIGKILL);
}

static void forget(struct hook *h)
{
	if (h->pidfd >= 0)
		(void)close(h->pidfd); /* and so it is out of epoll */
	h->pidfd = -1;
	h->pid = 0;
}

static int watch(struct hook *h)
{
	struct epoll_event e = {.events = EPOLLIN};

	h->pidfd = (int)syscall(SYS_pidfd_open, h->pid, 0u);
	if (h->pidfd < 0 ||
		epoll_ctl(h->epoll, EPOLL_CTL_ADD, h->pidfd, &e) < 0)
		return -errno;
	return 0;
}

int hook_start(struct hook *h, const char *path, const void *text, size_t len)
{
	assert(h->pid == 0);

	_cleanup_close_ int input = open_input(text, len);

	if (input < 0)
		return input;

	int r = -spawn(path, input, &h->pid);

	if (r < 0) {
		h->pid = 0;
		return r;
	}
	h->killed = false;
	h->deadline = boot_now() + h->bound;
	r = watch(h);
	if (r < 0)
		hook_done(h);
	return r;
}

void hook_done(struct hook *h)
{
	if (!h->pid)
		return;

	struct pollfd p = {.fd = h->pidfd, .events = POLLIN};

	kill_group(h);
	/* It ends at once, unless it waits inside the kernel, perhaps for the
	 * very mount that ends here: then it is left to init. */
	if (h->pidfd >= 0)
		(void)poll(&p, 1, END_MS);
	(void)waitpid(h->pid, NULL, h->pidfd >= 0 ? WNOHANG : 0);
	forget(h);
}

static int how_it_ended(const struct hook *h, int status, struct diag *diag)
{
	if (h->killed)
		return diag_set(diag, -ETIMEDOUT,
			"it took longer than %lld s and was killed",
			(long long)(h->bound / 1000000000));
	if (WIFSIGNALED(status))
		return diag_set(diag, -ECHILD, "it was ended by signal %d",
			WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		return diag_set(diag, -ECHILD, "it ended with status %d",
			WEXITSTATUS(status));
	return 0;
}

int hook_tick(struct hook *h, int64_t boot_ns, struct diag *diag)
{
	int status;

	if (!h->pid)
		return diag_errno(diag, -EINVAL, "no program was started");
	if (boot_ns >= h->deadline && !h->killed) {
		h->killed = true;
		kill_group(h);
	}

	pid_t pid = waitpid(h->pid, &status, WNOHANG);

	if (pid == 0 || (pid < 0 && errno == EINTR))
		return 1;

	int r = pid < 0 ? diag_errno(diag, -errno, "waiting for it")
			: how_it_ended(h, status, diag);

	forget(h);
	return r;
}
