/* SPDX-License-Identifier: Apache-2.0 */
/* Folders that are made on the way to something. */
#ifndef FS_BASE_FOLDERS_H
#define FS_BASE_FOLDERS_H

#include "fs/base/diag.h"

/* Make each missing folder of an absolute path, with mode 0700; those that are
 * there stay as they are. 0 or -errno; diag names the one that failed. */
int folders_make(const char *path, struct diag *diag) must_check;

#endif
