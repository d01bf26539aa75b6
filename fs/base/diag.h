/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line for a person, carried beside an error code: what was being done, to
 * what, why it failed, what to try. fs/ fills it, only util/ prints it.
 */
#ifndef FS_BASE_DIAG_H
#define FS_BASE_DIAG_H

#include <stdarg.h>

#include "fs/base/cleanup.h"

struct diag {
	char text[1024]; /* NUL-terminated, no newline; "" when not set */
};

/*
 * Write the line and return err, so that a failure is one statement:
 *	return diag_set(d, -EBADMSG, "inode %u: ...", ino);
 * Control characters that came in with %s arguments are replaced by '?', since
 * names from an image or an archive are hostile. A too long line is cut.
 * d may be NULL (nobody wants the text). err must be negative.
 */
int diag_set(struct diag *d, int err, const char *fmt, ...) format_like(3, 4);

/* As diag_set, with ": strerror(-err)" added at the end. */
int diag_errno(struct diag *d, int err, const char *fmt, ...) format_like(3, 4);

#endif
