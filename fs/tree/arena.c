/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of memory that are only ever filled; see arena.h. */
#include "fs/tree/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#define BLOCK_SIZE ((size_t)256 << 10)

struct arena_block {
	struct arena_block *next;
	alignas(max_align_t) char bytes[];
};

void arena_done(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *next = a->blocks->next;

		free(a->blocks);
		a->blocks = next;
	}
	*a = (struct arena){0};
}

/* A piece that fills a good part of a block gets one of its own, behind the
 * newest, so that what is left of that is not wasted. */
static void *alloc_large(struct arena *a, size_t size)
{
	size_t total;

	if (__builtin_add_overflow(sizeof(struct arena_block), size, &total))
		return NULL;

	struct arena_block *b = malloc(total);

	if (!b)
		return NULL;
	if (a->blocks) {
		b->next = a->blocks->next;
		a->blocks->next = b;
	} else {
		b->next = NULL;
		a->blocks = b;
	}
	return b->bytes;
}

static void *alloc(struct arena *a, size_t size, size_t align)
{
	size_t skip = -(size_t)(uintptr_t)a->free & (align - 1);

	if (size > BLOCK_SIZE / 8)
		return alloc_large(a, size);
	if (a->left < skip || a->left - skip < size) {
		struct arena_block *b = malloc(BLOCK_SIZE);

		if (!b)
			return NULL;
		b->next = a->blocks;
		a->blocks = b;
		a->free = b->bytes;
		a->left = BLOCK_SIZE - sizeof(*b);
		skip = 0;
	}

	void *p = a->free + skip;

	a->free += skip + size;
	a->left -= skip + size;
	return p;
}

void *arena_zalloc(struct arena *a, size_t size)
{
	void *p = alloc(a, size, alignof(max_align_t));

	if (p)
		memset(p, 0, size);
	return p;
}

char *arena_copy(struct arena *a, const void *data, size_t len)
{
	char *p = len < SIZE_MAX ? alloc(a, len + 1, 1) : NULL;

	if (!p)
		return NULL;
	if (len)
		memcpy(p, data, len);
	p[len] = '\0';
	return p;
}
