/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of looking share. */
#ifndef FS_DOCTOR_LOOK_INTERNAL_H
#define FS_DOCTOR_LOOK_INTERNAL_H

#include "fs/doctor/look.h"

/* Processes that have /dev/fuse open. */
struct look_daemons {
	struct doctor_daemon *all; /* owned */
	size_t count, cap;
};

void look_daemons_done(struct look_daemons *d);

/*
 * Go through /proc: our mounts in each namespace, and the daemons. 0 or
 * -ENOMEM; a process that ends meanwhile is none.
 */
int look_processes(struct doctor_facts *f, struct look_daemons *d) must_check;

/* What can't be had stays unknown. 0 or -ENOMEM. */
int look_store(struct doctor_store *s) must_check;
int look_litter(struct doctor_facts *f, const struct look_daemons *d,
	const char *folder) must_check;
int look_machine(struct doctor_machine *m) must_check;

/* Make room for one more element of a growing array; NULL: no memory. */
void *look_grow(void *all, size_t count, size_t *cap, size_t size);

/* A small file of /proc or /sys as a string, or NULL. */
char *look_text(const char *path);

#endif
