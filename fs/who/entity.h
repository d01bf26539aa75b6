/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A name for one program in one process of one boot of one machine, for output:
 * ECS calls it process.entity_id, OCSF process.uid. The same in every ledger
 * that saw the process, and after any number of looks.
 */
#ifndef FS_WHO_ENTITY_H
#define FS_WHO_ENTITY_H

#include <stdint.h>

#include "fs/base/cleanup.h"

#define PROC_ENTITY_LEN 32

/*
 * The first half of a SHA-256, in lower-case hexadecimal. Numbers are those of
 * table proc; boot_id is of any length, NULL as "". 0 or -ENOMEM.
 */
int proc_entity(const char *boot_id, int64_t tgid, int64_t start_ticks,
	int64_t exec_stamp, char ret[PROC_ENTITY_LEN + 1]) must_check;

#endif
