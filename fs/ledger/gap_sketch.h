/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which paths were seen, in fixed space: a Bloom filter, and HyperLogLog
 * registers for how many different ones. Adding only sets bits or raises
 * registers, so bytes that are written twice, or before the rest, are right.
 */
#ifndef FS_LEDGER_GAP_SKETCH_H
#define FS_LEDGER_GAP_SKETCH_H

#include "fs/base/buf.h"
#include "fs/codec/digest.h"

#define SKETCH_BITS (1u << 18)
#define SKETCH_HASHES 4
#define SKETCH_REGISTERS 1024
#define SKETCH_PAGE 4096
#define SKETCH_PAGES (SKETCH_BITS / 8 / SKETCH_PAGE + 1)

struct sketch {
	uint8_t bits[SKETCH_BITS / 8];
	uint8_t registers[SKETCH_REGISTERS];
	uint8_t unused[SKETCH_PAGE - SKETCH_REGISTERS];
};

/*
 * Add a name. counts: it counts as one of the different ones. Returns which of
 * the pages that the struct consists of have changed, a bit for each.
 */
unsigned sketch_add(struct sketch *s, const struct digest *name, bool counts);

/* About how many different names were counted; within some 3 %. */
uint64_t sketch_estimate(const struct sketch *s);

/*
 * The filter with as few bits as tell names apart reasonably: bits may be set
 * to half. Appended as base64; *ret_bits is how many there are. 0 or as buf.
 */
int sketch_pack(
	const struct sketch *s, struct buf *ret, uint32_t *ret_bits) must_check;

/* May the name be in a filter of so many bits (a power of two)? */
bool sketch_may_hold(
	const uint8_t *filter, uint32_t bits, const struct digest *name);

#endif
