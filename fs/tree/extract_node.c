/* SPDX-License-Identifier: Apache-2.0 */
/* Making files, links and devices; see extract_internal.h. */
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "fs/base/io.h"
#include "fs/image/image.h"
#include "fs/tree/beneath.h"
#include "fs/tree/extract_internal.h"

/* len bytes at off, which are no hole. */
static int write_piece(struct extract *x, const struct image_object *obj,
	int fd, uint64_t off, uint64_t len)
{
	while (len) {
		size_t want = len < EXTRACT_CHUNK ? (size_t)len : EXTRACT_CHUNK;
		ssize_t n = view_read(x->view, obj, x->chunk, want, off, NULL);

		if (n <= 0)
			return n < 0 ? (int)n : -EBADMSG;

		int r = io_pwrite(fd, x->chunk, (size_t)n, off);

		if (r < 0)
			return r;
		off += (uint64_t)n;
		len -= (uint64_t)n;
		x->result->bytes += (uint64_t)n;
		if (x->opt->progress)
			x->opt->progress(
				x->opt->arg, x->result->bytes, x->total);
	}
	return 0;
}

/* The whole content; holes are left out and counted. */
static int write_content(
	struct extract *x, const struct tree_node *node, int fd)
{
	struct image_object obj;
	uint64_t off = 0;
	int r = image_object(x->img, node->object, &obj);

	while (r == 0 && off < node->size) {
		uint64_t data = off, end = node->size;

		r = image_seek(x->img, &obj, off, SEEK_DATA, &data);
		if (r == -ENXIO) {
			x->result->bytes += node->size - off;
			r = 0;
			break;
		}
		if (r == 0)
			r = image_seek(x->img, &obj, data, SEEK_HOLE, &end);
		if (r < 0)
			break;
		x->result->bytes += data - off;
		r = write_piece(x, &obj, fd, data, end - data);
		off = end;
	}
	if (r == 0 && ftruncate(fd, (off_t)node->size) < 0)
		r = -errno;
	return r;
}

static int make_file(struct extract *x, int dir_fd, const char *name,
	const struct tree_node *node, const char **ret_what)
{
	_cleanup_close_ int fd = openat(dir_fd, name,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	*ret_what = "making";
	if (fd < 0)
		return -errno;
	*ret_what = "writing";

	int r = node->content == TREE_CONTENT_NONE ? 0
						   : write_content(x, node, fd);

	if (r < 0)
		return r;
	r = extract_attributes(x, fd, node, ret_what);
	if (r < 0)
		return r;
	*ret_what = "writing";
	/* A full disk may only be told here (NFS, quotas). */
	return close(take_fd(fd)) < 0 && errno != EINTR ? -errno : 0;
}

/* The first name of a node is in a folder that is still open to us. */
static int make_link(struct extract *x, int dir_fd, const char *name,
	const struct extract_place *first)
{
	_cleanup_free_ char *path = tree_path(first->dir);

	if (!path)
		return -ENOMEM;

	_cleanup_close_ int from =
		beneath_open(x->dir_fd, path + 1, O_PATH | O_DIRECTORY);

	if (from < 0)
		return from;
	return linkat(from, first->entry->name, dir_fd, name, 0) < 0 ? -errno
								     : 0;
}

/* Everything that is neither a file nor a folder. 1: left out. */
static int make_special(struct extract *x, int dir_fd, const char *name,
	const struct tree_node *node, const char **ret_what)
{
	bool device = S_ISCHR(node->mode) || S_ISBLK(node->mode);
	dev_t dev = device ? makedev(node->major, node->minor) : 0;
	int r;

	*ret_what = "making";
	if (S_ISLNK(node->mode))
		r = symlinkat(node->target, dir_fd, name);
	else
		r = mknodat(dir_fd, name, (node->mode & S_IFMT) | 0600, dev);
	if (r < 0 && errno == EPERM && device && !x->root) {
		x->result->devices++;
		return 1;
	}
	if (r < 0)
		return -errno;

	_cleanup_close_ int fd =
		openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if ((st.st_mode & S_IFMT) != (node->mode & S_IFMT))
		return -ESTALE; /* somebody else was there meanwhile */
	return extract_attributes(x, fd, node, ret_what);
}

/* Make the place free for an entry, if that may be. */
static int make_room(struct extract *x, int dir_fd, const char *name)
{
	if (!x->opt->overwrite || unlinkat(dir_fd, name, 0) == 0 ||
		errno == ENOENT)
		return 0;
	return -errno;
}

int extract_entry(struct extract *x, int dir_fd, const struct tree_node *dir,
	const struct tree_entry *entry)
{
	const struct tree_node *node = entry->node;
	struct extract_place *place = NULL;
	const char *what = "replacing";
	int r = make_room(x, dir_fd, entry->name);

	if (r < 0)
		return extract_fail(x, r, what, dir, entry);
	if (node->nlink > 1 && x->places)
		place = &x->places[node->ino - 1];
	what = "making a hard link,";
	if (place && place->entry)
		r = make_link(x, dir_fd, entry->name, place);
	else if (S_ISREG(node->mode))
		r = make_file(x, dir_fd, entry->name, node, &what);
	else
		r = make_special(x, dir_fd, entry->name, node, &what);
	if (r < 0)
		return extract_fail(x, r, what, dir, entry);
	if (r > 0)
		return 0;
	if (place && !place->entry)
		*place = (struct extract_place){dir, entry};
	x->result->entries++;
	return 0;
}
