/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walking over the folders of an image and over those being made, at once; see
 * extract.h and extract_internal.h. The walk goes down by name without
 * following a link, and up by ".." to a folder that must be the one it came
 * from, so it holds two descriptors whatever the depth.
 */
#include "fs/tree/extract.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#include "fs/image/image.h"
#include "fs/tree/beneath.h"
#include "fs/tree/build.h"
#include "fs/tree/extract_internal.h"

/* Values in x->selected. */
enum { SELECT_PASS, SELECT_WHOLE };

int extract_fail(const struct extract *x, int err, const char *what,
	const struct tree_node *dir, const struct tree_entry *entry)
{
	_cleanup_free_ char *path = tree_path(dir);
	const char *folder = !path ? "/?" : dir->home ? path : "";

	if (err == -EBADMSG)
		return diag_set(x->diag, err,
			"the image is damaged in %s%s%s: 'stele verify' tells "
			"where",
			folder, entry ? "/" : "", entry ? entry->name : "");
	return diag_errno(x->diag, err, "%s %s%s%s%s", what, x->dir, folder,
		entry ? "/" : "", entry ? entry->name : "");
}

/* ---- what is selected ---- */

static uint64_t address_hash(const void *p)
{
	/* Addresses are multiples of 8: spread them (Fibonacci hashing). */
	return ((uint64_t)(uintptr_t)p >> 3) * 0x9e3779b97f4a7c15;
}

static struct table_slot *find_selected(
	const struct extract *x, const struct tree_entry *e)
{
	/* value: the address, which is even, and the mark in its lowest bit */
	struct table_slot *s = NULL;

	do
		s = table_next(&x->selected, address_hash(e), s);
	while (s && (s->value & ~(uint64_t)1) != (uintptr_t)e);
	return s;
}

static int mark(struct extract *x, const struct tree_entry *e, unsigned how)
{
	struct table_slot *s = find_selected(x, e);

	if (s) {
		s->value |= how;
		return 0;
	}
	return table_add(&x->selected, address_hash(e), (uintptr_t)e | how);
}

/* Select one path: its entry, and those that lead to it. */
static int select_path(struct extract *x, const char *path, bool *ret_all)
{
	struct tree_node *dir = tree_root(x->tree);
	const struct tree_entry *e = NULL;
	const char *p = path;

	for (;;) {
		p += strspn(p, "/");
		if (!*p)
			break;

		int r = e ? mark(x, e, SELECT_PASS) : 0;
		size_t len = strcspn(p, "/");

		if (r < 0)
			return diag_errno(x->diag, r, "selecting %s", path);
		e = tree_find(x->tree, dir, p, len);
		if (!e)
			return diag_set(x->diag, -ESRCH,
				"%s is not in the image", path);
		dir = e->node;
		p += len;
	}
	if (!e) {
		*ret_all = true;
		return 0;
	}

	int r = mark(x, e, SELECT_WHOLE);

	return r < 0 ? diag_errno(x->diag, r, "selecting %s", path) : 0;
}

static int select_paths(struct extract *x, bool *ret_all)
{
	int r = 0;

	*ret_all = x->opt->path_count == 0;
	for (size_t i = 0; i < x->opt->path_count && r == 0; i++)
		r = select_path(x, x->opt->paths[i], ret_all);
	return r;
}

/* Is an entry of the folder at hand to be made, and all below it? */
static bool is_selected(
	const struct extract *x, const struct tree_entry *e, bool *ret_whole)
{
	const struct extract_level *l = &x->levels[x->depth - 1];
	const struct table_slot *s = l->whole ? NULL : find_selected(x, e);

	*ret_whole = l->whole || (s && s->value & 1);
	return l->whole || s;
}

/* ---- the walk ---- */

static int push(
	struct extract *x, int fd, const struct tree_node *node, bool whole)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return extract_fail(x, -errno, "entering", node, NULL);
	if (x->depth == x->cap) {
		size_t cap = x->cap ? x->cap * 2 : 64;
		struct extract_level *l =
			reallocarray(x->levels, cap, sizeof(*l));

		if (!l)
			return extract_fail(x, -ENOMEM, "entering", node, NULL);
		x->levels = l;
		x->cap = cap;
	}
	x->levels[x->depth++] = (struct extract_level){
		.node = node,
		.whole = whole,
		.dev = st.st_dev,
		.ino = st.st_ino,
	};
	return 0;
}

static int go_up(struct extract *x, int *fd)
{
	const struct extract_level *up = &x->levels[x->depth - 1];
	_cleanup_close_ int parent = openat(
		*fd, "..", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (parent < 0 || fstat(parent, &st) < 0)
		return extract_fail(x, -errno, "going back to", up->node, NULL);
	if (st.st_dev != up->dev || st.st_ino != up->ino)
		return extract_fail(
			x, -ESTALE, "going back to", up->node, NULL);
	close_cleanup(fd);
	*fd = take_fd(parent);
	return 0;
}

static int go_down(
	struct extract *x, int *fd, const struct tree_entry *entry, bool whole)
{
	_cleanup_close_ int child =
		beneath_open(*fd, entry->name, O_PATH | O_DIRECTORY);

	if (child < 0)
		return extract_fail(x, child, "entering", entry->node, NULL);

	int r = push(x, child, entry->node, whole);

	if (r < 0)
		return r;
	close_cleanup(fd);
	*fd = take_fd(child);
	return 0;
}

/* The first walk: make an entry. */
static int make_entry(struct extract *x, int fd, const struct tree_entry *entry)
{
	const struct tree_node *dir = x->levels[x->depth - 1].node;

	if (!S_ISDIR(entry->node->mode))
		return extract_entry(x, fd, dir, entry);
	x->result->entries++;
	if (mkdirat(fd, entry->name, 0700) == 0)
		return 0;
	if (errno != EEXIST || !x->opt->overwrite)
		return extract_fail(x, -errno, "making", dir, entry);

	/* A folder stays, whatever else goes. */
	_cleanup_close_ int old =
		beneath_open(fd, entry->name, O_PATH | O_DIRECTORY);

	if (old >= 0)
		return 0;
	if (unlinkat(fd, entry->name, 0) < 0 ||
		mkdirat(fd, entry->name, 0700) < 0)
		return extract_fail(x, -errno, "replacing", dir, entry);
	return 0;
}

/* Entering a folder in the first walk. A default ACL, inherited or of a folder
 * that was there, would be inherited by all that is made in it. */
static int open_up(struct extract *x, int fd, const struct tree_node *node)
{
	struct tree_node bare = {.mode = S_IFDIR};
	int r = extract_strip(fd, &bare);

	return r < 0 ? extract_fail(x, r, "preparing", node, NULL) : 0;
}

/* Leaving a folder in the second walk. */
static int finish(struct extract *x, int fd, const struct tree_node *node)
{
	const char *what;
	int r = extract_attributes(x, fd, node, &what);

	return r < 0 ? extract_fail(x, r, what, node, NULL) : 0;
}

/* One step of a walk; making: the first one. */
static int step(struct extract *x, int *fd, bool making)
{
	struct extract_level *l = &x->levels[x->depth - 1];
	bool whole;
	int r = 0;

	if (l->next == l->node->entry_count) {
		if (!making)
			r = finish(x, *fd, l->node);
		x->depth--;
		return r == 0 && x->depth ? go_up(x, fd) : r;
	}

	const struct tree_entry *e = &l->node->entries[l->next++];

	if (!is_selected(x, e, &whole))
		return 0;
	if (making)
		r = make_entry(x, *fd, e);
	if (r < 0 || !S_ISDIR(e->node->mode))
		return r;
	r = go_down(x, fd, e, whole);
	return r == 0 && making ? open_up(x, *fd, e->node) : r;
}

static int walk(struct extract *x, bool all, bool making)
{
	const struct tree_node *root = tree_root(x->tree);
	_cleanup_close_ int fd = fcntl(x->dir_fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return extract_fail(x, -errno, "opening", root, NULL);

	int r = push(x, fd, root, all);

	if (r == 0 && making)
		r = open_up(x, fd, root);
	while (r == 0 && x->depth)
		r = step(x, &fd, making);
	return r;
}

/* ---- before and after ---- */

static int is_empty(const char *dir, int dir_fd, struct diag *diag)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return diag_errno(diag, -errno, "reading %s", dir);

	_cleanup_closedir_ DIR *d = fdopendir(fd);

	if (!d) {
		int r = -errno;

		close_cleanup(&fd);
		return diag_errno(diag, r, "reading %s", dir);
	}
	for (const struct dirent *e; (e = readdir(d));) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			return diag_set(diag, -ENOTEMPTY,
				"%s is not empty: give another folder, or "
				"--overwrite to merge into it",
				dir);
	}
	return 0;
}

static int open_dir(struct extract *x)
{
	if (mkdir(x->dir, 0700) < 0 && errno != EEXIST)
		return diag_errno(x->diag, -errno, "making %s", x->dir);
	x->dir_fd = open(x->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (x->dir_fd < 0)
		return diag_errno(x->diag, -errno, "opening %s", x->dir);
	return x->opt->overwrite ? 0 : is_empty(x->dir, x->dir_fd, x->diag);
}

/* Sizes for the progress, and the places of hard links when there are any. */
static int count(struct extract *x)
{
	uint32_t n = tree_node_count(x->tree);
	bool links = false;

	for (uint32_t ino = 1; ino <= n; ino++) {
		const struct tree_node *node = tree_node(x->tree, ino);

		if (S_ISREG(node->mode))
			x->total += node->size;
		links = links || (!S_ISDIR(node->mode) && node->nlink > 1);
	}
	if (links) {
		x->places = calloc(n, sizeof(*x->places));
		if (!x->places)
			return diag_errno(
				x->diag, -ENOMEM, "reading the image");
	}
	return 0;
}

static int prepare(struct extract *x)
{
	int r = tree_from_image(x->img, &x->tree, x->diag);

	if (r == 0)
		r = tree_seal(x->tree, x->diag);
	if (r == 0)
		r = count(x);
	if (r < 0)
		return r;
	r = view_new(x->img, 0, 0, &x->view);
	x->chunk = malloc(EXTRACT_CHUNK);
	if (r < 0 || !x->chunk)
		return diag_errno(
			x->diag, r < 0 ? r : -ENOMEM, "reading the image");
	return 0;
}

static void done(struct extract *x)
{
	view_free(x->view);
	tree_free(x->tree);
	close_cleanup(&x->dir_fd);
	free(x->chunk);
	free(x->levels);
	free(x->places);
	table_done(&x->selected);
}

int extract(const struct image *img, const char *dir,
	const struct extract_options *opt, struct extract_result *ret,
	struct diag *diag)
{
	struct extract x = {
		.img = img,
		.opt = opt,
		.result = ret,
		.diag = diag,
		.dir = dir,
		.dir_fd = -1,
		.root = geteuid() == 0,
	};
	bool all;
	int r;

	*ret = (struct extract_result){0};
	r = prepare(&x);
	if (r == 0)
		r = select_paths(&x, &all);
	if (r == 0)
		r = open_dir(&x);
	if (r == 0)
		r = walk(&x, all, true);
	if (r == 0)
		r = walk(&x, all, false);
	done(&x);
	return r;
}
