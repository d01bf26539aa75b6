/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing with linear probing; see table.h. */
#include "fs/tree/table.h"

#include <assert.h>
#include <endian.h>
#include <string.h>
#include <sys/random.h>

#define CAP_MIN 16

int table_key_init(struct table_key *key)
{
	ssize_t n;

	do
		n = getrandom(key, sizeof(*key), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n == sizeof(*key) ? 0 : -EIO;
}

static inline uint64_t rotl(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	v[0] ^= word;
}

uint64_t table_hash(const struct table_key *key, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t v[4] = {
		key->k[0] ^ 0x736f6d6570736575,
		key->k[1] ^ 0x646f72616e646f6d,
		key->k[0] ^ 0x6c7967656e657261,
		key->k[1] ^ 0x7465646279746573,
	};
	uint64_t word = 0;
	size_t left = len;

	for (; left >= sizeof(word); left -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		sip_word(v, le64toh(word));
	}
	word = (uint64_t)len << 56;
	for (size_t i = 0; i < left; i++)
		word |= (uint64_t)p[i] << (8 * i);
	sip_word(v, word);
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void table_done(struct table *t)
{
	free(t->slots);
	*t = (struct table){0};
}

static size_t slot_after(const struct table *t, size_t i)
{
	return (i + 1) & (t->cap - 1);
}

static void put(struct table *t, uint64_t hash, uint64_t value)
{
	size_t i = hash & (t->cap - 1);

	while (t->slots[i].value != TABLE_EMPTY)
		i = slot_after(t, i);
	t->slots[i] = (struct table_slot){.hash = hash, .value = value};
}

/* At most three quarters full, so that a probe always meets an empty slot. */
static int make_room(struct table *t)
{
	if (t->cap && t->count < t->cap / 4 * 3)
		return 0;

	struct table bigger = {.cap = t->cap ? t->cap * 2 : CAP_MIN};
	size_t bytes;

	if (__builtin_mul_overflow(bigger.cap, sizeof(*t->slots), &bytes))
		return -ENOMEM;
	bigger.slots = malloc(bytes);
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < bigger.cap; i++)
		bigger.slots[i].value = TABLE_EMPTY;
	for (size_t i = 0; i < t->cap; i++) {
		if (t->slots[i].value != TABLE_EMPTY)
			put(&bigger, t->slots[i].hash, t->slots[i].value);
	}
	bigger.count = t->count;
	table_done(t);
	*t = bigger;
	return 0;
}

int table_add(struct table *t, uint64_t hash, uint64_t value)
{
	int r = make_room(t);

	assert(value != TABLE_EMPTY);
	if (r < 0)
		return r;
	put(t, hash, value);
	t->count++;
	return 0;
}

struct table_slot *table_next(
	const struct table *t, uint64_t hash, const struct table_slot *pos)
{
	if (t->count == 0)
		return NULL;

	size_t i = pos ? slot_after(t, (size_t)(pos - t->slots))
		       : hash & (t->cap - 1);

	for (; t->slots[i].value != TABLE_EMPTY; i = slot_after(t, i)) {
		if (t->slots[i].hash == hash)
			return &t->slots[i];
	}
	return NULL;
}

/* Close the gap: what follows and would no longer be reached from its own
 * first slot moves into it. */
void table_remove(struct table *t, struct table_slot *slot)
{
	size_t gap = (size_t)(slot - t->slots);
	size_t mask = t->cap - 1;

	for (size_t i = slot_after(t, gap); t->slots[i].value != TABLE_EMPTY;
		i = slot_after(t, i)) {
		size_t first = t->slots[i].hash & mask;

		if (((i - first) & mask) >= ((i - gap) & mask)) {
			t->slots[gap] = t->slots[i];
			gap = i;
		}
	}
	t->slots[gap].value = TABLE_EMPTY;
	t->count--;
}
