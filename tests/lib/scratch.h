/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of its own for a test. */
#ifndef TESTS_LIB_SCRATCH_H
#define TESTS_LIB_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>

#define SCRATCH_PATH 256

struct scratch {
	char path[64]; /* absolute, without symbolic links */
};

/* Make a new empty folder. False: errno says why. */
bool scratch_init(struct scratch *s);

/* Remove it with all that is in it; not what is mounted below. */
void scratch_done(const struct scratch *s);

/* FOLDER/NAME, in ret. */
const char *scratch_name(
	const struct scratch *s, const char *name, char ret[SCRATCH_PATH]);

/* Write a file of these bytes. */
bool scratch_write(const struct scratch *s, const char *name, const void *bytes,
	size_t len);

/*
 * Give the process mounts of its own, which end with it. False without the
 * right to (then the test skips).
 */
bool scratch_own_mounts(void);

#endif
