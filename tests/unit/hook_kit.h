/* SPDX-License-Identifier: Apache-2.0 */
/* Programs for tests of what is told to programs. */
#ifndef TESTS_UNIT_HOOK_KIT_H
#define TESTS_UNIT_HOOK_KIT_H

#include <stdint.h>

#include "tests/lib/scratch.h"

#define MS INT64_C(1000000)

/* Make the program NAME of this shell text ("$0" is its path), and "exec:" with
 * its path. */
const char *hook_kit_program(const struct scratch *s, const char *name,
	const char *text, char ret[SCRATCH_PATH + 8]);

/* Wait at most a moment for something on epoll. */
void hook_kit_rest(int epoll);

/* CLOCK_BOOTTIME, ns. */
int64_t hook_kit_now(void);

/* The content of a file as a string; "" when there is none. */
void hook_kit_read(
	const struct scratch *s, const char *name, char *ret, size_t room);

#endif
