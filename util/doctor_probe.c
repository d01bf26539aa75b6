/* SPDX-License-Identifier: Apache-2.0 */
/* Asking a mount whether somebody serves it; see doctor_probe.h. */
#include "util/doctor_probe.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#define PATIENCE_MS 5000

/*
 * In a child, since it may wait for ever: statfs is always asked of the server,
 * and its errno is what the child ends with. Who did not mount it may not be
 * let in, so the child becomes who did, after it has gone there: that one may
 * not go through the /proc of another.
 */
static int ask(const char *path, uid_t user, gid_t group)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct statfs st;

	if (fd < 0)
		return errno;
	if (geteuid() == 0 && (user || group) &&
		(setresgid(group, group, group) < 0 ||
			setresuid(user, user, user) < 0))
		return errno;
	return fstatfs(fd, &st) < 0 ? errno : 0;
}

/* "user_id=1000" among the options; 0 is also what is assumed. */
static unsigned option_number(const char *options, const char *name)
{
	const char *at = strstr(options, name);

	return at ? (unsigned)strtoul(at + strlen(name), NULL, 10) : 0;
}

enum doctor_state doctor_probe(const struct doctor_seen *s)
{
	_cleanup_free_ char *path = NULL;
	int status = 0;

	if (asprintf(&path, "/proc/%d/root%s", (int)s->pid, s->m.dir) < 0) {
		path = NULL;
		return DOCTOR_UNKNOWN;
	}

	pid_t child = fork();

	if (child == 0)
		_exit(ask(path, option_number(s->m.super, "user_id="),
			option_number(s->m.super, "group_id=")));
	if (child < 0)
		return DOCTOR_UNKNOWN;

	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, child, 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};

	/* Without descriptors for it nothing can be said; it ends by itself. */
	if (fd < 0 || poll(&p, 1, PATIENCE_MS) == 0) {
		(void)kill(child, SIGKILL); /* it may not feel it now */
		return fd < 0 ? DOCTOR_UNKNOWN : DOCTOR_STUCK;
	}
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return DOCTOR_UNKNOWN;
	if (WEXITSTATUS(status) == ENOTCONN)
		return DOCTOR_DEAD;
	return WEXITSTATUS(status) == 0 ? DOCTOR_ANSWERS : DOCTOR_UNKNOWN;
}
