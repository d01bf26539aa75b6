/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a policy means for an image: the file systems to make and where they are
 * mounted. Nothing is made here; plan_new only reads the policy and the image,
 * and asks what a path of the host is.
 */
#ifndef FS_UPPER_PLAN_H
#define FS_UPPER_PLAN_H

#include "fs/image/image.h"
#include "fs/policy/policy.h"

/* Where the bytes lie. */
enum plan_place {
	PLAN_MEMORY, /* a tmpfs of its own */
	PLAN_FOLDER, /* a folder of the state */
	PLAN_VOLUME, /* a file system of its own in the state, with a size */
	PLAN_HOST,   /* where they are already */
};

/* What is seen there at first. */
enum plan_form {
	PLAN_EMPTY,   /* an empty folder */
	PLAN_OVERLAY, /* the image's folder, copied as far as it is written */
	PLAN_FILE,    /* one file: a copy of the image's, or an empty one */
	PLAN_AS_IS,   /* what the host has */
};

/* In step.on: the mount point lies in the image. */
#define PLAN_ON_IMAGE SIZE_MAX

struct plan_step {
	const struct policy_path *declared; /* borrowed from the policy */
	enum plan_place place;
	enum plan_form form;

	/* Of the image's inode; where it has none 0755 (a file: 0644), 0, 0.
	 * What is declared counts instead. Not for PLAN_AS_IS. */
	mode_t mode;
	uint32_t uid, gid;

	uint32_t ino; /* the image's; 0: it lacks the path */

	/* The step in whose content the mount point lies, which comes before
	 * this one; PLAN_ON_IMAGE. */
	size_t on;

	/* The image lacks the path and nothing else makes it: the mount must
	 * show an empty folder there (a file: is_file). */
	bool appears;
	bool is_file; /* it is mounted on a file */

	char *name; /* of the storage's folder or volume; owned; or NULL */
};

struct plan {
	struct plan_step *steps; /* in the order of mounting: parents first */
	size_t count;
	struct digest policy; /* SHA-256 of the policy's canonical text */
};

/*
 * Plan it. img may be NULL: then nothing is known of what the image has, each
 * seed that is left to the image is planned as PLAN_EMPTY, and ino is 0. file
 * is what messages call the policy's text. The policy must outlive the plan.
 * -EBADMSG when policy and image contradict each other: diag names the line
 * and the path; -ENOMEM, errors of reading the image.
 */
int plan_new(const struct policy *policy, const struct image *img,
	const char *file, struct plan *ret, struct diag *diag) must_check;
void plan_done(struct plan *p); /* a zeroed one is allowed */

/* "tmpfs", "overlay on tmpfs", ...: what the step makes. */
const char *plan_kind(const struct plan_step *s);

/*
 * Say what is wrong with a step: diag names the policy's line, or the word, and
 * the path before the text. Returns err.
 */
int plan_refuse(struct diag *diag, int err, const char *file,
	const struct policy_path *p, const char *fmt, ...) format_like(5, 6);

#endif
