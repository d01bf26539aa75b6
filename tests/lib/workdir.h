/* SPDX-License-Identifier: Apache-2.0 */
/* A temporary folder for one test, and what tests do in it. */
#ifndef TESTS_LIB_WORKDIR_H
#define TESTS_LIB_WORKDIR_H

#include <stddef.h>
#include <sys/types.h>

struct workdir {
	char path[64];
	int fd; /* of the folder */
};

/* For cmocka: *state is a struct workdir *. 0 or -1. */
int workdir_set_up(void **state);
int workdir_tear_down(void **state);

/* The path of something in the folder, in one of a few static buffers. */
const char *workdir_path(const struct workdir *s, const char *name);

/* All of these stop the test when they fail. Names are below the folder. */
void workdir_file(const struct workdir *s, const char *name, const void *data,
	size_t len);
void workdir_text(const struct workdir *s, const char *name, const char *text);
void workdir_folder(const struct workdir *s, const char *name);
/* Everything, however deep, but the folder itself. */
void workdir_remove(const struct workdir *s, const char *name);

/* Run a program with arguments that end with NULL; it must end with 0. */
void workdir_run(const char *const argv[]);

/* Let this process open no more than 32 descriptors from now on. */
void workdir_few_descriptors(void);

/* One of each kind of thing an image can hold (devices and privileged
 * attributes when we are root), below the folder name, which is made. */
void workdir_all_kinds(const struct workdir *s, const char *name);

#endif
