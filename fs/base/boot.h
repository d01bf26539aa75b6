/* SPDX-License-Identifier: Apache-2.0 */
/* Which boot of the machine this is. */
#ifndef FS_BASE_BOOT_H
#define FS_BASE_BOOT_H

#define BOOT_ID_ROOM 37 /* a UUID with its NUL */

/* The kernel's name for it, "" when it does not say. */
void boot_read_id(char ret[BOOT_ID_ROOM]);

#endif
