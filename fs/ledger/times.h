/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the attempts of one record were made: a histogram of TIMES_BUCKETS
 * equal spans of time from the first attempt on. A span has 1 ms at first;
 * when an attempt comes behind the last one, pairs are merged and the span is
 * twice as long, as often as it takes.
 *
 * As a blob (column times): the length of a span in ns, 8 bytes; then
 * TIMES_BUCKETS counts of 4 bytes; all little-endian. A count that does not fit
 * stays at the greatest that does.
 */
#ifndef FS_LEDGER_TIMES_H
#define FS_LEDGER_TIMES_H

#include <stdint.h>

#define TIMES_BUCKETS 32
#define TIMES_LEN (8 + 4 * TIMES_BUCKETS)
#define TIMES_WIDTH UINT64_C(1000000) /* at first */

struct times {
	uint64_t width; /* ns */
	uint32_t count[TIMES_BUCKETS];
};

void times_init(struct times *t);

/* An attempt, so many ns after the first one. */
void times_add(struct times *t, uint64_t ns);

void times_print(const struct times *t, uint8_t ret[TIMES_LEN]);

#endif
