/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy: which paths of a mount are writable, where what is written there
 * goes, and how much of it there may be. It comes from a YAML file or from
 * words of the command line; README.md beside this file tells users how.
 *
 * Only what the text says is decided here; what it means for an image (whether
 * a path is a file, whether it is there) is fs/upper's.
 */
#ifndef FS_POLICY_POLICY_H
#define FS_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs/base/buf.h"
#include "fs/base/diag.h"

#define POLICY_TEXT_MAX (1u << 20) /* bytes of a file */
#define POLICY_PATHS_MAX 1024

enum policy_source {
	POLICY_TMP,	/* in memory, gone when the mount ends */
	POLICY_STORAGE, /* in the state folder of the mount, kept */
	POLICY_HOST,	/* a folder or file of the host */
};

enum policy_seed {
	POLICY_SEED_AUTO,  /* the image's content where it has the path */
	POLICY_SEED_IMAGE, /* starts as the image has it, copy on write */
	POLICY_SEED_EMPTY, /* starts empty, what the image has is hidden */
};

#define POLICY_MODE_UNSET ((mode_t)-1)
#define POLICY_ID_UNSET ((uint32_t)-1)

/* One declared path. Strings are owned by the policy. */
struct policy_path {
	char *path; /* from "/"; no "." and "..", no '/' twice or at the end */
	enum policy_source source;
	enum policy_seed seed;
	char *host; /* POLICY_HOST: absolute path; else NULL */
	char *name; /* POLICY_STORAGE: what the storage is known by; two mounts
		     * with one name have the same content. Default: path */
	uint64_t size;	   /* bytes; 0: no limit of its own */
	uint64_t inodes;   /* 0: no limit of its own */
	mode_t mode;	   /* of the path itself; POLICY_MODE_UNSET: as it is */
	uint32_t uid, gid; /* likewise; POLICY_ID_UNSET */
	bool noexec, nosuid, nodev;
	unsigned line; /* of the text, from 1; 0: of the command line */
	char *text;    /* that line, or the word: for messages */
};

struct policy {
	struct policy_path *paths; /* in order of path: parents come first */
	size_t count;
};

/*
 * Read a policy from YAML; file is what messages call it. -EBADMSG when it is
 * malformed, says something unknown, twice or contradictory: diag names file,
 * line and column, and what was expected. -E2BIG, -ENOMEM.
 */
int policy_parse(const char *text, size_t len, const char *file,
	struct policy *ret, struct diag *diag) must_check;

/* The same from a file. -errno when it cannot be read. */
int policy_read(
	const char *file, struct policy *ret, struct diag *diag) must_check;

/*
 * Add a path in the short form PATH[:SOURCE][,KEY=VALUE|,FLAG]...: as
 * "/tmp:tmp,size=64M,noexec". Source defaults to tmp. Errors as policy_parse.
 * p is complete again only after policy_finish.
 */
int policy_add_word(
	struct policy *p, const char *word, struct diag *diag) must_check;

/* Sort, and see that no two paths contradict each other (policy_parse has done
 * it). -EBADMSG quotes both lines. */
int policy_finish(struct policy *p, struct diag *diag) must_check;

void policy_done(struct policy *p); /* a zeroed one is allowed */

/*
 * The canonical text: a line for each path with all that is decided, the same
 * for any way to write the same policy. Its SHA-256 names the policy.
 */
int policy_print(const struct policy *p, struct buf *ret) must_check;

/* The path that decides about a path of the mount: the nearest declared one
 * that is it or a parent of it; NULL: it is not writable. */
const struct policy_path *policy_find(
	const struct policy *p, const char *path) must_check;

/* The order of paths in a policy: a folder, then all that is below it, then its
 * neighbours. Below 0, 0 or above, as strcmp. */
int policy_path_order(const char *a, const char *b) must_check;

/* Is path another one than parent, and below it? Both as in policy_path. */
bool policy_is_below(const char *path, const char *parent) must_check;

/* "tmp", "storage", "host" */
const char *policy_source_name(enum policy_source s);

#endif
