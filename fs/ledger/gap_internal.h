/* SPDX-License-Identifier: Apache-2.0 */
/* A gap as gap.c keeps it and gap_text.c tells it. */
#ifndef FS_LEDGER_GAP_INTERNAL_H
#define FS_LEDGER_GAP_INTERNAL_H

#include "fs/ledger/gap.h"
#include "fs/ledger/gap_sketch.h"

#define PATH_KEPT 4095 /* bytes of a path */
#define OPS_MAX 32     /* kinds of attempts there is room for */

enum count {
	COUNT_MAGIC,
	COUNT_GENERATION,
	COUNT_NUMBER,
	COUNT_ATTEMPTS,
	COUNT_FIRST, /* times by the wall clock */
	COUNT_LAST,
	COUNT_OPS,
	COUNT_FIRST_LEN = COUNT_OPS + OPS_MAX, /* of the paths */
	COUNT_LAST_LEN,
	COUNT_NUMBERS,
};

_Static_assert(LEDGER_OP_COUNT <= OPS_MAX, "room for all kinds");

struct counts {
	uint64_t n[COUNT_NUMBERS];
	char first[PATH_KEPT], last[PATH_KEPT];
};

struct gap {
	int fd;
	bool fsync;
	bool damaged;
	struct hasher *hasher;
	struct counts now, written;
	struct sketch sketch;
	unsigned dirty; /* pages of sketch */
};

#endif
