/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands, in the order of a user's first hour with them. */
#include <string.h>

#include "util/cmd.h"

extern const struct command cmd_build;
extern const struct command cmd_mount;
extern const struct command cmd_umount;
extern const struct command cmd_policy;
extern const struct command cmd_log;
extern const struct command cmd_ls;
extern const struct command cmd_cat;
extern const struct command cmd_info;
extern const struct command cmd_extract;
extern const struct command cmd_diff;
extern const struct command cmd_verify;
extern const struct command cmd_doctor;
extern const struct command cmd_help;

const struct command *const commands[] = {
	&cmd_build,
	&cmd_mount,
	&cmd_umount,
	&cmd_policy,
	&cmd_log,
	&cmd_ls,
	&cmd_cat,
	&cmd_info,
	&cmd_extract,
	&cmd_diff,
	&cmd_verify,
	&cmd_doctor,
	&cmd_help,
	NULL,
};

const struct command *command_find(const char *name)
{
	for (const struct command *const *c = commands; *c; c++) {
		if (strcmp((*c)->name, name) == 0)
			return *c;
	}
	return NULL;
}

const struct command *command_find_sub(
	const struct command *cmd, const char *word)
{
	size_t skip = strlen(cmd->name) + 1;

	for (const struct command *const *c = cmd->subcommands; c && *c; c++) {
		if (strcmp((*c)->name + skip, word) == 0)
			return *c;
	}
	return NULL;
}

void commands_print(FILE *f, void (*print)(FILE *f, const struct command *cmd))
{
	for (const struct command *const *c = commands; *c; c++) {
		print(f, *c);
		for (const struct command *const *s = (*c)->subcommands;
			s && *s; s++)
			print(f, *s);
	}
}
