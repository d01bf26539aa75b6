/* SPDX-License-Identifier: Apache-2.0 */
/* How the program ends; see exit.h. */
#include "util/exit.h"

#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

/* The one thing about a run that every message needs; set once by main. */
static const char *command_name;

enum exit_code exit_code_of(int err)
{
	switch (err) {
	case -EBADMSG: return EXIT_INPUT;
	case -EOPNOTSUPP: return EXIT_UNSUPPORTED;
	case -EACCES:
	case -EPERM: return EXIT_DENIED;
	case -ESTALE: return EXIT_CHANGED;
	default: return EXIT_SYSTEM;
	}
}

void exit_set_command(const char *name)
{
	command_name = name;
}

/* Words of the command line and names of files come through here: no byte of
 * them may begin a new line or talk to the terminal. */
static void print_line(const char *text)
{
	flockfile(stderr);
	fputs("stele", stderr);
	if (command_name)
		fprintf(stderr, " %s", command_name);
	fputs(": ", stderr);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		putc_unlocked(c < 0x20 || c == 0x7f ? '?' : c, stderr);
	}
	putc_unlocked('\n', stderr);
	funlockfile(stderr);
}

int fail(enum exit_code code, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);

	/* What was written so far belongs before the message. */
	(void)fflush(stdout); /* exit_flush tells of an error */
	print_line(text ? text : "out of memory");
	return (int)code;
}

int fail_diag(int err, const struct diag *diag)
{
	if (diag && diag->text[0])
		return fail(exit_code_of(err), "%s", diag->text);
	return fail(exit_code_of(err), "%s", strerror(-err));
}

/* A pipe that nobody reads any more: `stele ls | head` is no failure. */
static bool nobody_reads(void)
{
	struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLERR);
}

int exit_flush(int code)
{
	int err = fflush(stdout) != 0 ? errno : 0;

	if (!ferror(stdout) || err == EPIPE || nobody_reads())
		return code;
	clearerr(stdout);
	/* The errno of an earlier write is gone. */
	return fail(EXIT_SYSTEM, "write to standard output: %s",
		err ? strerror(err) : "what was printed is incomplete");
}
