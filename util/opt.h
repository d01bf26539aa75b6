/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options from a table. A command keeps its values in a struct of its own; the
 * table says at which offset each option's value goes.
 */
#ifndef UTIL_OPT_H
#define UTIL_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct command;

enum opt_kind {
	OPT_FLAG,   /* bool: set to true */
	OPT_STRING, /* const char *: the last one given wins */
	OPT_LIST,   /* struct opt_list: all that are given, in order */
	OPT_NUMBER, /* int64_t: decimal, between min and max */
};

struct opt_list {
	const char **items; /* owned; the strings are argv's */
	size_t count;
};

struct opt {
	const char *name; /* long name without "--", or NULL */
	char letter;	  /* or 0; the table ends with neither */
	enum opt_kind kind;
	size_t offset;	   /* into the values struct */
	const char *value; /* name of the value in the help, "N", "FILE" */
	const char *help;
	int64_t min, max; /* OPT_NUMBER */
};

/*
 * Parse options (anywhere before "--") into values; what is left are operands,
 * moved to the front of argv from index 1 on. --help prints the command's help
 * on standard output. Returns the number of operands; -1 when the caller
 * should return *ret_exit at once (help was printed, or a wrong option was
 * explained on standard error), and then the lists in values are empty.
 */
int opt_parse(const struct command *cmd, int argc, char **argv, void *values,
	int *ret_exit);

void opt_list_done(struct opt_list *l);

/* Print "stele NAME: TEXT; try 'stele NAME --help'"; returns EXIT_USAGE. */
int opt_misuse(const struct command *cmd, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
