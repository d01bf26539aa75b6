/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the program ends: one line on standard error, and a documented code.
 */
#ifndef UTIL_EXIT_H
#define UTIL_EXIT_H

#include "fs/base/diag.h"

/* The numbers are documented and stay. */
enum exit_code {
	EXIT_OK = 0,
	EXIT_NO = 1,	/* it worked, and the answer is no: the two differ,
			 * the path is not in the image, it has another id */
	EXIT_USAGE = 2, /* the command line is wrong */
	EXIT_INPUT = 3, /* an image, archive or ledger is malformed or damaged
			 */
	EXIT_UNSUPPORTED = 4, /* newer format, or the kernel lacks something */
	EXIT_DENIED = 5,      /* no permission */
	EXIT_SYSTEM = 6,      /* no such file, full disk, no memory, ... */
	EXIT_CHANGED = 7,     /* a file changed while it was read */
	EXIT_MOUNT = 8,	      /* the mount point is unsuitable or busy */

	/* What is wrong with a ledger: 'stele log verify'. */
	EXIT_LEDGER_EDITED = 20,
	EXIT_LEDGER_TRUNCATED = 21,
	EXIT_LEDGER_ROLLED_BACK = 22,
	EXIT_LEDGER_FORKED = 23,
	EXIT_LEDGER_NOT_SIGNED = 24,
	EXIT_LEDGER_CRASHED = 25,
};

/* -EBADMSG: INPUT, -EOPNOTSUPP: UNSUPPORTED, -EACCES and -EPERM: DENIED,
 * -ESTALE: CHANGED, everything else SYSTEM. */
enum exit_code exit_code_of(int err);

/* Name of the running command, for the start of messages. */
void exit_set_command(const char *name);

/* Print "stele NAME: TEXT" on standard error; returns code. */
int fail(enum exit_code code, const char *fmt, ...) format_like(2, 3);

/* The same with the line of a diag, and the code for err. */
int fail_diag(int err, const struct diag *diag);

/*
 * The last thing main does: write what is still buffered for standard output.
 * Returns code; EXIT_SYSTEM, after a message, when something that was printed
 * could not be written. A closed pipe is no such failure.
 */
int exit_flush(int code);

#endif
