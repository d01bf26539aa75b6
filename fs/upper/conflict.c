/* SPDX-License-Identifier: Apache-2.0 */
/* What another image changed under what was written; see conflict.h. */
#include "fs/upper/conflict.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "fs/upper/walk.h"

#define WAITING_MAX (256u << 20)
#define REDIRECT_MAX 4096 /* PATH_MAX bounds what overlayfs writes */

/* ---- facts ---- */

/* What a copy of the file would have in common with it. Times do not count:
 * they change with every build. */
static int facts_of(const struct image *img, const struct image_node *node,
	struct state_facts *ret)
{
	_cleanup_(hasher_free) struct hasher *h = hasher_new();
	const uint32_t plain[] = {node->mode, node->uid, node->gid,
		S_ISCHR(node->mode) || S_ISBLK(node->mode) ? node->data : 0,
		node->minor};
	struct image_object obj;
	struct digest digest;
	const char *target;
	size_t len;
	int r = 0;

	if (!h)
		return -ENOMEM;
	hasher_begin(h);
	hasher_add(h, plain, sizeof(plain));
	if (S_ISREG(node->mode)) {
		r = image_object(img, node->data, &obj);
		if (r == 0)
			hasher_add(h, obj.digest.bytes, DIGEST_LEN);
	} else if (S_ISLNK(node->mode)) {
		r = image_link_target(img, node, &target, &len);
		if (r == 0)
			hasher_add(h, target, len);
	}
	hasher_end(h, &digest);
	if (r == 0)
		memcpy(ret->bytes, digest.bytes, sizeof(ret->bytes));
	return r;
}

/* ---- remembering ---- */

static int remember(const struct conflict_place *p, const char *path,
	const struct image_node *node, struct diag *diag)
{
	struct state_facts facts;
	int r = facts_of(p->img, node, &facts);

	if (r < 0)
		return diag_errno(diag, r, "reading the image");
	return state_put_original(p->state, p->name, path, &facts, diag);
}

/* All entries of a folder; folders among them are to be visited. */
static int remember_entries(const struct conflict_place *p, const char *path,
	uint32_t ino, struct buf *waiting, struct diag *diag)
{
	struct image_node dir;
	int r = image_node(p->img, ino, &dir);

	for (uint64_t i = 0; r == 0 && i < dir.size; i++) {
		_cleanup_free_ char *whole = NULL;
		struct image_entry e;
		struct image_node node;

		r = image_entry(p->img, dir.data + (uint32_t)i, &e);
		if (r == 0)
			r = image_node(p->img, e.ino, &node);
		if (r < 0)
			break;
		if (asprintf(&whole, "%s/%.*s", path, (int)e.name_len, e.name) <
			0) {
			whole = NULL;
			return diag_errno(diag, -ENOMEM, "reading the image");
		}
		r = remember(p, whole, &node, diag);
		if (r < 0)
			return r;
		if (S_ISDIR(node.mode))
			r = buf_add(waiting, &e.ino, sizeof(e.ino));
		if (r == 0 && S_ISDIR(node.mode))
			r = buf_add(waiting, whole, strlen(whole) + 1);
	}
	return r < 0 ? diag_errno(diag, r, "reading the image") : 0;
}

int conflict_remember(const struct conflict_place *p, struct diag *diag)
{
	_cleanup_buf_ struct buf waiting = {.max = WAITING_MAX};
	struct image_node node;
	int r = state_forget_originals(p->state, p->name, diag);

	if (r < 0)
		return r;
	r = image_node(p->img, p->ino, &node);
	if (r < 0)
		return diag_errno(diag, r, "reading the image");
	r = remember(p, "", &node, diag);
	if (r < 0 || !S_ISDIR(node.mode))
		return r;
	r = remember_entries(p, "", p->ino, &waiting, diag);
	for (size_t at = 0; r == 0 && at < waiting.len;) {
		uint32_t ino;

		memcpy(&ino, waiting.data + at, sizeof(ino));
		at += sizeof(ino);

		/* The buf moves when it grows. */
		_cleanup_free_ char *path = strdup(waiting.data + at);

		if (!path)
			return diag_errno(diag, -ENOMEM, "reading the image");
		at += strlen(path) + 1;
		r = remember_entries(p, path, ino, &waiting, diag);
	}
	return r;
}

/* ---- comparing ---- */

/* A folder that was renamed: what is below it came from elsewhere. */
struct moved {
	char *path, *origin;
};

struct comparing {
	const struct conflict_place *place;
	struct buf *ret;
	struct diag *diag;
	struct moved *moved; /* parents before what is below them */
	size_t moved_count;
};

/* Where a path of the upper came from, to be freed. */
static char *origin_of(const struct comparing *c, const char *path)
{
	char *origin;

	for (size_t i = c->moved_count; i-- > 0;) {
		const struct moved *m = &c->moved[i];
		size_t len = strlen(m->path);

		if (strncmp(path, m->path, len) != 0 || path[len] != '/')
			continue;
		return asprintf(&origin, "%s%s", m->origin, path + len) < 0
			       ? NULL
			       : origin;
	}
	return strdup(path);
}

/* What overlayfs notes at a folder that was renamed: its path in the lower, or
 * its name there when only that changed. 0: it was not. */
static ssize_t read_redirect(int fd, char ret[REDIRECT_MAX + 1])
{
	char name[WALK_FD_PATH];
	ssize_t n = getxattr(walk_fd_path(fd, name), "trusted.overlay.redirect",
		ret, REDIRECT_MAX);

	if (n < 0)
		return errno == ENODATA || errno == ENOTSUP || errno == EPERM
			       ? 0
			       : -errno;
	ret[n] = '\0';
	return n;
}

static int note_moved(struct comparing *c, const char *path, char *origin)
{
	struct moved *more =
		reallocarray(c->moved, c->moved_count + 1, sizeof(*more));
	char *copy = strdup(path);

	if (more)
		c->moved = more;
	if (!more || !copy) {
		free(copy);
		free(origin);
		return -ENOMEM;
	}
	c->moved[c->moved_count++] = (struct moved){copy, origin};
	return 0;
}

/* Replace *origin, of a folder, by what its redirect says. */
static int follow_redirect(
	struct comparing *c, const char *path, int fd, char **origin)
{
	char redirect[REDIRECT_MAX + 1];
	ssize_t n = read_redirect(fd, redirect);
	char *slash = strrchr(*origin, '/'), *real = NULL;
	int r;

	if (n <= 0)
		return (int)n;
	if (*redirect == '/')
		real = strdup(redirect);
	else if (slash && asprintf(&real, "%.*s/%s", (int)(slash - *origin),
				  *origin, redirect) < 0)
		real = NULL;
	if (!real)
		return -ENOMEM;
	free(*origin);
	*origin = strdup(real);
	r = note_moved(c, path, real);
	return r == 0 && !*origin ? -ENOMEM : r;
}

/* Has the image it now? *ret_is: its facts are in *ret. */
static int facts_now(const struct comparing *c, const char *path, bool *ret_is,
	struct state_facts *ret)
{
	const struct conflict_place *p = c->place;
	struct image_node node;
	int r = image_node(p->img, p->ino, &node);

	while (r == 0 && *path == '/') {
		size_t len = strcspn(++path, "/");
		struct image_entry e;

		r = image_lookup(p->img, &node, path, len, &e);
		if (r == 0)
			r = image_node(p->img, e.ino, &node);
		path += len;
	}
	*ret_is = r == 0;
	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	return r < 0 ? r : facts_of(p->img, &node, ret);
}

/* A walk_fn. */
static int compare(void *arg, const char *path, int fd, const struct stat *st)
{
	struct comparing *c = arg;
	_cleanup_free_ char *origin = origin_of(c, path);
	struct state_facts then, now;
	bool is_now, was;
	bool is_folder = S_ISDIR(st->st_mode);
	bool moved = false;
	size_t before = c->moved_count;
	int r = origin ? 0 : -ENOMEM;

	if (r == 0 && is_folder)
		r = follow_redirect(c, path, fd, &origin);
	if (r < 0)
		return diag_errno(c->diag, r, "comparing the images");
	moved = c->moved_count > before;
	/* A folder is not written as a whole: what is in it is compared. */
	if (is_folder && !moved)
		return 0;
	r = state_get_original(
		c->place->state, c->place->name, origin, &then, c->diag);
	if (r < 0 && r != -ENOENT)
		return r;
	was = r == 0;
	r = facts_now(c, origin, &is_now, &now);
	if (r < 0)
		return diag_errno(c->diag, r, "reading the image");
	if (was == is_now && (!was || memcmp(&then, &now, sizeof(now)) == 0))
		return 0;
	/* Removed here and there: they agree. */
	if (!is_now && S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0))
		return 0;
	return buf_add(c->ret, path, strlen(path) + 1);
}

int conflict_find(const struct conflict_place *p, int upper, struct buf *ret,
	struct diag *diag)
{
	struct comparing c = {.place = p, .ret = ret, .diag = diag};
	struct diag said = {0};
	struct stat st;
	int r;

	c.diag = &said;
	if (fstat(upper, &st) < 0)
		r = -errno;
	else if (S_ISDIR(st.st_mode))
		r = walk_upper(upper, compare, &c);
	else
		r = compare(&c, "", upper, &st); /* a single file */
	for (size_t i = 0; i < c.moved_count; i++) {
		free(c.moved[i].path);
		free(c.moved[i].origin);
	}
	free(c.moved);
	if (r < 0 && *said.text)
		return diag_set(diag, r, "%s", said.text);
	return r < 0 ? diag_errno(diag, r, "comparing the images") : 0;
}
