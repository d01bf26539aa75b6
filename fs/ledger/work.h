/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the parts of the ledger that work behind the attempts (clerk, retention,
 * gaps) get at the database: through the same line that attempts stand in.
 */
#ifndef FS_LEDGER_WORK_H
#define FS_LEDGER_WORK_H

#include "fs/ledger/ledger.h"
#include "fs/ledger/store.h"

/*
 * Run fn inside a transaction of the one writer, of its own, and commit: 0, or
 * what fn or the commit gave, and then nothing of it is stored; fn is not run
 * again. Thread-safe; fn must be short, since attempts wait for it, and may not
 * call the ledger.
 */
int ledger_work(struct ledger *l, int (*fn)(struct store *s, void *arg),
	void *arg) must_check;

#endif
