/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX access control lists: from the text that archives carry to the value
 * of system.posix_acl_access and _default.
 */
#ifndef FS_TREE_ACL_H
#define FS_TREE_ACL_H

#include "fs/base/buf.h"
#include "fs/base/diag.h"
#include "fs/tree/owners.h"
#include "fs/tree/tar_pax.h"

struct acl_mode {
	bool minimal;  /* the list says no more than permission bits do */
	uint32_t mode; /* the 0777 bits that go with it: as the kernel has it,
			* the mask is the group's */
};

/*
 * Entries "user:NAME:rwx" (or u, group, g, mask, m, other, o) between commas or
 * newlines; a fourth field is the number of NAME; "#" begins a comment.
 * A name that is no number is looked up in owners; the fourth field counts when
 * that does not know the name, and comes first when owners is numeric. (GNU tar
 * writes no fourth field, not even with --numeric-owner.)
 * The value is put in *ret in the order that the kernel wants. -EBADMSG for
 * what is not a complete, valid list of known names, -E2BIG, -ENOMEM.
 */
int acl_from_text(struct span text, struct owners *owners, struct buf *ret,
	struct acl_mode *ret_mode, struct diag *diag) must_check;

#endif
