/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state folder of a mount: what is kept of its writable paths.
 *
 *	state.db	what everything here is; this file's business
 *	lock		held by who uses the folder
 *	storage/NAME/	a storage: content, or upper and work of an overlay
 *	volumes/NAME.ext4
 *			a storage with a size
 *
 * A NAME.new in one of the folders was not finished and means nothing.
 */
#ifndef FS_UPPER_STATE_H
#define FS_UPPER_STATE_H

#include "fs/base/diag.h"
#include "fs/codec/digest.h"
#include "fs/upper/plan.h"

/* Of state.db; "STLS". A newer version is refused. */
#define STATE_APPLICATION_ID 0x53544c53
#define STATE_VERSION 1

/*
 * Become the one user of a folder, which is made when it is missing, for as
 * long as *ret stays open, here or in a child. -EBUSY: another mount uses it,
 * and diag names it; -EPERM: it is another user's; -errno.
 */
int state_lock(const char *dir, const char *mount_point, int *ret,
	struct diag *diag) must_check;

struct state;

/*
 * Open what is in a folder whose lock the caller holds. dir is absolute.
 * -EBADMSG when state.db is damaged or no such database, -EOPNOTSUPP when it is
 * of a newer version, -errno. A state belongs to one thread and one process.
 */
int state_open(
	const char *dir, struct state **ret, struct diag *diag) must_check;
void state_close(struct state *s); /* NULL is allowed */
DEFINE_CLEANUP(state_close, struct state *);

/* The folders, for openat; borrowed. */
int state_storage_fd(const struct state *s);
int state_volumes_fd(const struct state *s);

/* Which mount used the folder last. */
struct state_mount {
	const char *mount_point, *image; /* borrowed */
	struct digest image_id, tree_id, policy;
};

/* What is known of a storage. */
struct state_storage {
	enum plan_place place; /* PLAN_FOLDER or PLAN_VOLUME */
	enum plan_form form;
	uint64_t size; /* of a volume */
	bool seeded;   /* over the image with this tree */
	struct digest tree_id;
};

/* One transaction for the records of one mount; state_abort undoes it. */
int state_begin(struct state *s, struct diag *diag) must_check;
int state_commit(struct state *s, struct diag *diag) must_check;
void state_abort(struct state *s);

int state_put_mount(struct state *s, const struct state_mount *m,
	struct diag *diag) must_check;

/*
 * What the image had in the place of a storage when it was mounted last: facts
 * by path from there on. Where they differ from those of another image, the
 * image changed. state_get_original: -ENOENT when it had nothing there.
 */
struct state_facts {
	uint8_t bytes[16];
};

int state_forget_originals(
	struct state *s, const char *name, struct diag *diag) must_check;
int state_put_original(struct state *s, const char *name, const char *path,
	const struct state_facts *facts, struct diag *diag) must_check;
int state_get_original(struct state *s, const char *name, const char *path,
	struct state_facts *ret, struct diag *diag) must_check;

/* -ENOENT when there is none of that name. */
int state_get(struct state *s, const char *name, struct state_storage *ret,
	struct diag *diag) must_check;
/* New, or in the place of the old one; path is where it is mounted. */
int state_put(struct state *s, const char *name, const char *path,
	const struct state_storage *storage, struct diag *diag) must_check;

#endif
