/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of FORMAT.md on inodes, entries, names and xattrs. One pass over
 * the inodes in order of number, with a running sum for whatever must lie back
 * to back and a counter for whatever must be numbered by first use, proves that
 * the tree is whole, has no loop, and is written in the one way there is.
 */
#include "fs/image/image_internal.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

/* What the pass has seen so far; each is what the next record must say. */
struct walk {
	const struct image *img;
	uint32_t *links;      /* by index: entries that name the inode */
	uint64_t next_ino;    /* to be named for the first time */
	uint64_t next_dirent; /* first entry of the next folder */
	uint64_t next_link;   /* begin of the next link target */
	uint64_t next_object;
	uint64_t next_xset;
	struct diag *diag;
};

static int inode_error(struct walk *w, uint64_t ino, const char *why)
{
	return diag_set(w->diag, -EBADMSG, "inode %" PRIu64 ": %s", ino, why);
}

static int dirent_error(uint64_t dirent, const char *why, struct diag *diag)
{
	return diag_set(diag, -EBADMSG, "dirent %" PRIu64 ": %s", dirent, why);
}

static const char *name_fault(const char *name, size_t len)
{
	if (len < 1 || len > LAYOUT_NAME_MAX)
		return "the name is not 1 to 255 bytes long";
	if (memchr(name, '/', len) || memchr(name, '\0', len))
		return "the name has a slash or NUL";
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return "the name is \".\" or \"..\"";
	return NULL;
}

/* The names by themselves; *end is where they end and link targets begin. */
static int check_names(
	const struct image *img, uint64_t *end, struct diag *diag)
{
	const struct layout_dirent *d = image_dirents(img);
	const char *names = img->section[SECTION_NAMES];
	uint64_t at = 0;

	for (uint64_t i = 0; i < img->count[SECTION_DIRENTS]; i++) {
		size_t len = le16toh(d[i].name_len);
		const char *fault;

		if (le32toh(d[i].name) != at)
			return dirent_error(i,
				"the name is not right after the one before",
				diag);
		if (len > img->bytes[SECTION_NAMES] - at)
			return dirent_error(
				i, "the name ends behind the names", diag);
		fault = name_fault(names + at, len);
		if (fault)
			return dirent_error(i, fault, diag);
		at += len;
	}
	*end = at;
	return 0;
}

static bool names_increase(const struct image *img, uint32_t index)
{
	struct image_entry a, b;

	if (image_entry(img, index - 1, &a) < 0 ||
		image_entry(img, index, &b) < 0)
		return false;
	return image_compare_names(a.name, a.name_len, b.name, b.name_len) < 0;
}

/* One entry of a folder; adds to *folders when it names one. */
static int check_dirent(
	struct walk *w, uint32_t index, uint32_t parent, uint32_t *folders)
{
	const struct layout_dirent *d = &image_dirents(w->img)[index];
	uint32_t ino = le32toh(d->ino);

	if (le32toh(d->parent) != parent)
		return dirent_error(index, "wrong parent", w->diag);
	if (ino < LAYOUT_ROOT_INO || ino > w->img->count[SECTION_INODES])
		return dirent_error(index, "names no inode", w->diag);
	if (ino > w->next_ino)
		return dirent_error(index,
			"the inodes are not numbered breadth first", w->diag);

	const struct layout_inode *in = &image_inodes(w->img)[ino - 1];
	uint32_t mode = le32toh(in->mode);

	if (le16toh(d->type) != mode >> 12)
		return dirent_error(index, "not of its inode's type", w->diag);
	if (ino < w->next_ino && S_ISDIR(mode))
		return dirent_error(
			index, "names a folder a second time", w->diag);
	if (ino == w->next_ino) {
		if (le32toh(in->home) != index)
			return inode_error(
				w, ino, "home is not its first entry");
		w->next_ino++;
	}
	w->links[ino - 1]++;
	*folders += S_ISDIR(mode);
	return 0;
}

static int check_folder(
	struct walk *w, uint32_t ino, const struct image_node *node)
{
	uint64_t all = w->img->count[SECTION_DIRENTS];
	uint32_t folders = 0;

	if (node->data != w->next_dirent)
		return inode_error(
			w, ino, "its entries do not follow those before");
	if (node->size > all - w->next_dirent)
		return inode_error(w, ino, "has more entries than there are");
	for (uint64_t i = 0; i < node->size; i++) {
		uint32_t index = (uint32_t)(w->next_dirent + i);
		int r = check_dirent(w, index, ino, &folders);

		if (r < 0)
			return r;
		if (i > 0 && !names_increase(w->img, index))
			return dirent_error(index,
				"names are not strictly increasing", w->diag);
	}
	if (node->nlink != (uint64_t)folders + 2)
		return inode_error(w, ino,
			"nlink is not 2 and the number of its sub-folders");
	w->next_dirent += node->size;
	return 0;
}

static int check_file(
	struct walk *w, uint32_t ino, const struct image_node *node)
{
	struct image_object o;

	if (node->data > w->next_object)
		return inode_error(
			w, ino, "the objects are not numbered by first use");
	if (image_object(w->img, node->data, &o) < 0)
		return inode_error(w, ino, "there is no such object");
	if (node->data == w->next_object)
		w->next_object++;
	if (node->size != o.size)
		return inode_error(w, ino, "size is not that of its object");
	return 0;
}

static int check_link(
	struct walk *w, uint32_t ino, const struct image_node *node)
{
	uint64_t names = w->img->bytes[SECTION_NAMES];

	if (node->size < 1 || node->size > LAYOUT_LINK_MAX)
		return inode_error(
			w, ino, "the target is not 1 to 4095 bytes long");
	if (node->link != w->next_link)
		return inode_error(
			w, ino, "its target does not follow those before");
	if (node->size > names - w->next_link)
		return inode_error(w, ino, "the target ends behind the names");
	if (memchr(w->img->section[SECTION_NAMES] + node->link, '\0',
		    (size_t)node->size))
		return inode_error(w, ino, "the target has a NUL");
	if (node->data)
		return inode_error(w, ino, "a field without use is not zero");
	w->next_link += node->size;
	return 0;
}

/* What depends on the type; and which fields mean nothing for it. */
static int check_type(
	struct walk *w, uint32_t ino, const struct image_node *node)
{
	uint32_t type = node->mode & S_IFMT;
	bool device = type == S_IFCHR || type == S_IFBLK;
	bool sized = type == S_IFREG || type == S_IFDIR || type == S_IFLNK;

	if ((!device && node->minor) || (!sized && node->size) ||
		(type != S_IFLNK && node->link))
		return inode_error(w, ino, "a field without use is not zero");
	switch (type) {
	case S_IFREG: return check_file(w, ino, node);
	case S_IFDIR: return check_folder(w, ino, node);
	case S_IFLNK: return check_link(w, ino, node);
	case S_IFCHR:
	case S_IFBLK: return 0;
	case S_IFIFO:
	case S_IFSOCK:
		if (node->data)
			return inode_error(
				w, ino, "a field without use is not zero");
		return 0;
	default: return inode_error(w, ino, "unknown type");
	}
}

static int check_inode(struct walk *w, uint32_t ino)
{
	struct image_node node;
	int r = image_node(w->img, ino, &node);

	if (r < 0)
		return r;
	if (ino >= w->next_ino)
		return inode_error(
			w, ino, "no entry of a folder before names it");
	if (node.mode & ~(uint32_t)(S_IFMT | 07777))
		return inode_error(w, ino, "unknown bits in mode");
	if (node.mtime_nsec >= 1000000000)
		return inode_error(w, ino, "mtime has a whole second of ns");
	if (image_inodes(w->img)[ino - 1].reserved)
		return inode_error(w, ino, "reserved field is not zero");
	if (node.xset != LAYOUT_NONE) {
		if (node.xset > w->next_xset)
			return inode_error(w, ino,
				"the xattr sets are not numbered by first use");
		if (node.xset >= w->img->count[SECTION_XSETS])
			return inode_error(
				w, ino, "there is no such xattr set");
		w->next_xset += node.xset == w->next_xset;
	}
	return check_type(w, ino, &node);
}

/* Everything is used: the counters have come to the ends of the tables. */
static int check_ends(struct walk *w)
{
	const struct image *img = w->img;

	if (w->next_dirent != img->count[SECTION_DIRENTS])
		return dirent_error(
			w->next_dirent, "belongs to no folder", w->diag);
	if (w->next_link != img->bytes[SECTION_NAMES])
		return diag_set(w->diag, -EBADMSG,
			"section names: byte %" PRIu64 " belongs to nothing",
			w->next_link);
	if (w->next_object != img->count[SECTION_OBJECTS])
		return diag_set(w->diag, -EBADMSG,
			"object %" PRIu64 ": belongs to no file",
			w->next_object);
	if (w->next_xset != img->count[SECTION_XSETS])
		return diag_set(w->diag, -EBADMSG,
			"xattr set %" PRIu64 ": belongs to no inode",
			w->next_xset);
	for (uint64_t i = 0; i < img->count[SECTION_INODES]; i++) {
		const struct layout_inode *in = &image_inodes(img)[i];

		if (!S_ISDIR(le32toh(in->mode)) &&
			le32toh(in->nlink) != w->links[i])
			return inode_error(w, i + 1,
				"nlink is not the number of its entries");
	}
	return 0;
}

int image_rules_tree(const struct image *img, struct diag *diag)
{
	uint64_t inodes = img->count[SECTION_INODES];
	_cleanup_free_ uint32_t *links = calloc(inodes + 1, sizeof(*links));
	struct walk w = {
		.img = img,
		.links = links,
		.next_ino = LAYOUT_ROOT_INO + 1,
		.diag = diag,
	};
	const struct layout_inode *root = image_inodes(img);

	if (!links)
		return diag_errno(diag, -ENOMEM, "cannot check the image");
	if (!inodes || !S_ISDIR(le32toh(root->mode)))
		return diag_set(diag, -EBADMSG, "inode 1: is not a folder");
	if (le32toh(root->home) != LAYOUT_NONE)
		return inode_error(&w, LAYOUT_ROOT_INO, "the root has a home");

	int r = check_names(img, &w.next_link, diag);

	for (uint64_t ino = LAYOUT_ROOT_INO; r == 0 && ino <= inodes; ino++)
		r = check_inode(&w, (uint32_t)ino);
	return r < 0 ? r : check_ends(&w);
}

static int xattr_error(uint64_t xattr, const char *why, struct diag *diag)
{
	return diag_set(diag, -EBADMSG, "xattr %" PRIu64 ": %s", xattr, why);
}

/* Each xattr by itself: its bytes follow those of the one before. */
static int check_xattrs(const struct image *img, struct diag *diag)
{
	const struct layout_xattr *x = image_xattrs(img);
	uint64_t all = img->bytes[SECTION_XBYTES], at = 0;

	for (uint64_t i = 0; i < img->count[SECTION_XATTRS]; i++) {
		uint64_t name_len = le16toh(x[i].name_len);
		uint64_t value_len = le32toh(x[i].value_len);

		if (le64toh(x[i].bytes) != at)
			return xattr_error(i,
				"its bytes do not follow those before", diag);
		if (name_len < 1 || name_len > LAYOUT_NAME_MAX)
			return xattr_error(
				i, "the name is not 1 to 255 bytes long", diag);
		if (value_len > LAYOUT_VALUE_MAX)
			return xattr_error(
				i, "the value exceeds 65536 bytes", diag);
		if (name_len + value_len > all - at)
			return xattr_error(
				i, "ends behind the xattr bytes", diag);
		if (memchr(img->section[SECTION_XBYTES] + at, '\0',
			    (size_t)name_len))
			return xattr_error(i, "the name has a NUL", diag);
		if (x[i].reserved)
			return xattr_error(
				i, "reserved field is not zero", diag);
		at += name_len + value_len;
	}
	if (at != all)
		return diag_set(diag, -EBADMSG,
			"section xbytes: byte %" PRIu64 " belongs to nothing",
			at);
	return 0;
}

/* Names of the xattrs first to first + count increase. */
static bool set_is_sorted(
	const struct image *img, uint64_t first, uint32_t count)
{
	const struct layout_xattr *x = &image_xattrs(img)[first];
	const char *bytes = img->section[SECTION_XBYTES];

	for (uint32_t i = 1; i < count; i++) {
		if (image_compare_names(bytes + le64toh(x[i - 1].bytes),
			    le16toh(x[i - 1].name_len),
			    bytes + le64toh(x[i].bytes),
			    le16toh(x[i].name_len)) >= 0)
			return false;
	}
	return true;
}

int image_rules_xattrs(const struct image *img, struct diag *diag)
{
	const struct layout_xset *sets = image_xsets(img);
	uint64_t all = img->count[SECTION_XATTRS], next = 0;
	int r = check_xattrs(img, diag);

	for (uint64_t i = 0; r == 0 && i < img->count[SECTION_XSETS]; i++) {
		uint32_t count = le32toh(sets[i].count);
		const char *fault = NULL;

		if (le32toh(sets[i].first) != next)
			fault = "its xattrs do not follow those before";
		else if (!count)
			fault = "is empty";
		else if (count > all - next)
			fault = "has more xattrs than there are";
		else if (!set_is_sorted(img, next, count))
			fault = "names are not strictly increasing";
		if (fault)
			return diag_set(diag, -EBADMSG,
				"xattr set %" PRIu64 ": %s", i, fault);
		next += count;
	}
	if (r == 0 && next != all)
		return xattr_error(next, "belongs to no set", diag);
	return r;
}
