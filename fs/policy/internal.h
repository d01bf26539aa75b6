/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of fs/policy share. */
#ifndef FS_POLICY_INTERNAL_H
#define FS_POLICY_INTERNAL_H

#include "fs/policy/policy.h"

/* The values of a path that is just being read. */
struct policy_draft {
	struct policy_path p;
	unsigned given; /* bits 1 << enum policy_key: said so far */
	bool upsun;	/* in a block "mounts" */
	char *source_path, *service;
};

enum policy_key {
	KEY_SOURCE,
	KEY_PATH,
	KEY_SEED,
	KEY_SIZE,
	KEY_INODES,
	KEY_MODE,
	KEY_UID,
	KEY_GID,
	KEY_NOEXEC,
	KEY_NOSUID,
	KEY_NODEV,
	KEY_NAME,
	KEY_SOURCE_PATH,
	KEY_SERVICE,
	KEY_COUNT,
};

/* Begin with the defaults. path as given; -EINVAL when it is no path that can
 * be declared, and *ret_why says why (static). */
int draft_begin(struct policy_draft *d, const char *path, bool upsun,
	const char **ret_why) must_check;
void draft_done(struct policy_draft *d);

/* -EINVAL for a name that is no key here; *ret_why lists them. */
int draft_key(const struct policy_draft *d, const char *name,
	enum policy_key *ret, const char **ret_why) must_check;

/* -EINVAL when it is not what the key takes, -EEXIST when the key was given. */
int draft_set(struct policy_draft *d, enum policy_key key, const char *value,
	const char **ret_why) must_check;

/* All keys are there: check them together and move the path into the policy.
 * -EINVAL, -E2BIG, -ENOMEM. d is empty afterwards when it worked. */
int draft_end(struct policy_draft *d, struct policy *p,
	const char **ret_why) must_check;

/* "512M": bytes, with K, M, G or T for powers of 1024; more than 0. */
int policy_parse_size(const char *text, uint64_t *ret) must_check;

#endif
