/* SPDX-License-Identifier: Apache-2.0 */
/* Help texts for a person, made from the command table. */
#ifndef UTIL_HELP_H
#define UTIL_HELP_H

#include <stddef.h>
#include <stdio.h>

struct command;

/* What `stele --help` prints: what it is, all commands, exit codes. */
void help_overview(FILE *f);

/* What `stele COMMAND --help` prints. */
void help_command(FILE *f, const struct command *cmd);

/* Print a paragraph that begins in column `at`, its further lines indented by
 * `indent`. */
void help_wrap(FILE *f, const char *text, int at, int indent);

/* The meaning of exit codes, in the order of their numbers. */
struct help_exit {
	int code;
	const char *meaning;
};

extern const struct help_exit help_exits[]; /* ends without meaning */

/* What the program is, in a paragraph. */
extern const char help_about[];

#endif
