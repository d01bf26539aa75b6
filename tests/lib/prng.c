/* SPDX-License-Identifier: Apache-2.0 */
/* Repeatable randomness; see prng.h. */
#include "tests/lib/prng.h"

#include <string.h>

/* SplitMix64. */
uint64_t prng_next(struct prng *p)
{
	uint64_t x = p->state += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

uint64_t prng_below(struct prng *p, uint64_t limit)
{
	return prng_next(p) % limit;
}

void prng_fill(struct prng *p, void *dst, size_t len)
{
	uint8_t *to = dst;

	while (len) {
		uint64_t x = prng_next(p);
		size_t n = len < sizeof(x) ? len : sizeof(x);

		memcpy(to, &x, n);
		to += n;
		len -= n;
	}
}
