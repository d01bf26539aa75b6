/* SPDX-License-Identifier: Apache-2.0 */
/* A set of row numbers; see ids.h. */
#include "fs/audit/ids.h"

int ids_add(struct ids *s, int64_t id)
{
	if (s->count == s->room) {
		size_t room = s->room ? s->room * 2 : 64;
		int64_t *items;

		if (s->count == IDS_MAX)
			return -E2BIG;
		items = reallocarray(s->items, room, sizeof(*items));
		if (!items)
			return -ENOMEM;
		s->items = items;
		s->room = room;
	}
	s->items[s->count++] = id;
	return 0;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

void ids_sort(struct ids *s)
{
	size_t kept = 0;

	if (s->count > 1)
		qsort(s->items, s->count, sizeof(*s->items), compare);
	for (size_t i = 0; i < s->count; i++)
		if (kept == 0 || s->items[kept - 1] != s->items[i])
			s->items[kept++] = s->items[i];
	s->count = kept;
}

size_t ids_from(const struct ids *s, int64_t id)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->items[middle] < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool ids_has(const struct ids *s, int64_t id)
{
	size_t at = ids_from(s, id);

	return at < s->count && s->items[at] == id;
}

void ids_done(struct ids *s)
{
	free(s->items);
	*s = (struct ids){0};
}
