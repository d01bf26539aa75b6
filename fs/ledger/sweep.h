/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which rows of processes can go with the records that retention removes: those
 * that no record, open fold or other process refers to, and that no process in
 * memory has as its row. There is no index from a process to its records, and
 * to look through all of them for each segment would cost more than the segment
 * did. So the writer remembers of each of its processes what refers to it last;
 * of one that is gone only if that was long after it came.
 *
 * Processes that earlier mounts have entered stay until their mount goes.
 * Belongs to the one writer.
 */
#ifndef FS_LEDGER_SWEEP_H
#define FS_LEDGER_SWEEP_H

#include <stddef.h>
#include <stdint.h>

#include "fs/db/db.h"
#include "fs/who/proc.h"

struct sweep_old {
	int64_t row, used;
};

struct sweep {
	struct proc **known; /* references to those that have a row */
	size_t count, room, tidy_at;
	struct sweep_old *old; /* that are gone, and were used for long */
	size_t old_count, old_room;
	int64_t floor;	/* rows up to it stay */
	int64_t looked; /* rows up to it are not too new to go */
};

/* Rows up to this one are not ours. */
void sweep_init(struct sweep *w, int64_t last_row);
void sweep_done(struct sweep *w);

/* A record refers to it; its number. Numbers only grow. */
void sweep_use(struct proc *p, int64_t seq);

/* A process will have a row, and the first record that refers to it, or to a
 * process under it, this number. */
void sweep_new(struct proc *p, int64_t seq);

/* That row is committed. */
void sweep_enter(struct sweep *w, struct proc *p);

/* In a transaction: all records up to last are gone. 0 or as db.h. */
int sweep_run(struct sweep *w, struct db *db, int64_t last) must_check;

#endif
