/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walking what was written; see changes.h. A merge of two sorted folders after
 * another, as in diff.c, but of the image's folder only as much is looked at as
 * can have changed: what has the names of written ones; all of it where nothing
 * of it shows through any more; and the way to other names of written files.
 *
 * All is walked twice: see changes_survey.c. One folder is open at a time: the
 * walk goes down by name and up by "..", and after each step device and inode
 * must be those that are expected.
 */
#include "fs/tree/changes.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "fs/tree/beneath.h"
#include "fs/tree/changes_internal.h"
#include "fs/tree/tree_internal.h"

/* A folder that the walk is in: the written one, the image's one, or both. */
struct change_level {
	bool written;
	bool hides; /* what of the image is not written is gone */
	/* The name was told as removed, now comes what took its place. */
	bool replaced;
	bool has_base;
	struct image_node base;
	uint32_t next_base; /* of its entries; = end: none is looked for */
	uint32_t end_base;
	dev_t dev; /* of the written one */
	uint64_t dev_ino;
	struct listing names;
	size_t next_name;
	size_t path_len;
};

int changes_fail(struct changes *c, int err, const char *what)
{
	return diag_errno(
		c->diag, err, "%s %s", what, c->path.len ? c->path.data : "/");
}

static int moved_meanwhile(struct changes *c)
{
	return diag_set(c->diag, -ESTALE,
		"%s was moved while it was read: try again, or stop what "
		"writes there",
		c->path.len ? c->path.data : "/");
}

static int path_set(struct changes *c, size_t len, const char *name, size_t n)
{
	c->path.len = len;

	int r = buf_add(&c->path, "/", 1);

	if (r == 0)
		r = buf_add(&c->path, name, n);
	if (r == 0)
		r = buf_add(&c->path, "", 1);
	if (r < 0)
		return diag_errno(c->diag, r, "comparing");
	c->path.len--;
	return 0;
}

static void path_cut(struct changes *c, size_t len)
{
	c->path.len = len;
	c->path.data[len] = '\0';
}

/* ---- down and up ---- */

static struct change_level *push(struct changes *c)
{
	if (c->depth == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 64;
		struct change_level *l =
			reallocarray(c->levels, cap, sizeof(*l));

		if (!l)
			return NULL;
		c->levels = l;
		c->cap = cap;
	}

	struct change_level *l = &c->levels[c->depth++];

	*l = (struct change_level){.path_len = c->path.len};
	return l;
}

static void set_base(struct change_level *l, const struct image_node *base)
{
	l->has_base = true;
	l->base = *base;
	l->next_base = base->data;
	l->end_base = base->data + (uint32_t)base->size;
}

/* Go on in a folder of which only the image's is looked at. */
static int enter_base(
	struct changes *c, const struct image_node *base, bool removed)
{
	struct change_level *l = push(c);

	if (!l)
		return changes_fail(c, -ENOMEM, "comparing");
	l->hides = removed;
	set_base(l, base);
	return 0;
}

/* Go on in a written folder. */
static int enter(struct changes *c, const struct change_entry *e, bool hides)
{
	_cleanup_close_ int fd = beneath_open(
		e->dir_fd, e->name, O_RDONLY | O_DIRECTORY | O_NOATIME);
	bool base = e->has_base && S_ISDIR(e->base.mode);
	struct listing names;
	struct statx st;

	if (beneath_is_change(fd))
		return 0; /* it is gone meanwhile */
	if (fd < 0)
		return changes_fail(c, fd, "opening the folder");

	int r = inode_stat(fd, "", &st);

	if (r == 0)
		r = listing_read(fd, &names);
	if (r < 0)
		return changes_fail(c, r, "reading the folder");

	struct change_level *l = push(c);

	if (!l) {
		listing_done(&names);
		return changes_fail(c, -ENOMEM, "comparing");
	}
	l->written = true;
	l->hides = hides;
	l->dev = makedev(st.stx_dev_major, st.stx_dev_minor);
	l->dev_ino = st.stx_ino;
	l->names = names;
	if (base)
		set_base(l, &e->base);
	if (base && !(hides ? c->telling : survey_is_above(c, e->base.ino)))
		l->next_base = l->end_base;
	close_cleanup(&c->fd);
	c->fd = take_fd(fd);
	return 0;
}

/* The written folder above, which must be the one that the walk came from. */
static int go_up(struct changes *c)
{
	const struct change_level *up = &c->levels[c->depth - 1];
	_cleanup_close_ int fd = openat(
		c->fd, "..", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct statx st;
	int r = fd < 0 ? -errno : inode_stat(fd, "", &st);

	if (r < 0)
		return changes_fail(c, r, "leaving the folder");
	path_cut(c, up->path_len);
	if (up->dev != makedev(st.stx_dev_major, st.stx_dev_minor) ||
		up->dev_ino != st.stx_ino)
		return moved_meanwhile(c);
	close_cleanup(&c->fd);
	c->fd = take_fd(fd);
	return 0;
}

static int leave(struct changes *c)
{
	struct change_level *l = &c->levels[--c->depth];

	listing_done(&l->names);
	return l->written && c->depth ? go_up(c) : 0;
}

/* ---- what is under a name ---- */

/* The image's folder that a written one came from: 1, or 0 when there is none.
 * dir is the image's folder that it is in, or NULL. */
static int find_source(struct changes *c, const struct image_node *dir,
	const char *to, struct image_node *ret)
{
	struct image_node top, at;
	struct image_entry found;
	int r;

	if (*to == '/') {
		r = c->src->ino ? image_node(c->src->img, c->src->ino, &top)
				: -ENOENT;
		dir = &top;
	} else {
		r = dir ? 0 : -ENOENT;
	}
	while (r == 0 && *to) {
		to += *to == '/';

		size_t len = strcspn(to, "/");

		r = image_lookup(c->src->img, dir, to, len, &found);
		if (r == 0)
			r = image_node(c->src->img, found.ino, &at);
		dir = &at;
		to += len;
	}
	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r < 0)
		return r;
	*ret = at;
	return S_ISDIR(at.mode);
}

/* What of the image a name has is gone, with all that is in it. */
static int handle_removed(struct changes *c, const struct change_entry *e)
{
	bool folder = S_ISDIR(e->base.mode);

	if (!c->telling || (folder && survey_is_moved(c, e->base.ino)))
		return 0;

	int r = tell_removed(c, e);

	return r < 0 || !folder ? r : enter_base(c, &e->base, true);
}

/*
 * Nothing is written under the name: nothing is changed, unless it is another
 * name of a written file, or one is below.
 */
static int handle_untouched(struct changes *c, struct change_entry *e)
{
	if (S_ISDIR(e->base.mode))
		return survey_is_above(c, e->base.ino)
			       ? enter_base(c, &e->base, false)
			       : 0;

	const struct change_linked *linked = survey_linked(c, e->base.ino);

	if (!linked)
		return 0;
	e->written = true;
	e->dir_fd = c->src->index_fd;
	e->name = linked->name;

	int r = inode_stat(e->dir_fd, e->name, &e->st);

	if (r < 0)
		return changes_fail(c, r, "reading the index of");
	return c->telling ? tell_changed(c, e) : survey_name(c, e);
}

/* What is elsewhere now is not what something else took the place of. */
static void forget_moved(const struct changes *c, struct change_entry *e)
{
	if (e->has_base && S_ISDIR(e->base.mode) &&
		survey_is_moved(c, e->base.ino))
		e->has_base = false;
}

static int handle_file(struct changes *c, struct change_entry *e)
{
	if (!c->telling)
		return survey_name(c, e);
	forget_moved(c, e);
	if (!e->has_base)
		return tell_added(c, e);

	int r = tell_changed(c, e);

	if (r < 0 || !S_ISDIR(e->base.mode))
		return r;
	return enter_base(c, &e->base, true);
}

/* A folder that was elsewhere in the image: source. */
static int handle_renamed(struct changes *c, struct change_entry *e,
	const struct image_node *source)
{
	struct change_level *l = &c->levels[c->depth - 1];
	int r = 0;

	if (c->telling && e->has_base) {
		l->replaced = true;
		return handle_removed(c, e);
	}
	e->has_base = true;
	e->base = *source;
	r = c->telling ? tell_renamed(c, e) : survey_moved(c, source->ino);
	return r < 0 ? r : enter(c, e, false);
}

/* Below what hides the image, nothing of the image shows but what a mark says
 * came from there. */
static int handle_folder(
	struct changes *c, const struct change_level *l, struct change_entry *e)
{
	const struct image_node *dir =
		l->has_base && !l->hides ? &l->base : NULL;
	bool hides = l->hides;
	struct overlay_folder marks;
	struct image_node source;
	int r = overlay_read_folder(c->src->form, e->dir_fd, e->name, &marks);

	if (r == -ENOENT)
		return 0;
	if (r == 0 && marks.redirect[0] && !marks.opaque)
		r = find_source(c, dir, marks.redirect, &source);
	if (r < 0)
		return changes_fail(c, r, "reading the overlay's marks of");
	if (r && (!e->has_base || source.ino != e->base.ino))
		return handle_renamed(c, e, &source);
	hides = (hides && !r) || marks.opaque;
	if (hides)
		forget_moved(c, e);
	if (!c->telling)
		r = 0;
	else
		r = e->has_base ? tell_changed(c, e) : tell_added(c, e);
	return r < 0 ? r : enter(c, e, hides);
}

/* ---- the walk ---- */

/* Both names, or the one that comes first; NULL: it has the other one. */
struct next_name {
	const char *text;
	size_t len;
	bool written, base;
};

/* Fill in what the level's image has under the name. */
static int find_base(struct changes *c, const struct change_level *l,
	const struct next_name *n, struct change_entry *e)
{
	struct image_entry found;
	int r = l->has_base ? image_lookup(c->src->img, &l->base, n->text,
				      n->len, &found)
			    : -ENOENT;

	if (r == 0)
		r = image_node(c->src->img, found.ino, &e->base);
	e->has_base = r == 0;
	return r == -ENOENT ? 0 : r;
}

static int find_written(
	struct changes *c, const char *name, struct change_entry *e)
{
	e->dir_fd = c->fd;
	e->name = name;

	int r = inode_stat(c->fd, name, &e->st);

	if (r == 0)
		r = overlay_is_whiteout(c->src->form, c->fd, name, &e->st);
	e->written = r == 0;
	e->whiteout = r == 1;
	return r == -ENOENT || r == 1 ? 0 : r;
}

static int handle(
	struct changes *c, const struct change_level *l, struct change_entry *e)
{
	if (!e->written) {
		if (!e->has_base)
			return 0;
		return l->hides || e->whiteout ? handle_removed(c, e)
					       : handle_untouched(c, e);
	}
	if (S_ISDIR(e->st.stx_mode))
		return handle_folder(c, l, e);
	return handle_file(c, e);
}

/* The next name of a level: 1, or 0 after the last. */
static int peek(
	struct changes *c, const struct change_level *l, struct next_name *ret)
{
	const char *name = l->next_name < l->names.count
				   ? l->names.names[l->next_name]
				   : NULL;
	struct image_entry b = {0};
	int order = -1;

	if (l->next_base < l->end_base) {
		int r = image_entry(c->src->img, l->next_base, &b);

		if (r < 0)
			return changes_fail(c, r, "reading the image's");
		order = name ? name_cmp(name, strlen(name), b.name, b.name_len)
			     : 1;
	}
	*ret = (struct next_name){
		.text = order <= 0 ? name : b.name,
		.len = order > 0 ? b.name_len
		       : name	 ? strlen(name)
				 : 0,
		.written = order <= 0,
		.base = order >= 0,
	};
	return ret->text != NULL;
}

/* The next name of the folder that the walk is in. */
static int go_on(struct changes *c)
{
	size_t at = c->depth - 1;
	struct change_level *l = &c->levels[at];
	struct change_entry e = {.written = false};
	bool replaced = l->replaced;
	struct next_name n = {0};
	int r = peek(c, l, &n);

	if (r <= 0)
		return r < 0 ? r : leave(c);
	r = path_set(c, l->path_len, n.text, n.len);
	if (r < 0)
		return r;
	if (n.written)
		r = find_written(c, n.text, &e);
	if (r == 0)
		r = find_base(c, l, &n, &e);
	if (r < 0)
		return changes_fail(c, r, "reading");
	l->replaced = false;
	e.has_base &= !replaced;
	r = handle(c, l, &e);

	l = &c->levels[at]; /* they may have moved */
	if (!l->replaced) {
		l->next_name += n.written;
		l->next_base += n.base;
	}
	return r;
}

/* The path itself. */
static int begin(struct changes *c)
{
	const struct changes_source *src = c->src;
	struct change_entry e = {
		.written = true,
		.dir_fd = src->dir_fd,
		.name = src->name,
		.has_base = src->ino != 0,
	};
	int r = inode_stat(e.dir_fd, e.name, &e.st);

	path_cut(c, c->path_len);
	if (r == 0 && e.has_base)
		r = image_node(src->img, src->ino, &e.base);
	if (r < 0)
		return changes_fail(c, r, "reading what was written below");
	if (!S_ISDIR(e.st.stx_mode))
		return handle_file(c, &e);
	if (c->telling)
		r = e.has_base ? tell_changed(c, &e) : tell_added(c, &e);
	return r < 0 ? r : enter(c, &e, src->form == OVERLAY_NONE);
}

static int walk(struct changes *c, bool telling)
{
	c->telling = telling;

	int r = begin(c);

	while (r == 0 && c->depth)
		r = go_on(c);
	return r;
}

static int init(struct changes *c)
{
	const char *path = c->src->path;

	buf_init(&c->path, INT_MAX);
	c->path_len = strcmp(path, "/") == 0 ? 0 : strlen(path);
	c->hasher = hasher_new();
	c->chunk = malloc(CHANGES_CHUNK);

	int r = c->hasher && c->chunk ? 0 : -ENOMEM;

	if (r == 0)
		r = buf_add(&c->path, path, c->path_len);
	if (r == 0)
		r = buf_add(&c->path, "", 1);
	if (r == 0)
		r = table_key_init(&c->survey.key);
	return r < 0 ? diag_errno(c->diag, r, "comparing") : 0;
}

static void changes_free(struct changes *c)
{
	while (c->depth)
		listing_done(&c->levels[--c->depth].names);
	free(c->levels);
	close_cleanup(&c->fd);
	survey_done(&c->survey);
	buf_done(&c->path);
	tree_free(c->nodes);
	hasher_free(c->hasher);
	free(c->chunk);
	free(c);
}

DEFINE_CLEANUP(changes_free, struct changes *);

int tree_changes(const struct changes_source *src, unsigned flags,
	const struct diff_hooks *hooks, struct diag *diag)
{
	_cleanup_(changes_free) struct changes *c = calloc(1, sizeof(*c));

	if (!c)
		return diag_errno(diag, -ENOMEM, "comparing");
	c->fd = -1;
	c->src = src;
	c->flags = flags;
	c->hooks = hooks;
	c->diag = diag;
	changes_read_as_shown(c);
	if (flags & ~(unsigned)(DIFF_IGNORE_MTIME | DIFF_IGNORE_OWNER))
		return diag_set(diag, -EINVAL, "unknown flags");

	int r = init(c);

	if (r == 0)
		r = survey_index(c);
	if (r == 0)
		r = walk(c, false);
	return r < 0 ? r : walk(c, true);
}
