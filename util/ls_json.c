/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of `stele ls --json`. */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "util/ls.h"
#include "util/out.h"

static const char *type_name(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR: return "folder";
	case S_IFLNK: return "symlink";
	case S_IFCHR: return "char";
	case S_IFBLK: return "block";
	case S_IFIFO: return "fifo";
	case S_IFSOCK: return "socket";
	default: return "file";
	}
}

/* What every node has. */
static int add_attributes(json_t *o, const struct ls_item *item)
{
	const struct image_node *node = &item->node;
	char mode[16], mtime[40];
	json_t *more;
	int r;

	r = out_json_set_name(o, "path", item->path, strlen(item->path));
	if (r < 0)
		return r;
	(void)snprintf(mode, sizeof(mode), "%04" PRIo32, node->mode & 07777);
	out_time(node->mtime, node->mtime_nsec, mtime);
	more = json_pack("{s:s s:s s:I s:I s:I s:I s:I s:s}", "type",
		type_name(node->mode), "mode", mode, "ino",
		(json_int_t)node->ino, "uid", (json_int_t)node->uid, "gid",
		(json_int_t)node->gid, "nlink", (json_int_t)node->nlink, "size",
		(json_int_t)node->size, "mtime", mtime);
	r = json_object_update(o, more) < 0 ? -ENOMEM : 0;
	json_decref(more);
	return r;
}

/* What only some kinds have: target, rdev, sha256. */
static int add_kind(
	json_t *o, const struct image *img, const struct image_node *node)
{
	char hex[DIGEST_HEX_LEN + 1];
	struct image_object obj;
	const char *target;
	size_t len;
	int r;

	switch (node->mode & S_IFMT) {
	case S_IFLNK:
		r = image_link_target(img, node, &target, &len);
		return r < 0 ? r : out_json_set_name(o, "target", target, len);
	case S_IFREG:
		r = image_object(img, node->data, &obj);
		if (r < 0)
			return r;
		digest_hex(&obj.digest, hex);
		r = json_object_set_new(o, "sha256", json_string(hex));
		return r < 0 ? -ENOMEM : 0;
	case S_IFCHR:
	case S_IFBLK:
		r = json_object_set_new(o, "rdev",
			json_pack("[I, I]", (json_int_t)node->data,
				(json_int_t)node->minor));
		return r < 0 ? -ENOMEM : 0;
	}
	return 0;
}

/* Names are always escaped here, valid or not: two different ones must not
 * become one key. */
static int add_xattrs(
	json_t *o, const struct image *img, const struct image_node *node)
{
	uint32_t count = image_xattr_count(img, node);
	json_t *all;

	if (count == 0)
		return 0;
	all = json_object();
	if (json_object_set_new(o, "xattrs", all) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		_cleanup_free_ char *name = NULL;
		struct image_xattr x;
		int r = image_xattr(img, node, i, &x);

		if (r < 0)
			return r;
		name = out_name_string(x.name, x.name_len);
		if (!name || json_object_set_new(all, name,
				     out_json_base64(x.value, x.value_len)) < 0)
			return -ENOMEM;
	}
	return 0;
}

int ls_json_print(const struct image *img, const struct ls_item *item)
{
	json_t *o = json_object();
	int r = o ? add_attributes(o, item) : -ENOMEM;

	if (r == 0)
		r = add_kind(o, img, &item->node);
	if (r == 0)
		r = add_xattrs(o, img, &item->node);
	if (r == 0)
		r = out_json_line(stdout, json_incref(o));
	json_decref(o);
	/* What standard output says is told once, by exit_flush. */
	return ferror(stdout) ? 0 : r;
}
