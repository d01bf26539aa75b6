/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of tree_changes share. */
#ifndef FS_TREE_CHANGES_INTERNAL_H
#define FS_TREE_CHANGES_INTERNAL_H

#include "fs/base/buf.h"
#include "fs/tree/changes.h"
#include "fs/tree/inode.h"
#include "fs/tree/listing.h"
#include "fs/tree/table.h"

/* One name: what was written under it, and what the image has for it. */
struct change_entry {
	bool written, whiteout; /* a whiteout is not written */
	int dir_fd;		/* written: its folder */
	const char *name;	/* and its name there */
	struct statx st;

	bool has_base;
	struct image_node base;
};

/* A file of the image that was written, with all its names. */
struct change_linked {
	uint32_t ino;
	char *name; /* in the index folder; owned */
};

/* A written file with several names. */
struct change_links {
	uint64_t dev, dev_ino;
	uint32_t names;	  /* found below the path */
	uint32_t partner; /* the image's inode under each of them; 0: not one */
};

/* What must be known before the first name can be told. */
struct change_survey {
	struct table_key key;
	struct table moved; /* folders of the image that are elsewhere now */
	struct table above; /* folders of the image with a name of a linked
			     * file below */
	struct table linked_by_ino;   /* index into linked */
	struct change_linked *linked; /* owned */
	size_t linked_count, linked_cap;
	struct table links_by_id;   /* index into links */
	struct change_links *links; /* owned */
	size_t links_count, links_cap;
};

struct change_level;

struct changes {
	const struct changes_source *src;
	unsigned flags;
	const struct diff_hooks *hooks;
	struct diag *diag;

	struct change_survey survey;
	bool telling; /* else surveying */

	struct buf path; /* of the entry at hand, with a NUL not counted */
	size_t path_len; /* of src->path; 0 for "/" */

	struct change_level *levels; /* depth of them; owned */
	size_t depth, cap;
	int fd; /* the written folder that the walk is in, or -1; owned */

	/* Where nodes live while they are told; made anew now and then. */
	struct tree *nodes;
	unsigned nodes_used;
	bool metacopy; /* the last file read has that mark */
	struct inode_reader reader;
	struct hasher *hasher;
	uint8_t *chunk; /* CHANGES_CHUNK bytes; owned */
	uint64_t bytes; /* read so far */
};

#define CHANGES_CHUNK ((size_t)256 << 10)

/* Set the line: what, and the path at hand. Returns err. */
int changes_fail(struct changes *c, int err, const char *what);

/* ---- changes_survey.c ---- */

void survey_done(struct change_survey *s);

/* Before the first walk: read the index folder, find the names. */
int survey_index(struct changes *c) must_check;

/* During it: a folder came from elsewhere; a name of a file. */
int survey_moved(struct changes *c, uint32_t ino) must_check;
int survey_name(struct changes *c, const struct change_entry *e) must_check;

/* After it. */
bool survey_is_moved(const struct changes *c, uint32_t ino);
bool survey_is_above(const struct changes *c, uint32_t ino);
/* The written file that the image's is now under all names; NULL: none. */
const struct change_linked *survey_linked(
	const struct changes *c, uint32_t ino);
/* How many names, and are they the same as in the image? */
uint32_t survey_names(const struct changes *c, const struct statx *st);
bool survey_same_names(const struct changes *c, const struct change_entry *e);

/* ---- changes_tell.c ---- */

/* Let c->reader keep what a mount shows. */
void changes_read_as_shown(struct changes *c);

int tell_added(struct changes *c, const struct change_entry *e) must_check;
int tell_removed(struct changes *c, const struct change_entry *e) must_check;
/* What of an entry that is written and in the image differs, if anything. */
int tell_changed(struct changes *c, const struct change_entry *e) must_check;
/* A folder that came from elsewhere; e->base is what it was there. */
int tell_renamed(struct changes *c, const struct change_entry *e) must_check;

#endif
