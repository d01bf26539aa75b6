/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mounted image: from the options to the end of the session.
 */
#ifndef FS_MOUNT_MOUNT_H
#define FS_MOUNT_MOUNT_H

#include <stdbool.h>

#include "fs/base/diag.h"
#include "fs/codec/digest.h"
#include "fs/ledger/ledger.h"

struct mount;

/* A path that something will be mounted on. */
struct mount_place {
	const char *path; /* absolute and clean */
	bool is_file;
};

struct mount_options {
	const char *image;	 /* absolute path */
	const char *mount_point; /* absolute path without symbolic links */
	const char *ledger;	 /* path; its folder exists */
	const char *text;	 /* the options as given, for the record */
	const char *version;	 /* of the program, for the record */

	/* Where the image lacks one of these, an empty folder or file appears.
	 */
	const struct mount_place *places;
	size_t place_count;

	const struct digest *expect_id; /* refuse another image; may be NULL */

	bool allow_other;   /* others than the mounter may enter */
	bool suid;	    /* honour set-id bits (mount as root only) */
	bool noexec;	    /* refuse to execute */
	bool nonempty;	    /* the mount point may hold entries */
	bool verify_always; /* SHA-256 at each read of a frame */

	/* How the ledger is kept, and what it calls this mount (or NULL). The
	 * mount itself knows the digests of programs. */
	struct ledger_options ledger_options;
	const char *label;

	/* Called when the mount stands, before the ledger is opened: the last
	 * moment to make room for it. 0, or -errno and diag: the mount is
	 * taken away again. May be NULL. */
	int (*before_ledger)(void *arg, struct diag *diag);
	void *before_ledger_arg;

	/* Called when it is unmounted, before the ledger is closed. May be
	 * NULL. */
	void (*unmounted)(void *arg);
	void *unmounted_arg;

	/* What names the policy of the writable paths, or NULL. */
	const struct digest *policy;

	unsigned threads;   /* workers; 0: default */
	size_t cache_bytes; /* decompressed frames; 0: default */
};

/*
 * Open the image and the ledger, check the mount point and mount. Nothing is
 * answered yet. On failure nothing stays mounted, and diag says what and why:
 * -ENOENT, -ENOTDIR, -ENOTEMPTY, -EBUSY, -ELOOP (image or ledger below the
 * mount point) for the mount point; -ENODEV without /dev/fuse; -EPERM;
 * -ESTALE when the image is not expect_id; errors of image_open, ledger_open.
 * Errors about the mount point set *ret_point.
 */
int mount_new(const struct mount_options *opt, struct mount **ret,
	bool *ret_point, struct diag *diag) must_check;

/*
 * Serve until the file system is unmounted or SIGTERM, SIGINT or SIGHUP comes.
 * ready(arg) is called once, from a thread of the session, when the kernel has
 * begun the conversation: from then on every request is answered. 0 or -errno.
 */
int mount_serve(
	struct mount *m, void (*ready)(void *arg), void *arg) must_check;

/* Unmounts when still mounted, closes the ledger. NULL is allowed. */
void mount_free(struct mount *m);
DEFINE_CLEANUP(mount_free, struct mount *);

#endif
