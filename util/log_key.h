/* SPDX-License-Identifier: Apache-2.0 */
/* The public key of a ledger, as given on the command line. */
#ifndef UTIL_LOG_KEY_H
#define UTIL_LOG_KEY_H

#include "fs/base/diag.h"
#include "fs/seal/note.h"

/* The key itself, or a file whose one line is the key. -EINVAL when it is
 * neither, -errno of the file; diag says it. */
int log_key_read(
	const char *given, struct note_key *ret, struct diag *diag) must_check;

#endif
