/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is taken in small pieces and given back all at once: a tree of
 * a million files would pay more for malloc's headers than for its names.
 * Not thread-safe.
 */
#ifndef FS_TREE_ARENA_H
#define FS_TREE_ARENA_H

#include <stddef.h>

#include "fs/base/cleanup.h"

struct arena {
	struct arena_block *blocks; /* the newest first; owned */
	char *free;		    /* into the newest block */
	size_t left;
};

/* A zeroed arena is empty and ready. Frees every piece. */
void arena_done(struct arena *a);

/* Zeroed memory, aligned for any type. NULL: out of memory. */
void *arena_zalloc(struct arena *a, size_t size) must_check;

/* A copy of len bytes and a NUL. NULL: out of memory. */
char *arena_copy(struct arena *a, const void *data, size_t len) must_check;

#endif
