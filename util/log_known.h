/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of a ledger from elsewhere, to verify it by. */
#ifndef UTIL_LOG_KNOWN_H
#define UTIL_LOG_KNOWN_H

#include "fs/audit/verify.h"
#include "util/opt.h"

struct log_known {
	const char *public_key;	 /* of --public-key, or NULL */
	struct opt_list expects; /* of --expect: files, or lines */

	struct note_key key;
	struct expect expect;
	char *keyfile; /* owned */
};

/* What the options say is kept. log_known_done also if this fails. */
void log_known_init(struct log_known *k);
void log_known_done(struct log_known *k);

/* Read what the options name. -EINVAL for what is no key or checkpoint,
 * -errno; diag says it. */
int log_known_read(struct log_known *k, struct diag *diag) must_check;

/* Options to verify this ledger with, after log_known_read; they borrow from k.
 * 0 or -ENOMEM. */
int log_known_options(struct log_known *k, const char *ledger,
	struct verify_options *ret) must_check;

#endif
