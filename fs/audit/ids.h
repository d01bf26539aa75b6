/* SPDX-License-Identifier: Apache-2.0 */
/* A set of row numbers. */
#ifndef FS_AUDIT_IDS_H
#define FS_AUDIT_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/base/cleanup.h"

#define IDS_MAX ((size_t)1 << 22)

struct ids {
	int64_t *items; /* owned */
	size_t count, room;
};

/* Add one, in any order and also twice. 0; -E2BIG: IDS_MAX; -ENOMEM. */
int ids_add(struct ids *s, int64_t id) must_check;

/* Before the set is asked: items are in order, and there once. */
void ids_sort(struct ids *s);

bool ids_has(const struct ids *s, int64_t id);

/* Index of the first item that is not below id; count when there is none. */
size_t ids_from(const struct ids *s, int64_t id);

/* Empty it and give its memory back. A zeroed set is allowed. */
void ids_done(struct ids *s);

#endif
