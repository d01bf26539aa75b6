/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that look random, the same in each run for the same seed. */
#ifndef TESTS_LIB_PRNG_H
#define TESTS_LIB_PRNG_H

#include <stddef.h>
#include <stdint.h>

/* Any state will do as a seed. */
struct prng {
	uint64_t state;
};

uint64_t prng_next(struct prng *p);

/* From 0 to limit - 1. */
uint64_t prng_below(struct prng *p, uint64_t limit);

void prng_fill(struct prng *p, void *dst, size_t len);

#endif
