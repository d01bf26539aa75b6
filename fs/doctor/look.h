/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at the running machine. Everything is only read, nothing is locked.
 */
#ifndef FS_DOCTOR_LOOK_H
#define FS_DOCTOR_LOOK_H

#include "fs/base/diag.h"
#include "fs/doctor/facts.h"

struct doctor_look {
	const char *only;    /* this mount point, or NULL: all */
	const char *ledgers; /* folder of ledgers to look for litter, or NULL */
	/* The ledger that readers find for a mount point, to be freed; NULL:
	 * none. */
	char *(*ledger_of)(const char *mount_point);
	/* Does it answer there? Must come back in time, whatever happens. */
	enum doctor_state (*probe)(const struct doctor_seen *s);
};

/* 0; -ENOENT when nothing of ours is mounted on `only`; -errno. */
int doctor_look(const struct doctor_look *how, struct doctor_facts *ret,
	struct diag *diag) must_check;

#endif
