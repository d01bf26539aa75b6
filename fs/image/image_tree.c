/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inodes, names and paths. image_open has proved the tables; the bounds here
 * are for the arguments of the caller, who has them from the kernel.
 */
#include "fs/image/image.h"

#include <string.h>
#include <sys/stat.h>

#include "fs/image/image_internal.h"

int image_node(const struct image *img, uint64_t ino, struct image_node *ret)
{
	if (ino < LAYOUT_ROOT_INO || ino > img->count[SECTION_INODES])
		return -ESTALE;

	const struct layout_inode *in = &image_inodes(img)[ino - 1];

	*ret = (struct image_node){
		.ino = (uint32_t)ino,
		.mode = le32toh(in->mode),
		.uid = le32toh(in->uid),
		.gid = le32toh(in->gid),
		.nlink = le32toh(in->nlink),
		.mtime_nsec = le32toh(in->mtime_nsec),
		.mtime = (int64_t)le64toh((uint64_t)in->mtime),
		.size = le64toh(in->size),
		.home = le32toh(in->home),
		.data = le32toh(in->data),
		.minor = le32toh(in->more),
		.xset = le32toh(in->xset),
		.link = le64toh(in->link),
	};
	return 0;
}

int image_entry(
	const struct image *img, uint32_t index, struct image_entry *ret)
{
	if (index >= img->count[SECTION_DIRENTS])
		return -EBADMSG;

	const struct layout_dirent *d = &image_dirents(img)[index];

	*ret = (struct image_entry){
		.name = img->section[SECTION_NAMES] + le32toh(d->name),
		.name_len = le16toh(d->name_len),
		.ino = le32toh(d->ino),
		.parent = le32toh(d->parent),
		.type = (uint32_t)le16toh(d->type) << 12,
	};
	return 0;
}

int image_compare_names(
	const char *a, size_t a_len, const char *b, size_t b_len)
{
	int r = memcmp(a, b, a_len < b_len ? a_len : b_len);

	if (r != 0)
		return r;
	return (a_len > b_len) - (a_len < b_len);
}

int image_lookup(const struct image *img, const struct image_node *dir,
	const char *name, size_t len, struct image_entry *ret)
{
	if (!S_ISDIR(dir->mode))
		return -ENOTDIR;
	if (dir->size > img->count[SECTION_DIRENTS])
		return -EBADMSG;

	uint64_t low = dir->data, high = low + dir->size;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		struct image_entry e;

		if (middle >= LAYOUT_NONE ||
			image_entry(img, (uint32_t)middle, &e) < 0)
			return -EBADMSG;

		int order = image_compare_names(name, len, e.name, e.name_len);

		if (order == 0) {
			*ret = e;
			return 0;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return -ENOENT;
}

int image_walk(
	const struct image *img, const char *path, struct image_node *ret)
{
	struct image_node node;
	int r = image_node(img, LAYOUT_ROOT_INO, &node);

	while (r == 0) {
		struct image_entry e;

		path += strspn(path, "/");
		if (!*path)
			break;

		size_t len = strcspn(path, "/");

		r = image_lookup(img, &node, path, len, &e);
		if (r == 0)
			r = image_node(img, e.ino, &node);
		path += len;
		/* "file/" asks for a folder. */
		if (r == 0 && *path && !S_ISDIR(node.mode))
			r = -ENOTDIR;
	}
	if (r == 0)
		*ret = node;
	return r;
}

uint32_t image_parent(const struct image *img, const struct image_node *node)
{
	struct image_entry e;

	if (node->ino == LAYOUT_ROOT_INO ||
		image_entry(img, node->home, &e) < 0)
		return LAYOUT_ROOT_INO;
	return e.parent;
}

/*
 * One step towards the root: the entry that first names ino. False at the root.
 * Ends always, since a parent's number is below its child's.
 */
static bool climb(const struct image *img, uint32_t ino, struct image_entry *e)
{
	struct image_node node;

	return ino != LAYOUT_ROOT_INO && image_node(img, ino, &node) == 0 &&
	       image_entry(img, node.home, e) == 0 && e->parent < ino;
}

/* Put "/name" before what is in the buffer already. */
static char *prepend(char *at, const char *name, size_t len)
{
	at -= len;
	memcpy(at, name, len);
	*--at = '/';
	return at;
}

char *image_path(const struct image *img, uint32_t ino, const char *name)
{
	struct image_entry e;
	size_t name_len = name ? strlen(name) : 0;
	size_t len = name ? name_len + 1 : 0;

	if (ino < LAYOUT_ROOT_INO || ino > img->count[SECTION_INODES])
		return NULL;
	/* At most 2^32 steps of 256 bytes: no overflow in 64 bits. */
	for (uint32_t i = ino; climb(img, i, &e); i = e.parent)
		len += e.name_len + 1;
	if (!len)
		return strdup("/");

	char *path = malloc(len + 1);

	if (!path)
		return NULL;

	char *at = path + len;

	*at = '\0';
	if (name)
		at = prepend(at, name, name_len);
	for (uint32_t i = ino; climb(img, i, &e); i = e.parent)
		at = prepend(at, e.name, e.name_len);
	return path;
}

void image_path_short(
	const struct image *img, uint32_t ino, char *ret, size_t size)
{
	static const char cut[] = "...";
	char *at = ret + size - 1;
	struct image_entry e;

	*at = '\0';
	for (uint32_t i = ino; climb(img, i, &e); i = e.parent) {
		if ((size_t)(at - ret) < e.name_len + sizeof(cut)) {
			at -= sizeof(cut) - 1;
			memcpy(at, cut, sizeof(cut) - 1);
			break;
		}
		at = prepend(at, e.name, e.name_len);
	}
	memmove(ret, at, (size_t)(ret + size - at));
}

int image_link_target(const struct image *img, const struct image_node *node,
	const char **ret, size_t *ret_len)
{
	uint64_t names = img->bytes[SECTION_NAMES];

	if (!S_ISLNK(node->mode))
		return -EINVAL;
	if (node->link > names || node->size > names - node->link)
		return -EBADMSG;
	*ret = img->section[SECTION_NAMES] + node->link;
	*ret_len = (size_t)node->size;
	return 0;
}

static int xattr_at(
	const struct image *img, uint64_t index, struct image_xattr *ret)
{
	if (index >= img->count[SECTION_XATTRS])
		return -EBADMSG;

	const struct layout_xattr *x = &image_xattrs(img)[index];
	const char *bytes = img->section[SECTION_XBYTES] + le64toh(x->bytes);

	*ret = (struct image_xattr){
		.name = bytes,
		.name_len = le16toh(x->name_len),
		.value = (const uint8_t *)bytes + le16toh(x->name_len),
		.value_len = le32toh(x->value_len),
	};
	return 0;
}

uint32_t image_xattr_count(
	const struct image *img, const struct image_node *node)
{
	if (node->xset >= img->count[SECTION_XSETS])
		return 0;
	return le32toh(image_xsets(img)[node->xset].count);
}

int image_xattr(const struct image *img, const struct image_node *node,
	uint32_t index, struct image_xattr *ret)
{
	if (index >= image_xattr_count(img, node))
		return -EBADMSG;
	return xattr_at(img,
		(uint64_t)le32toh(image_xsets(img)[node->xset].first) + index,
		ret);
}

int image_xattr_get(const struct image *img, const struct image_node *node,
	const char *name, struct image_xattr *ret)
{
	size_t len = strlen(name);
	uint32_t low = 0, high = image_xattr_count(img, node);

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		struct image_xattr x;
		int r = image_xattr(img, node, middle, &x);

		if (r < 0)
			return r;

		int order = image_compare_names(name, len, x.name, x.name_len);

		if (order == 0) {
			*ret = x;
			return 0;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return -ENODATA;
}
