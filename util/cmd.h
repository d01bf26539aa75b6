/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command of the program. Each lives in its own cmd_NAME.c and exports one
 * constant, cmd_NAME; the table in commands.c lists them. Help, man page and
 * completion are made from these structs and from nothing else.
 */
#ifndef UTIL_CMD_H
#define UTIL_CMD_H

#include <stddef.h>
#include <stdio.h>

#include "util/opt.h"

/* What a word on the command line is, for the completion. */
enum operand {
	OPERAND_NONE,
	OPERAND_PATH,
	OPERAND_IMAGE, /* a path, usually *.stele */
	OPERAND_DIR,
	OPERAND_MOUNT, /* a mount point of ours, or a path */
	OPERAND_COMMAND,
};

struct example {
	const char *command;
	const char *what;
};

struct help_exit;

struct command {
	const char *name;
	const char *operands; /* as in the usage line: "IMAGE [PATH...]" */
	const char *summary;  /* one line, lower case, no full stop */
	/* Paragraphs with a blank line between; they are wrapped, lines that
	 * begin with a space are shown as they are. */
	const char *description;
	const struct opt *options;	/* as opt.h; NULL: only --help */
	const struct example *examples; /* ends without command; or NULL */
	enum operand complete;
	/* Commands behind this one, named by all their words: "log verify".
	 * Ends with NULL; or NULL. */
	const struct command *const *subcommands;
	/* How it ends besides what help_exits says; or NULL. */
	const struct help_exit *exits;
	/* argv[0] is the command's last word. Returns an exit_code. */
	int (*run)(const struct command *self, int argc, char **argv);
};

/* All commands in the order of the help; ends with NULL. */
extern const struct command *const commands[];

const struct command *command_find(const char *name);

/*
 * The command behind cmd that is named by one more word, or NULL. Such a word
 * stands directly behind the command and always means this: a file of that name
 * is ./WORD.
 */
const struct command *command_find_sub(
	const struct command *cmd, const char *word);

/* Call print for each command, and behind it for those that it has. */
void commands_print(FILE *f, void (*print)(FILE *f, const struct command *cmd));

#endif
