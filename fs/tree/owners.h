/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of users and groups in an archive, looked up on this machine and
 * remembered. Not thread-safe.
 */
#ifndef FS_TREE_OWNERS_H
#define FS_TREE_OWNERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/base/cleanup.h"

enum owner_kind { OWNER_USER, OWNER_GROUP };

struct owners;

/* numeric: numbers in the archive come before names. NULL: out of memory. */
struct owners *owners_new(bool numeric) must_check;
void owners_free(struct owners *o); /* NULL is allowed */
DEFINE_CLEANUP(owners_free, struct owners *);

bool owners_is_numeric(const struct owners *o);

/* The number of a name; -ENOENT when this machine does not know it. */
int owners_find(struct owners *o, enum owner_kind kind, const char *name,
	uint32_t *ret) must_check;

#endif
