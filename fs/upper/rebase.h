/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making what was written over one image fit for another. An upper remembers
 * the files that it was copied from by their file handles, which name other
 * files in another image: the kernel refuses the mount (ESTALE), or would mix
 * up inode numbers and hard links.
 */
#ifndef FS_UPPER_REBASE_H
#define FS_UPPER_REBASE_H

#include "fs/base/diag.h"

/*
 * Forget the handles in the upper and the index of the overlay that lies in a
 * folder; all that was written stays. May be repeated. Files of the image that
 * had several names, of which one was written, are separate files from then on.
 * 0 or -errno.
 */
int rebase(int dir, struct diag *diag) must_check;

#endif
