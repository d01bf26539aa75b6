/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes of archive members; see tar_attr.h. */
#include "fs/tree/tar_attr.h"

#include <linux/limits.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/tree/acl.h"

#define ACL_ACCESS "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"

static int bad_xattr(const struct tar_attr *a, int err)
{
	if (err == -E2BIG)
		return diag_set(a->diag, err,
			"more extended attributes than Linux allows");
	if (err == -ENOMEM)
		return diag_errno(a->diag, err, "reading the archive");
	return diag_set(a->diag, -EBADMSG, "malformed extended attribute");
}

static int set_xattr(const struct tar_attr *a, struct tree_node *node,
	struct span name, struct span value)
{
	if (!filter_keeps_xattr(name.data, name.len)) {
		filter_remark(a->filter, "extended attribute %.*s is left out",
			(int)name.len, name.data);
		return 0;
	}

	int r = tree_set_xattr(
		a->tree, node, name.data, name.len, value.data, value.len);

	return r < 0 ? bad_xattr(a, r) : 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * A name with %XX for some bytes. libarchive writes any byte so in its own
 * records. GNU tar only writes "%3D" for '=' and "%25" for '%', and others
 * that write SCHILY.xattr write none: there, just those two are taken back.
 */
static size_t decode_name(struct span s, bool any, char ret[XATTR_NAME_MAX + 1])
{
	size_t len = 0;

	for (size_t i = 0; i < s.len && len <= XATTR_NAME_MAX; i++) {
		int high = -1, low = -1;

		if (s.data[i] == '%' && s.len - i > 2) {
			high = hex_digit(s.data[i + 1]);
			low = hex_digit(s.data[i + 2]);
		}

		int c = high >= 0 && low >= 0 ? high << 4 | low : -1;

		if (c >= 0 && (any || c == '=' || c == '%'))
			i += 2;
		else
			c = s.data[i];
		ret[len++] = (char)c;
	}
	return len;
}

static int base64_digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop"
		"qrstuvwxyz0123456789+/";
	const char *p = c ? strchr(digits, c) : NULL;

	return p ? (int)(p - digits) : -1;
}

/* Padding may be missing; libarchive writes none. */
static int decode_base64(struct span s, struct buf *ret)
{
	uint32_t bits = 0;
	unsigned count = 0;
	int r = 0;

	while (s.len && s.data[s.len - 1] == '=')
		s.len--;
	if (s.len % 4 == 1)
		return -EBADMSG;
	for (size_t i = 0; i < s.len && r == 0; i++) {
		int digit = base64_digit(s.data[i]);

		if (digit < 0)
			return -EBADMSG;
		bits = bits << 6 | (uint32_t)digit;
		count += 6;
		if (count >= 8) {
			uint8_t byte = (uint8_t)(bits >> (count - 8));

			count -= 8;
			r = buf_add(ret, &byte, 1);
		}
	}
	return r;
}

static int set_libarchive(const struct tar_attr *a, struct tree_node *node,
	struct span name, struct span value)
{
	_cleanup_buf_ struct buf bytes = {.max = XATTR_SIZE_MAX};
	int r = decode_base64(value, &bytes);

	if (r < 0)
		return bad_xattr(a, r);
	return set_xattr(a, node, name, (struct span){bytes.data, bytes.len});
}

/* setfilecon(3) stores the NUL too, and GNU tar leaves it out. */
static int set_selinux(
	const struct tar_attr *a, struct tree_node *node, struct span value)
{
	_cleanup_buf_ struct buf bytes = {.max = XATTR_SIZE_MAX};
	int r = buf_add(&bytes, value.data, value.len);

	if (r == 0)
		r = buf_add(&bytes, "", 1);
	if (r < 0)
		return bad_xattr(a, r);

	const char *name = "security.selinux";

	return set_xattr(a, node, (struct span){name, strlen(name)},
		(struct span){bytes.data, bytes.len});
}

static int set_acl(const struct tar_attr *a, struct tree_node *node,
	const char *name, struct span value)
{
	_cleanup_buf_ struct buf bytes = {.max = XATTR_SIZE_MAX};
	bool access = strcmp(name, ACL_ACCESS) == 0;
	struct acl_mode mode;

	if (value.len == 0 || S_ISLNK(node->mode))
		return 0;

	int r = acl_from_text(value, a->owners, &bytes, &mode, a->diag);

	if (r == -E2BIG || r == -ENOMEM)
		return bad_xattr(a, r);
	if (r < 0)
		return r;
	if (access) /* as setting it on a file does */
		node->mode = (node->mode & ~0777u) | mode.mode;
	if (access && mode.minimal)
		return 0;
	return set_xattr(a, node, (struct span){name, strlen(name)},
		(struct span){bytes.data, bytes.len});
}

static struct span behind(struct span s, const char *start)
{
	size_t len = strlen(start);

	return (struct span){s.data + len, s.len - len};
}

static int set_record(const struct tar_attr *a, struct tree_node *node,
	struct span key, struct span value)
{
	static const char schily[] = "SCHILY.xattr.";
	static const char libarchive[] = "LIBARCHIVE.xattr.";
	char room[XATTR_NAME_MAX + 1];
	struct span name = {room, 0};

	if (span_begins(key, schily)) {
		name.len = decode_name(behind(key, schily), false, room);
		return set_xattr(a, node, name, value);
	}
	if (span_begins(key, libarchive)) {
		name.len = decode_name(behind(key, libarchive), true, room);
		return set_libarchive(a, node, name, value);
	}
	if (span_is(key, "RHT.security.selinux"))
		return set_selinux(a, node, value);
	if (span_is(key, "SCHILY.acl.access"))
		return set_acl(a, node, ACL_ACCESS, value);
	if (span_is(key, "SCHILY.acl.default"))
		return set_acl(a, node, ACL_DEFAULT, value);
	if (span_is(key, "SCHILY.acl.ace"))
		filter_remark(a->filter, "an NFSv4 access control list is left "
					 "out: Linux has no place for it");
	return 0;
}

static int set_owner(const struct tar_attr *a, enum owner_kind kind,
	const struct buf *name, uint32_t *id)
{
	if (owners_is_numeric(a->owners) || name->len == 0)
		return 0;

	int r = owners_find(a->owners, kind, name->data, id);

	return r == -ENOMEM ? diag_errno(a->diag, r, "reading the archive") : 0;
}

int tar_attr_set(const struct tar_attr *a, const struct tar_member *m,
	struct tree_node *node)
{
	struct span text[2], key, value;

	node->mode = (node->mode & S_IFMT) | m->mode;
	if (S_ISLNK(node->mode)) /* Linux has no other */
		node->mode = S_IFLNK | 0777;
	node->uid = m->uid;
	node->gid = m->gid;
	node->mtime = m->mtime;
	node->mtime_nsec = m->mtime_nsec;
	node->xattrs = NULL;
	node->xattr_count = 0;

	int r = set_owner(a, OWNER_USER, &m->uname, &node->uid);

	if (r == 0)
		r = set_owner(a, OWNER_GROUP, &m->gname, &node->gid);
	filter_attributes(a->filter, node);
	tar_reader_records(a->reader, text);
	for (int i = 0; i < 2; i++) {
		while (r == 0 && pax_next(&text[i], &key, &value) > 0)
			r = set_record(a, node, key, value);
	}
	return r;
}
