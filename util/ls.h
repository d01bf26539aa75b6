/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of `stele ls` share. */
#ifndef UTIL_LS_H
#define UTIL_LS_H

#include <stdbool.h>

#include "fs/image/image.h"

/* The options, as cmd_ls.c parses them. */
struct ls_values {
	bool all; /* does nothing: every name is shown anyway */
	bool attributes, recursive, folder, human, inode, digest, json;
};

/* One line of the list. */
struct ls_item {
	const char *name; /* not NUL-terminated */
	size_t name_len;
	const char *path; /* in the image, without links */
	struct image_node node;
};

/* Widths of the columns that differ from list to list. */
struct ls_widths {
	int inode, nlink, uid, gid, size;
};

void ls_text_measure(struct ls_widths *w, const struct ls_values *v,
	const struct image_node *node);

/* 0 or -errno. */
int ls_text_print(const struct image *img, const struct ls_values *v,
	const struct ls_widths *w, const struct ls_item *item) must_check;
int ls_json_print(
	const struct image *img, const struct ls_item *item) must_check;

#endif
