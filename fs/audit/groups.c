/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of attempts; see groups.h. */
#include "fs/audit/groups.h"

#include <string.h>

#include "fs/codec/digest.h"

#define SLOTS_FIRST 64

static bool same(
	const struct group *g, uint64_t hash, const char *key, size_t len)
{
	return g->hash == hash && g->key_len == len &&
	       memcmp(g->bytes, key, len) == 0;
}

/* Where a key is, or would be. */
static struct group **find(
	const struct groups *g, uint64_t hash, const char *key, size_t len)
{
	size_t at = hash & (g->room - 1);

	while (g->slots[at] && !same(g->slots[at], hash, key, len))
		at = (at + 1) & (g->room - 1);
	return &g->slots[at];
}

static int resize(struct groups *g, size_t room)
{
	struct groups next = {.room = room};

	next.slots = calloc(room, sizeof(struct group *));
	if (!next.slots)
		return -ENOMEM;
	for (size_t i = 0; i < g->room; i++) {
		struct group *group = g->slots[i];

		if (group)
			*find(&next, group->hash, group->bytes,
				group->key_len) = group;
	}
	free(g->slots);
	g->slots = next.slots;
	g->room = room;
	return 0;
}

static struct group *new_group(
	const struct buf *bytes, size_t key_len, uint64_t hash)
{
	struct group *group = malloc(sizeof(*group) + bytes->len);

	if (!group)
		return NULL;
	*group = (struct group){
		.hash = hash,
		.first = INT64_MAX,
		.last = INT64_MIN,
		.seen = INT64_MAX,
		.key_len = (uint32_t)key_len,
		.len = (uint32_t)bytes->len,
	};
	if (bytes->len)
		memcpy(group->bytes, bytes->data, bytes->len);
	return group;
}

int groups_get(struct groups *g, const struct buf *bytes, size_t key_len,
	struct group **ret)
{
	uint64_t hash = checksum(bytes->data, key_len);
	int r = 0;

	if (g->count >= g->room / 2)
		r = resize(g, g->room ? g->room * 2 : SLOTS_FIRST);
	if (r < 0)
		return r;

	struct group **slot = find(g, hash, bytes->data, key_len);

	if (!*slot) {
		*slot = new_group(bytes, key_len, hash);
		if (!*slot)
			return -ENOMEM;
		(*slot)->more_paths = g->forgotten > 0;
		g->count++;
		g->bytes += sizeof(**slot) + bytes->len;
		if (g->most < g->count)
			g->most = g->count;
	}
	*ret = *slot;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct group *x = *(struct group *const *)a;
	const struct group *y = *(struct group *const *)b;
	size_t len = x->key_len < y->key_len ? x->key_len : y->key_len;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;

	int r = memcmp(x->bytes, y->bytes, len);

	return r ? r : (x->key_len > y->key_len) - (x->key_len < y->key_len);
}

struct group **groups_sorted(const struct groups *g)
{
	struct group **all = calloc(g->count + 1, sizeof(struct group *));
	size_t count = 0;

	if (!all)
		return NULL;
	for (size_t i = 0; i < g->room; i++)
		if (g->slots[i])
			all[count++] = g->slots[i];
	qsort(all, count, sizeof(struct group *), compare);
	return all;
}

int groups_forget(struct groups *g)
{
	_cleanup_free_ struct group **all = groups_sorted(g);
	size_t keep = g->count / 2;

	if (!all)
		return -ENOMEM;
	if (g->count == 0)
		return 0;
	if (__builtin_add_overflow(
		    g->forgotten, all[keep]->count, &g->forgotten))
		g->forgotten = INT64_MAX;
	memset(g->slots, 0, g->room * sizeof(struct group *));
	for (size_t i = 0; i < keep; i++)
		*find(g, all[i]->hash, all[i]->bytes, all[i]->key_len) = all[i];
	for (size_t i = keep; i < g->count; i++) {
		g->bytes -= sizeof(*all[i]) + all[i]->len;
		free(all[i]);
	}
	g->count = keep;
	return 0;
}

void groups_done(struct groups *g)
{
	for (size_t i = 0; i < g->room; i++)
		free(g->slots[i]);
	free(g->slots);
	*g = (struct groups){0};
}
