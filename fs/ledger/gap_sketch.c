/* SPDX-License-Identifier: Apache-2.0 */
/* A Bloom filter and HyperLogLog registers; see gap_sketch.h. */
#include "fs/ledger/gap_sketch.h"

#include <string.h>

#include "fs/base/base64.h"

/* Smaller filters save nothing. */
#define BITS_LEAST 512

_Static_assert(sizeof(struct sketch) == SKETCH_PAGES * SKETCH_PAGE, "pages");

/* One of the 32-bit numbers that a digest consists of. */
static uint32_t word(const struct digest *d, unsigned n)
{
	const uint8_t *p = d->bytes + n * sizeof(uint32_t);

	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

static unsigned set_bit(struct sketch *s, uint32_t bit)
{
	uint8_t mask = (uint8_t)(1u << bit % 8);
	uint32_t at = bit / 8;

	if (s->bits[at] & mask)
		return 0;
	s->bits[at] |= mask;
	return 1u << at / SKETCH_PAGE;
}

/* The register says how many zeros the rarest of its names began with. */
static unsigned raise_register(struct sketch *s, const struct digest *name)
{
	uint32_t rest = word(name, SKETCH_HASHES + 1);
	uint8_t rank = (uint8_t)(rest ? __builtin_clz(rest) + 1 : 33);
	uint8_t *r =
		&s->registers[word(name, SKETCH_HASHES) % SKETCH_REGISTERS];

	if (*r >= rank)
		return 0;
	*r = rank;
	return 1u << (SKETCH_PAGES - 1);
}

unsigned sketch_add(struct sketch *s, const struct digest *name, bool counts)
{
	unsigned pages = counts ? raise_register(s, name) : 0;

	for (unsigned i = 0; i < SKETCH_HASHES; i++)
		pages |= set_bit(s, word(name, i) % SKETCH_BITS);
	return pages;
}

/* The natural logarithm of x >= 1; here for want of libm. */
static double logarithm(double x)
{
	const double ln2 = 0.69314718055994531;
	double sum = 0, y, power;

	for (; x >= 2; x /= 2)
		sum += ln2;
	y = (x - 1) / (x + 1); /* at most 1/3 */
	power = y;
	for (int i = 1; i < 40; i += 2, power *= y * y)
		sum += 2 * power / i;
	return sum;
}

uint64_t sketch_estimate(const struct sketch *s)
{
	const double m = SKETCH_REGISTERS;
	double sum = 0;
	int zeros = 0;

	for (int i = 0; i < SKETCH_REGISTERS; i++) {
		sum += 1.0 / (double)(UINT64_C(1) << (s->registers[i] & 63));
		zeros += s->registers[i] == 0;
	}

	double n = 0.7213 / (1 + 1.079 / m) * m * m / sum;

	/* Few names: how many registers are untouched tells more. */
	if (n <= 2.5 * m && zeros)
		n = m * logarithm(m / zeros);
	return (uint64_t)(n + 0.5);
}

static uint32_t count_bits(const uint8_t *filter, uint32_t bits)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < bits / 8; i++)
		n += (uint32_t)__builtin_popcount(filter[i]);
	return n;
}

/* Bits are numbers modulo the size, so the upper half may be laid over the
 * lower one as long as that does not fill it. */
int sketch_pack(const struct sketch *s, struct buf *ret, uint32_t *ret_bits)
{
	uint32_t bits = SKETCH_BITS;
	_cleanup_free_ uint8_t *filter = malloc(bits / 8);

	if (!filter)
		return -ENOMEM;
	memcpy(filter, s->bits, bits / 8);
	while (bits > BITS_LEAST && count_bits(filter, bits) <= bits / 4) {
		bits /= 2;
		for (uint32_t i = 0; i < bits / 8; i++)
			filter[i] |= filter[bits / 8 + i];
	}

	int r = base64_add(ret, filter, bits / 8);

	if (r == 0)
		*ret_bits = bits;
	return r;
}

bool sketch_may_hold(
	const uint8_t *filter, uint32_t bits, const struct digest *name)
{
	for (unsigned i = 0; i < SKETCH_HASHES; i++) {
		uint32_t bit = word(name, i) % bits;

		if (!(filter[bit / 8] >> bit % 8 & 1))
			return false;
	}
	return true;
}
