/* SPDX-License-Identifier: Apache-2.0 */
/* Marks of overlayfs; see overlay.h, and fs/overlayfs/ in Linux. */
#include "fs/tree/overlay.h"

#include <string.h>

#include "fs/tree/inode.h"

#define ESCAPE "overlay."

static const char *prefix(enum overlay_form form)
{
	switch (form) {
	case OVERLAY_TRUSTED: return "trusted.overlay.";
	case OVERLAY_USER: return "user.overlay.";
	case OVERLAY_NONE: break;
	}
	return NULL;
}

/* What follows the prefix of marks, *len bytes; NULL: no mark. */
static const char *after_prefix(
	enum overlay_form form, const char *name, size_t *len)
{
	const char *p = prefix(form);
	size_t n = p ? strlen(p) : 0;

	if (!p || *len < n || memcmp(name, p, n) != 0)
		return NULL;
	*len -= n;
	return name + n;
}

size_t overlay_shown_name(enum overlay_form form, const char *name, size_t len,
	char ret[XATTR_NAME_MAX + 1])
{
	size_t rest_len = len, escape = strlen(ESCAPE);
	const char *rest = after_prefix(form, name, &rest_len);
	size_t head = len - rest_len;

	if (!rest) {
		memcpy(ret, name, len);
		return len;
	}
	if (rest_len < escape || memcmp(rest, ESCAPE, escape) != 0)
		return 0;
	memcpy(ret, name, head);
	memcpy(ret + head, rest + escape, rest_len - escape);
	return len - escape;
}

bool overlay_is_metacopy(enum overlay_form form, const char *name, size_t len)
{
	const char *rest = after_prefix(form, name, &len);

	return rest && len == strlen("metacopy") &&
	       memcmp(rest, "metacopy", len) == 0;
}

/* The value of a mark; as inode_xattr. */
static ssize_t mark(enum overlay_form form, int dir_fd, const char *name,
	const char *what, char *buf, size_t size)
{
	char attr[64];

	(void)snprintf(attr, sizeof(attr), "%s%s", prefix(form), what);
	return inode_xattr(dir_fd, name, attr, buf, size);
}

int overlay_is_whiteout(enum overlay_form form, int dir_fd, const char *name,
	const struct statx *st)
{
	char value;

	if (form == OVERLAY_NONE)
		return 0;
	if (S_ISCHR(st->stx_mode))
		return st->stx_rdev_major == 0 && st->stx_rdev_minor == 0;
	if (!S_ISREG(st->stx_mode) || st->stx_size)
		return 0;

	ssize_t n = mark(form, dir_fd, name, "whiteout", &value, 1);

	if (n == -ENODATA)
		return 0;
	return n < 0 ? (int)n : 1;
}

/* "name", or "/a/b" without an empty component. */
static bool is_redirect(const char *text)
{
	if (*text != '/')
		return *text && !strchr(text, '/');
	while (*text == '/') {
		size_t len = strcspn(++text, "/");

		if (len == 0)
			return false;
		text += len;
	}
	return true;
}

int overlay_read_folder(enum overlay_form form, int dir_fd, const char *name,
	struct overlay_folder *ret)
{
	char *to = ret->redirect;
	char value;

	ret->opaque = form == OVERLAY_NONE;
	to[0] = '\0';
	if (form == OVERLAY_NONE)
		return 0;

	ssize_t n = mark(form, dir_fd, name, "opaque", &value, 1);

	if (n < 0 && n != -ENODATA)
		return (int)n;
	ret->opaque = n == 1 && value == 'y';
	n = mark(form, dir_fd, name, "redirect", to, PATH_MAX - 1);
	if (n == -ENODATA)
		return 0;
	if (n < 0)
		return (int)n;
	if (n >= PATH_MAX)
		return -EBADMSG;
	to[n] = '\0';
	return strlen(to) == (size_t)n && is_redirect(to) ? 0 : -EBADMSG;
}

/* Two hexadecimal digits, or -1. */
static int hex_byte(const char *text)
{
	static const char digits[] = "0123456789abcdef";
	const char *high = text[0] ? strchr(digits, text[0]) : NULL;
	const char *low = high && text[1] ? strchr(digits, text[1]) : NULL;

	return low ? (int)(high - digits) << 4 | (int)(low - digits) : -1;
}

/*
 * struct ovl_fb: version, magic, length, flags, type, uuid[16], then what
 * fuse_encode_fh makes: the node id's upper and lower half and a generation
 * that is always 0, each in the order of bytes of the machine that made it.
 */
int overlay_index_ino(const char *name, uint32_t *ret)
{
	enum { MAGIC = 0xfb, LEN = 33, BIG_ENDIAN_FLAG = 1 };
	enum { FILEID_INO64_GEN = 0x81, AT_HIGH = 21, AT_LOW = 25 };
	uint8_t b[LEN];
	uint32_t high, low;

	if (strlen(name) != 2 * (size_t)LEN)
		return -EINVAL;
	for (size_t i = 0; i < LEN; i++) {
		int byte = hex_byte(name + 2 * i);

		if (byte < 0)
			return -EINVAL;
		b[i] = (uint8_t)byte;
	}

	bool big = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;

	if (b[0] != 0 || b[1] != MAGIC || b[2] != LEN ||
		b[3] != (big ? BIG_ENDIAN_FLAG : 0) || b[4] != FILEID_INO64_GEN)
		return -EINVAL;
	memcpy(&high, b + AT_HIGH, sizeof(high));
	memcpy(&low, b + AT_LOW, sizeof(low));
	if (high || !low)
		return -EINVAL;
	*ret = low;
	return 0;
}
