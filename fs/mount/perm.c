/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what to an inode; see perm.h. */
#include "fs/mount/perm.h"

#include <endian.h>
#include <linux/capability.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <string.h>
#include <sys/stat.h>

#define ACL_NAME "system.posix_acl_access"

/* An entry in our byte order; its tag is one of <linux/posix_acl.h>. */
struct acl_entry {
	uint16_t tag;
	uint16_t perm;
	uint32_t id;
};

/* The xattr's value: a version, then entries of 8 bytes, little-endian. */
struct acl {
	const uint8_t *entries;
	size_t count;
};

static struct acl_entry acl_entry(const struct acl *acl, size_t i)
{
	struct acl_entry e;

	memcpy(&e, acl->entries + i * sizeof(e), sizeof(e));
	return (struct acl_entry){
		le16toh(e.tag), le16toh(e.perm), le32toh(e.id)};
}

/* 0; -ENODATA: none; -EIO: malformed. */
static int acl_get(
	const struct image *img, const struct image_node *node, struct acl *ret)
{
	struct image_xattr x;
	uint32_t version;
	int r = image_xattr_get(img, node, ACL_NAME, &x);

	if (r < 0)
		return r == -ENODATA ? r : -EIO;
	if (x.value_len < sizeof(version) ||
		(x.value_len - sizeof(version)) % sizeof(struct acl_entry))
		return -EIO;
	memcpy(&version, x.value, sizeof(version));
	if (le32toh(version) != POSIX_ACL_XATTR_VERSION)
		return -EIO;
	ret->entries = x.value + sizeof(version);
	ret->count = (x.value_len - sizeof(version)) / sizeof(struct acl_entry);
	return 0;
}

bool perm_has_acl(const struct image *img, const struct image_node *node)
{
	struct acl acl;

	return node->xset != LAYOUT_NONE &&
	       acl_get(img, node, &acl) != -ENODATA;
}

static int verdict(unsigned granted, unsigned mask)
{
	return (mask & ~granted) ? -EACCES : 0;
}

/* What a user or group entry grants is cut down by the mask behind it. */
static int masked(
	const struct acl *acl, size_t from, unsigned granted, unsigned mask)
{
	for (size_t i = from + 1; i < acl->count; i++) {
		struct acl_entry e = acl_entry(acl, i);

		if (e.tag == ACL_MASK)
			return verdict(granted & e.perm, mask);
	}
	return verdict(granted, mask);
}

/* The owner has been answered from the mode bits already. */
static int acl_check(const struct acl *acl, const struct image_node *node,
	struct caller *c, unsigned mask)
{
	bool in_a_group = false;

	for (size_t i = 0; i < acl->count; i++) {
		struct acl_entry e = acl_entry(acl, i);

		switch (e.tag) {
		case ACL_USER:
			if (e.id == c->uid)
				return masked(acl, i, e.perm, mask);
			break;
		case ACL_GROUP_OBJ:
		case ACL_GROUP:
			if (!caller_in_group(
				    c, e.tag == ACL_GROUP ? e.id : node->gid))
				break;
			in_a_group = true;
			if (verdict(e.perm, mask) == 0)
				return masked(acl, i, e.perm, mask);
			break;
		case ACL_OTHER:
			return in_a_group ? -EACCES : verdict(e.perm, mask);
		case ACL_USER_OBJ:
		case ACL_MASK: break;
		default: return -EIO;
		}
	}
	return -EIO;
}

/* Mode bits and ACL alone, in the kernel's order (acl_permission_check). */
static int bits_check(const struct image *img, const struct image_node *node,
	struct caller *c, unsigned mask)
{
	unsigned mode = node->mode;
	struct acl acl;

	if (c->uid == node->uid)
		return verdict(mode >> 6 & 7, mask);
	if ((mode & S_IRWXG) && node->xset != LAYOUT_NONE) {
		int r = acl_get(img, node, &acl);

		if (r == 0)
			return acl_check(&acl, node, c, mask);
		if (r != -ENODATA)
			return r;
	}

	/* Groups cost a look into /proc: only when they make a difference. */
	if ((mask & (mode ^ mode >> 3)) && caller_in_group(c, node->gid))
		mode >>= 3;
	return verdict(mode & 7, mask);
}

int perm_check(const struct image *img, const struct image_node *node,
	struct caller *c, unsigned mask)
{
	int r = bits_check(img, node, c, mask);

	if (r != -EACCES)
		return r;

	bool folder = S_ISDIR(node->mode);

	if ((folder && !(mask & PERM_WRITE)) || mask == PERM_READ) {
		if (caller_has_capability(
			    c, CAP_DAC_READ_SEARCH, node->uid, node->gid))
			return 0;
	}
	/* Nobody may execute a file that has no execute bit at all. */
	if (!folder && (mask & PERM_EXEC) && !(node->mode & 0111))
		return -EACCES;
	return caller_has_capability(c, CAP_DAC_OVERRIDE, node->uid, node->gid)
		       ? 0
		       : -EACCES;
}

bool perm_is_owner(const struct image_node *node, struct caller *c)
{
	return c->uid == node->uid ||
	       caller_has_capability_over_user(c, CAP_FOWNER, node->uid);
}

bool perm_may_delete(const struct image *img, const struct image_node *dir,
	const struct image_node *victim, struct caller *c)
{
	if (perm_check(img, dir, c, PERM_WRITE | PERM_EXEC) < 0)
		return false;
	return !(dir->mode & S_ISVTX) || c->uid == victim->uid ||
	       c->uid == dir->uid ||
	       caller_has_capability(c, CAP_FOWNER, victim->uid, victim->gid);
}
