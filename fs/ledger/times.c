/* SPDX-License-Identifier: Apache-2.0 */
/* A histogram that doubles its span; see times.h. */
#include "fs/ledger/times.h"

void times_init(struct times *t)
{
	*t = (struct times){.width = TIMES_WIDTH};
}

static uint32_t sum(uint32_t a, uint32_t b)
{
	return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

static void merge_pairs(struct times *t)
{
	for (int i = 0; i < TIMES_BUCKETS / 2; i++)
		t->count[i] = sum(t->count[2 * i], t->count[2 * i + 1]);
	for (int i = TIMES_BUCKETS / 2; i < TIMES_BUCKETS; i++)
		t->count[i] = 0;
	t->width *= 2;
}

void times_add(struct times *t, uint64_t ns)
{
	while (ns / t->width >= TIMES_BUCKETS)
		merge_pairs(t);

	uint32_t *count = &t->count[ns / t->width];

	*count = sum(*count, 1);
}

static uint8_t *put(uint8_t *at, uint64_t value, int len)
{
	for (int i = 0; i < len; i++)
		*at++ = (uint8_t)(value >> 8 * i);
	return at;
}

void times_print(const struct times *t, uint8_t ret[TIMES_LEN])
{
	uint8_t *at = put(ret, t->width, 8);

	for (int i = 0; i < TIMES_BUCKETS; i++)
		at = put(at, t->count[i], 4);
}
