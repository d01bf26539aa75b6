/* SPDX-License-Identifier: Apache-2.0 */
/* A set of hashes; see pairs.h. */
#include "fs/audit/pairs.h"

#include "fs/codec/digest.h"

#define SLOTS_FIRST 1024

static size_t find(const uint64_t *slots, size_t room, uint64_t hash)
{
	size_t at = hash & (room - 1);

	while (slots[at] && slots[at] != hash)
		at = (at + 1) & (room - 1);
	return at;
}

static int grow(struct pairs *p)
{
	size_t room = p->room ? p->room * 2 : SLOTS_FIRST;
	uint64_t *slots;

	if (room > PAIRS_SLOTS_MAX)
		return -E2BIG;
	slots = calloc(room, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < p->room; i++)
		if (p->slots[i])
			slots[find(slots, room, p->slots[i])] = p->slots[i];
	free(p->slots);
	p->slots = slots;
	p->room = room;
	return 0;
}

int pairs_add(struct pairs *p, uint64_t a, uint64_t b)
{
	const uint64_t both[] = {a, b};
	uint64_t hash = checksum(both, sizeof(both));
	size_t at;

	hash += hash == 0;
	if (p->room) {
		at = find(p->slots, p->room, hash);
		if (p->slots[at])
			return 0;
	}
	if (p->count >= p->room / 4 * 3) {
		int r = grow(p);

		if (r < 0)
			return r;
	}
	at = find(p->slots, p->room, hash);
	p->slots[at] = hash;
	p->count++;
	return 1;
}

void pairs_done(struct pairs *p)
{
	free(p->slots);
	*p = (struct pairs){0};
}
