/* SPDX-License-Identifier: Apache-2.0 */
/* Taking away what dead mounts left, and never anything that is in use. */
#ifndef FS_DOCTOR_SWEEP_H
#define FS_DOCTOR_SWEEP_H

#include "fs/doctor/facts.h"

/*
 * Remove a lock without holder, or a link that leads to nothing, after another
 * look: -EBUSY when it is in use after all. 0 or -errno.
 */
int doctor_sweep(const struct doctor_litter *l) must_check;

#endif
