/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups of attempts, found by what they have in common. When there are too
 * many, those with the fewest attempts are forgotten, and the greatest number
 * that was: so it is known how much any count can be too low.
 */
#ifndef FS_AUDIT_GROUPS_H
#define FS_AUDIT_GROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/base/buf.h"

#define GROUPS_MAX ((size_t)1 << 20)

struct group {
	uint64_t hash;
	int64_t count, first, last, paths;
	int64_t seen; /* the first attempt, also such as do not count */
	int64_t proc_id;
	bool more_paths;
	uint32_t key_len; /* bytes that make the group */
	uint32_t len;	  /* and such as go with it */
	char bytes[];
};

struct groups {
	struct group **slots; /* owned, and what they point to; NULL: free */
	size_t count, room;   /* room: a power of two */
	size_t most;	      /* that there were at one time */
	size_t bytes;	      /* of memory */
	int64_t forgotten;    /* as summary_table.forgotten */
};

/*
 * The group whose key are the first key_len of these bytes; it is made when it
 * is not there: then *ret has no attempts yet. 0 or -ENOMEM. Pointers hold
 * until groups_forget.
 */
int groups_get(struct groups *g, const struct buf *bytes, size_t key_len,
	struct group **ret) must_check;

/* Forget the half with the fewest attempts. 0 or -ENOMEM. */
int groups_forget(struct groups *g) must_check;

/* All groups in an array of the caller's; NULL when out of memory. The most
 * attempts come first; then who came first. */
struct group **groups_sorted(const struct groups *g) must_check;

void groups_done(struct groups *g); /* zeroed is allowed */

#endif
