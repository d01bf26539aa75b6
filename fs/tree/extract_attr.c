/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes of extracted files; see extract_internal.h. */
#include <fcntl.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/xattr.h>

#include "fs/tree/extract_internal.h"
#include "fs/tree/filter.h"

/* A name for what is open as fd, also with O_PATH, where the calls for
 * descriptors do not work. It leads there and nowhere else, a symbolic link
 * included. */
struct proc_name {
	char text[sizeof("/proc/self/fd/") + 11];
};

static struct proc_name proc_name(int fd)
{
	struct proc_name p;

	(void)snprintf(p.text, sizeof(p.text), "/proc/self/fd/%d", fd);
	return p;
}

static int set_owner(
	struct extract *x, int fd, const struct tree_node *node, bool *ret_kept)
{
	struct stat st;

	*ret_kept = false;
	if (fchownat(fd, "", node->uid, node->gid, AT_EMPTY_PATH) == 0)
		return 0;
	if (x->root || errno != EPERM)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	*ret_kept = st.st_uid != node->uid || st.st_gid != node->gid;
	x->result->owners += *ret_kept;
	return 0;
}

static bool is_privileged(const struct tree_xattr *xattr)
{
	return strncmp(xattr->name, "trusted.", 8) == 0 ||
	       strncmp(xattr->name, "security.", 9) == 0;
}

static int set_xattrs(
	struct extract *x, const char *proc, const struct tree_node *node)
{
	for (uint32_t i = 0; i < node->xattr_count; i++) {
		const struct tree_xattr *a = &node->xattrs[i];

		if (setxattr(proc, a->name, a->value, a->value_len, 0) == 0)
			continue;
		if (x->root || !is_privileged(a) ||
			(errno != EPERM && errno != EOPNOTSUPP))
			return -errno;
		x->result->xattrs++;
	}
	return 0;
}

int extract_attributes(struct extract *x, int fd, const struct tree_node *node,
	const char **ret_what)
{
	const struct timespec times[] = {
		{.tv_nsec = UTIME_OMIT},
		{.tv_sec = node->mtime, .tv_nsec = node->mtime_nsec},
	};
	struct proc_name proc = proc_name(fd);
	mode_t mode = node->mode & 07777;
	bool kept;

	/* The owner first: a new owner costs capabilities and the set-id
	 * bits. The mode after the ACL, which it agrees with. */
	*ret_what = "setting the owner of";

	int r = set_owner(x, fd, node, &kept);

	if (r < 0)
		return r;
	*ret_what = "setting the extended attributes of";
	r = set_xattrs(x, proc.text, node);
	if (r < 0)
		return r;
	if (kept) /* a set-id bit meant another owner */
		mode &= ~(mode_t)(S_ISUID | S_ISGID);
	*ret_what = "setting the mode of";
	if (!S_ISLNK(node->mode) && chmod(proc.text, mode) < 0)
		return -errno;
	*ret_what = "setting the time of";
	if (utimensat(AT_FDCWD, proc.text, times, 0) < 0)
		return -errno;
	return 0;
}

static bool has_xattr(const struct tree_node *node, const char *name)
{
	for (uint32_t i = 0; i < node->xattr_count; i++) {
		if (strcmp(node->xattrs[i].name, name) == 0)
			return true;
	}
	return false;
}

int extract_strip(int fd, const struct tree_node *node)
{
	struct proc_name proc = proc_name(fd);
	_cleanup_free_ char *list = malloc(XATTR_LIST_MAX);

	if (!list)
		return -ENOMEM;

	ssize_t len = listxattr(proc.text, list, XATTR_LIST_MAX);

	if (len < 0)
		return errno == ENOTSUP ? 0 : -errno;
	for (const char *n = list; n < list + len; n += strlen(n) + 1) {
		/* Labels are given by the system, not left over. */
		if (!filter_keeps_xattr(n, strlen(n)) ||
			strncmp(n, "security.", 9) == 0 || has_xattr(node, n))
			continue;
		if (removexattr(proc.text, n) < 0 && errno != ENODATA)
			return -errno;
	}
	return 0;
}
