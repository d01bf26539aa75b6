/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of `stele ls` for a person, as ls(1) writes them. */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "util/ls.h"
#include "util/out.h"

/* Room for "4294967295, 4294967295". */
#define FIELD 32

static char type_letter(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR: return 'd';
	case S_IFLNK: return 'l';
	case S_IFCHR: return 'c';
	case S_IFBLK: return 'b';
	case S_IFIFO: return 'p';
	case S_IFSOCK: return 's';
	default: return '-';
	}
}

/* "-rwsr-xr-t" */
static void format_mode(uint32_t mode, char ret[11])
{
	static const char letters[] = "rwxrwxrwx";
	static const struct {
		uint32_t bit;
		int at;
		char with, without; /* the execute bit at that place */
	} special[] = {
		{S_ISUID, 3, 's', 'S'},
		{S_ISGID, 6, 's', 'S'},
		{S_ISVTX, 9, 't', 'T'},
	};

	ret[0] = type_letter(mode);
	for (int i = 0; i < 9; i++)
		ret[i + 1] = mode & (0400u >> i) ? letters[i] : '-';
	for (size_t i = 0; i < ARRAY_LEN(special); i++) {
		char *at = ret + special[i].at;

		if (mode & special[i].bit)
			*at = *at == 'x' ? special[i].with : special[i].without;
	}
	ret[10] = '\0';
}

/* Has it more than the mode says: '+' an ACL, '@' other xattrs. */
static char attribute_letter(
	const struct image *img, const struct image_node *node)
{
	struct image_xattr x;

	if (image_xattr_count(img, node) == 0)
		return ' ';
	if (image_xattr_get(img, node, "system.posix_acl_access", &x) == 0 ||
		image_xattr_get(img, node, "system.posix_acl_default", &x) == 0)
		return '+';
	return '@';
}

static void format_size(const struct ls_values *v,
	const struct image_node *node, char ret[FIELD])
{
	if (S_ISCHR(node->mode) || S_ISBLK(node->mode))
		(void)snprintf(ret, FIELD, "%" PRIu32 ", %" PRIu32, node->data,
			node->minor);
	else if (v->human)
		out_size(node->size, ret);
	else
		(void)snprintf(ret, FIELD, "%" PRIu64, node->size);
}

/* To the second; --json has all of it. */
static void format_mtime(const struct image_node *node, char ret[40])
{
	char *point;

	out_time(node->mtime, node->mtime_nsec, ret);
	point = strchr(ret, '.');
	if (point)
		(void)snprintf(point, 2, "%s", ret[0] == '@' ? "" : "Z");
}

static void widen(int *width, int needed)
{
	if (needed > *width)
		*width = needed;
}

static int digits(uint32_t n)
{
	int count = 1;

	for (; n >= 10; n /= 10)
		count++;
	return count;
}

void ls_text_measure(struct ls_widths *w, const struct ls_values *v,
	const struct image_node *node)
{
	char size[FIELD];

	format_size(v, node, size);
	widen(&w->size, (int)strlen(size));
	widen(&w->inode, digits(node->ino));
	widen(&w->nlink, digits(node->nlink));
	widen(&w->uid, digits(node->uid));
	widen(&w->gid, digits(node->gid));
}

static const char *color(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR: return "\033[1;34m";
	case S_IFLNK: return "\033[36m";
	case S_IFCHR:
	case S_IFBLK: return "\033[33m";
	case S_IFIFO:
	case S_IFSOCK: return "\033[35m";
	}
	if (mode & (S_ISUID | S_ISGID))
		return "\033[31m"; /* runs with another's rights */
	return mode & 0111 ? "\033[32m" : "";
}

static int print_digest(const struct image *img, const struct image_node *node)
{
	char hex[DIGEST_HEX_LEN + 1] = "-";
	struct image_object obj;
	int r;

	if (S_ISREG(node->mode)) {
		r = image_object(img, node->data, &obj);
		if (r < 0)
			return r;
		digest_hex(&obj.digest, hex);
	}
	printf("%-*s ", DIGEST_HEX_LEN, hex);
	return 0;
}

static void print_attributes(const struct image *img, const struct ls_values *v,
	const struct ls_widths *w, const struct image_node *node)
{
	char mode[11], size[FIELD], mtime[40];

	format_mode(node->mode, mode);
	format_size(v, node, size);
	format_mtime(node, mtime);
	printf("%s%c %*" PRIu32 " %*" PRIu32 ":%-*" PRIu32 " %*s %s ", mode,
		attribute_letter(img, node), w->nlink, node->nlink, w->uid,
		node->uid, w->gid, node->gid, w->size, size, mtime);
}

int ls_text_print(const struct image *img, const struct ls_values *v,
	const struct ls_widths *w, const struct ls_item *item)
{
	const struct image_node *node = &item->node;
	const char *on = out_color() ? color(node->mode) : "";
	const char *target;
	size_t len;
	int r = 0;

	if (v->inode)
		printf("%*" PRIu32 " ", w->inode, node->ino);
	if (v->digest)
		r = print_digest(img, node);
	if (r < 0)
		return r;
	if (v->attributes)
		print_attributes(img, v, w, node);
	fputs(on, stdout);
	out_name(stdout, item->name, item->name_len);
	fputs(*on ? "\033[0m" : "", stdout);
	if (v->attributes && S_ISLNK(node->mode)) {
		r = image_link_target(img, node, &target, &len);
		if (r < 0)
			return r;
		fputs(" -> ", stdout);
		out_name(stdout, target, len);
	}
	putchar('\n');
	return 0;
}
