/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads, writes and memory that a test can spoil and count: linked with --wrap
 * (hooked in meson.build). With hook_set_up nothing is spoiled.
 */
#ifndef TESTS_UNIT_PACK_HOOKS_H
#define TESTS_UNIT_PACK_HOOKS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/pack_kit.h"

/* From this offset on, bytes are made when they are read: no two blocks of 4096
 * are equal and none is a hole, and what is read in less is noise. */
#define HOOK_MADE (UINT64_C(1) << 50)

struct hooks {
	/* Called before each read; not 0: the errno that it fails with. */
	int (*read)(uint64_t off, size_t len);
	/* Called before each compression. */
	void (*compress)(void);

	atomic_int writes_left; /* before the disk is full; negative: any */
	long write_nsec;	/* how long a write takes */

	atomic_long memory_left;    /* allocations before one fails; negative:
				     * any number */
	atomic_long allocations;    /* that there were */
	atomic_size_t in_use, peak; /* bytes allocated */
};

extern struct hooks hooks;

/* For cmocka: kit_set_up as well. */
int hook_set_up(void **state);
#define HOOK_TEST(fn) \
	cmocka_unit_test_setup_teardown(fn, hook_set_up, kit_tear_down)

/* A file of made bytes; which tells files apart. */
struct tree_node *hook_made(
	struct kit *k, const char *name, uint64_t size, uint64_t which);

#endif
