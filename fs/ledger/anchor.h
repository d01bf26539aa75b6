/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies of checkpoints in places that whoever can change the ledger can't
 * change as well:
 *
 *	file:PATH	the notes, appended, an empty line behind each
 *	syslog		one line each, to /dev/log
 *	syslog:PATH	to another socket of that kind
 *	stdout		the same line, on standard output
 *	exec:PATH	a program that gets the note as its standard input
 *
 * The line is "stele checkpoint ORIGIN SIZE ROOT SIGNATURE", where SIGNATURE is
 * the signature line of the note.
 *
 * Belongs to one thread (the clerk's), which it does not hold up: a socket or
 * pipe that is full is a failure, and a program runs beside. When a program is
 * still busy with one checkpoint, it gets the latest one after that.
 */
#ifndef FS_LEDGER_ANCHOR_H
#define FS_LEDGER_ANCHOR_H

#include "fs/base/diag.h"
#include "fs/ledger/metrics.h"

/* What became of a checkpoint of this size in a place: error 0, or why not. */
typedef void (*anchor_done)(void *arg, const char *place, uint64_t size,
	int error, const char *why);

struct anchor_options {
	const char *const *places; /* ends with NULL; or NULL. Borrowed */
	struct metrics *metrics;   /* borrowed */
	int epoll;		   /* see hook.h */
	int64_t program_ns;	   /* time of a program; 0: as hook.h */
	anchor_done done;
	void *arg;
};

struct anchors;

/*
 * -EINVAL for a place of no such kind or a relative path; -E2BIG for more than
 * METRICS_PLACES; -errno when a file can't be written or there is no such
 * program. diag says which and why.
 */
int anchors_new(const struct anchor_options *opt, struct anchors **ret,
	struct diag *diag) must_check;

/* Programs that run are ended. NULL is allowed. */
void anchors_free(struct anchors *a);
DEFINE_CLEANUP(anchors_free, struct anchors *);

/* Put a checkpoint that is safe on disk in every place. */
void anchors_put(
	struct anchors *a, const char *note, size_t len, uint64_t size);

/* See to the programs. When to call again if epoll does not wake (by
 * CLOCK_BOOTTIME); INT64_MAX: none runs. */
int64_t anchors_tick(struct anchors *a, int64_t boot_ns);

/* A note as one line, with its newline. -EBADMSG when it is none; -ENOMEM. */
int anchor_line(const char *note, size_t len, struct buf *ret) must_check;

#endif
