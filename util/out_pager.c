/* SPDX-License-Identifier: Apache-2.0 */
/* Standard output through a pager; see out.h. */
#include "util/out_pager.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "util/out.h"

/* There is one standard output, so there is one pager. */
static struct {
	pid_t pid;    /* 0: none runs */
	int terminal; /* what standard output was before */
	struct sigaction interrupt;
} pager;

bool out_pager_runs(void)
{
	return pager.pid > 0;
}

/* Start the pager with `in` as its input. 0 or -errno. */
static int spawn(int in, pid_t *ret)
{
	const char *command = getenv("PAGER");
	const char *const by_shell[] = {"sh", "-c", command, NULL};
	const char *const by_default[] = {"less", "-FRX", NULL};
	const char *const *argv = command ? by_shell : by_default;
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t defaults;
	int r;

	r = posix_spawn_file_actions_init(&files);
	if (r != 0)
		return -r;
	r = posix_spawnattr_init(&attr);
	if (r != 0) {
		posix_spawn_file_actions_destroy(&files);
		return -r;
	}
	/* main ignores SIGPIPE; a pager that writes into one should not. */
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	(void)posix_spawnattr_setsigdefault(&attr, &defaults); /* never fails */
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
	r = posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
	if (r == 0) /* which does not change argv: the cast is POSIX's */
		r = posix_spawnp(ret, argv[0], &files, &attr,
			(char *const *)(uintptr_t)argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return -r;
}

static bool is_wanted(void)
{
	const char *command = getenv("PAGER"), *term = getenv("TERM");

	if (pager.pid || !isatty(STDOUT_FILENO))
		return false;
	if (command && (!*command || strcmp(command, "cat") == 0))
		return false;
	return term && strcmp(term, "dumb") != 0;
}

/* The person may stop the pager's search with ^C; it is not meant for us. */
static void ignore_interrupt(void)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};

	(void)sigaction(SIGINT, &ignore, &pager.interrupt); /* never fails */
}

/* Without a pager everything still works, so nothing here is an error. */
void out_pager_begin(void)
{
	int ends[2];

	if (!is_wanted() || fflush(stdout) != 0 || pipe2(ends, O_CLOEXEC) < 0)
		return;

	_cleanup_close_ int in = ends[0], out = ends[1];
	_cleanup_close_ int terminal = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);

	if (terminal < 0 || spawn(in, &pager.pid) < 0) {
		pager.pid = 0;
		return;
	}
	pager.terminal = take_fd(terminal);
	ignore_interrupt();
	(void)dup2(out, STDOUT_FILENO); /* both are open */
}

void out_pager_end(void)
{
	if (!pager.pid)
		return;
	(void)fflush(stdout); /* fails when the person has seen enough */
	(void)dup2(pager.terminal, STDOUT_FILENO); /* the pager sees the end */
	(void)close(pager.terminal);
	clearerr(stdout);
	while (waitpid(pager.pid, NULL, 0) < 0 && errno == EINTR)
		;
	pager.pid = 0;
	(void)sigaction(SIGINT, &pager.interrupt, NULL);
}
