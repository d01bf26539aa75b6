/* SPDX-License-Identifier: Apache-2.0 */
/* Running a program of e2fsprogs on a file. */
#ifndef FS_UPPER_PROGRAM_H
#define FS_UPPER_PROGRAM_H

#include "fs/base/diag.h"

/* What the program knows the file as. */
#define PROGRAM_FILE "/proc/self/fd/3"

/*
 * Run argv[0], which ends with NULL, with the file open as descriptor 3, and
 * wait for it. Its exit status; -ENOPKG when it is not installed, -errno; diag
 * has the first line that it said, or why it could not be started.
 */
int program_run(
	const char *const *argv, int file, struct diag *diag) must_check;

#endif
