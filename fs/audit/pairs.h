/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of numbers that are hashes, to count what is distinct. Two things with
 * one hash of 64 bits count once: among ten million, once in 400,000 runs.
 */
#ifndef FS_AUDIT_PAIRS_H
#define FS_AUDIT_PAIRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/base/cleanup.h"

/* 128 MiB. */
#define PAIRS_SLOTS_MAX ((size_t)1 << 24)

struct pairs {
	uint64_t *slots; /* owned; 0: free */
	size_t count, room;
};

/* 1 when it is new, 0 when it was there; -E2BIG: it is new, and there is no
 * more room; -ENOMEM. */
int pairs_add(struct pairs *p, uint64_t a, uint64_t b) must_check;
void pairs_done(struct pairs *p); /* zeroed is allowed */

#endif
