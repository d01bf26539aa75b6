/* SPDX-License-Identifier: Apache-2.0 */
/* The program: finds the command and runs it. */
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "util/cmd.h"
#include "util/exit.h"
#include "util/help.h"
#include "util/mount_helper.h"
#include "util/out.h"
#include "util/suggest.h"

/* With 0, 1 or 2 closed, the next file that is opened would be taken for a
 * standard stream, and messages would be written into an image. */
static bool open_standard_streams(void)
{
	/* Below the first open one there is no other: open takes the lowest. */
	for (int fd = 0; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
			return false;
	}
	return true;
}

static int unknown_command(const char *name)
{
	struct suggest near = {.typed = name};

	for (const struct command *const *c = commands; *c; c++)
		suggest_offer(&near, (*c)->name);
	if (near.best)
		return fail(EXIT_USAGE,
			"unknown command '%s' (did you mean '%s'?); try 'stele "
			"--help'",
			name, near.best);
	return fail(
		EXIT_USAGE, "unknown command '%s'; try 'stele --help'", name);
}

static int run(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;
	const struct command *cmd, *sub;

	if (!name) {
		help_overview(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
		help_overview(stdout);
		return EXIT_OK;
	}
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
		printf("stele %s\n", STELE_VERSION);
		return EXIT_OK;
	}
	if (name[0] == '-')
		return fail(EXIT_USAGE,
			"unknown option %s before the command; try 'stele "
			"--help'",
			name);
	cmd = command_find(name);
	if (!cmd)
		return unknown_command(name);
	argc--;
	argv++;
	sub = argc > 1 ? command_find_sub(cmd, argv[1]) : NULL;
	if (sub) {
		cmd = sub;
		argc--;
		argv++;
	}
	exit_set_command(cmd->name);
	return cmd->run(cmd, argc, argv);
}

int main(int argc, char **argv)
{
	int code;

	if (!open_standard_streams())
		return EXIT_SYSTEM;
	/* A reader that goes away must not kill a build half-way; whoever
	 * prints much stops when ferror(stdout) says so. */
	(void)signal(SIGPIPE, SIG_IGN);
	/* What a terminal can show; numbers and messages stay as they are. */
	(void)setlocale(LC_CTYPE, "");

	if (argc > 0 && mount_helper_is(argv[0]))
		code = mount_helper_run(argc, argv);
	else
		code = run(argc, argv);
	out_pager_end();
	return exit_flush(code);
}
