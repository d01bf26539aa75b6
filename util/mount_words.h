/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a mount is told: the words of -o, which are all that /etc/fstab has, and
 * the options of `stele mount` that say the same.
 */
#ifndef UTIL_MOUNT_WORDS_H
#define UTIL_MOUNT_WORDS_H

#include "fs/base/buf.h"
#include "fs/mount/mount.h"
#include "fs/upper/attach.h"
#include "util/opt.h"

struct command;

/* As opt_parse fills it. */
struct mount_values {
	struct opt_list options; /* of -o */
	const char *ledger, *ledger_max, *on_full, *metrics;
	const char *policy, *state, *on_image_change;
	struct opt_list anchors, alerts, writable;
	bool recover, foreground;
};

/* What the fields of struct mount_options point to. */
struct mount_words {
	const char *ledger; /* FILE, or NULL; points into argv or copy */
	const char *policy, *state; /* likewise */
	struct opt_list writable;   /* short forms */
	enum attach_change on_change;
	struct digest expect_id;
	struct opt_list anchors, alerts; /* with a NULL at the end */
	struct buf text;		 /* all that was said, as words */
	char *copy;			 /* of the words of -o */
};

/*
 * Check all words and set what they say in opt; w must live as long. A later
 * word wins over an earlier one, an option over both. EXIT_OK, or the code to
 * end with after a message.
 */
int mount_words_parse(const struct command *self, const struct mount_values *v,
	struct mount_words *w, struct mount_options *opt);

/* A zeroed one is allowed. */
void mount_words_done(struct mount_words *w);

#endif
