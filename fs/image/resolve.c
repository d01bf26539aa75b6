/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths inside an image; see resolve.h. The rest of the path lies in a buffer;
 * a link puts its target in front of it.
 */
#include "fs/image/resolve.h"

#include <string.h>
#include <sys/stat.h>

#include "fs/base/buf.h"

#define LINKS_MAX 40	     /* as Linux */
#define REST_MAX (64u << 10) /* a path and the targets put before it */

struct walk {
	const struct image *img;
	struct buf rest; /* what is still to be walked, NUL-terminated */
	unsigned links;
	struct resolved at;
};

/* Go back to a folder; what names it is found in its own entry. */
static int go_to_folder(struct walk *w, uint32_t ino)
{
	struct resolved at = {.parent = LAYOUT_ROOT_INO};
	struct image_entry e;
	int r;

	r = image_node(w->img, ino, &at.node);
	if (r < 0)
		return r;
	if (at.node.home != LAYOUT_NONE) {
		r = image_entry(w->img, at.node.home, &e);
		if (r < 0)
			return r;
		if (e.name_len > LAYOUT_NAME_MAX)
			return -EBADMSG;
		memcpy(at.name, e.name, e.name_len);
		at.parent = e.parent;
	}
	w->at = at;
	return 0;
}

static int go_to_child(struct walk *w, const char *name, size_t len)
{
	struct resolved at = {.parent = w->at.node.ino};
	struct image_entry e;
	int r;

	if (len > LAYOUT_NAME_MAX)
		return -ENAMETOOLONG;
	r = image_lookup(w->img, &w->at.node, name, len, &e);
	if (r < 0)
		return r;
	r = image_node(w->img, e.ino, &at.node);
	if (r < 0)
		return r;
	memcpy(at.name, name, len);
	w->at = at;
	return 0;
}

/* Replace the link that we stand on by its target, in front of tail. */
static int go_through_link(struct walk *w, const char *tail)
{
	_cleanup_buf_ struct buf rest = {.max = REST_MAX};
	const char *target;
	size_t len;
	int r;

	if (++w->links > LINKS_MAX)
		return -ELOOP;
	r = image_link_target(w->img, &w->at.node, &target, &len);
	if (r < 0)
		return r;
	r = go_to_folder(w,
		len > 0 && target[0] == '/' ? LAYOUT_ROOT_INO : w->at.parent);
	if (r < 0)
		return r;
	r = buf_add(&rest, target, len);
	if (r == 0)
		r = buf_add(&rest, tail, strlen(tail) + 1);
	if (r < 0)
		return r == -E2BIG ? -ENAMETOOLONG : r;
	buf_done(&w->rest);
	w->rest = rest;
	rest = (struct buf){0};
	return 0;
}

/* Walk all of w->rest. A link at its end is gone through only if follow. */
static int walk_rest(struct walk *w, bool follow)
{
	const char *p = w->rest.data;
	int r;

	while (*p) {
		size_t len = strcspn(p, "/");
		const char *tail = p + len;

		if (len == 2 && memcmp(p, "..", 2) == 0)
			r = go_to_folder(w, image_parent(w->img, &w->at.node));
		else if (len == 0 || (len == 1 && *p == '.'))
			r = 0;
		else
			r = go_to_child(w, p, len);
		if (r < 0)
			return r;
		p = tail;
		if (S_ISLNK(w->at.node.mode) && (*tail || follow)) {
			r = go_through_link(w, tail);
			if (r < 0)
				return r;
			p = w->rest.data;
		}
		if (*p == '/' && !S_ISDIR(w->at.node.mode))
			return -ENOTDIR;
		p += strspn(p, "/");
	}
	return 0;
}

int resolve_path(const struct image *img, const char *path, bool follow,
	struct resolved *ret)
{
	struct walk w = {.img = img};
	int r;

	buf_init(&w.rest, REST_MAX);
	r = buf_add(&w.rest, path, strlen(path) + 1);
	if (r == 0)
		r = go_to_folder(&w, LAYOUT_ROOT_INO);
	if (r == 0)
		r = walk_rest(&w, follow);
	if (r == 0)
		*ret = w.at;
	buf_done(&w.rest);
	return r == -E2BIG ? -ENAMETOOLONG : r;
}

char *resolve_name(const struct image *img, const struct resolved *r)
{
	return image_path(img, r->parent, r->name[0] ? r->name : NULL);
}
