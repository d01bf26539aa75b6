/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of `stele diff`; see diff_text.h. */
#include "util/diff_text.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "util/out.h"

static const char *type_name(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR: return "folder";
	case S_IFLNK: return "link";
	case S_IFCHR: return "char";
	case S_IFBLK: return "block";
	case S_IFIFO: return "fifo";
	case S_IFSOCK: return "socket";
	default: return "file";
	}
}

static void print_target(const struct tree_node *node)
{
	out_name(stdout, node->target, node->size);
}

static void print_time(const struct tree_node *node)
{
	char text[40];

	out_time(node->mtime, node->mtime_nsec, text);
	fputs(text, stdout);
}

static int xattr_cmp(const struct tree_xattr *x, const struct tree_xattr *y)
{
	return strcmp(x->name, y->name); /* names hold no NUL */
}

static bool values_equal(const struct tree_xattr *x, const struct tree_xattr *y)
{
	return x->value_len == y->value_len &&
	       memcmp(x->value, y->value, x->value_len) == 0;
}

/*
 * The next extended attribute, in the order of names, that two nodes do not
 * have alike; *i and *j are where to go on. NULL: no more.
 */
static const struct tree_xattr *next_xattr(const struct tree_node *a,
	const struct tree_node *b, uint32_t *i, uint32_t *j)
{
	while (*i < a->xattr_count || *j < b->xattr_count) {
		const struct tree_xattr *x = &a->xattrs[*i];
		const struct tree_xattr *y = &b->xattrs[*j];
		int order = *i == a->xattr_count   ? 1
			    : *j == b->xattr_count ? -1
						   : xattr_cmp(x, y);

		*i += order <= 0;
		*j += order >= 0;
		if (order != 0 || !values_equal(x, y))
			return order <= 0 ? x : y;
	}
	return NULL;
}

static void print_xattrs(const struct tree_node *a, const struct tree_node *b)
{
	const struct tree_xattr *x;
	uint32_t i = 0, j = 0;

	fputs("attributes", stdout);
	while ((x = next_xattr(a, b, &i, &j))) {
		putc(' ', stdout);
		out_name(stdout, x->name, x->name_len);
	}
}

/* One of the things that can differ, without what is around it. */
static void print_what(enum diff_what what, const struct diff *d)
{
	const struct tree_node *a = d->a, *b = d->b;

	switch (what) {
	case DIFF_TYPE:
		printf("type %s -> %s", type_name(a->mode), type_name(b->mode));
		break;
	case DIFF_MODE:
		printf("mode %04" PRIo32 " -> %04" PRIo32, a->mode & 07777,
			b->mode & 07777);
		break;
	case DIFF_OWNER:
		printf("owner %" PRIu32 ":%" PRIu32 " -> %" PRIu32 ":%" PRIu32,
			a->uid, a->gid, b->uid, b->gid);
		break;
	case DIFF_SIZE:
		printf("size %" PRIu64 " -> %" PRIu64, a->size, b->size);
		break;
	case DIFF_CONTENT: fputs("content", stdout); break;
	case DIFF_MTIME:
		fputs("mtime ", stdout);
		print_time(a);
		fputs(" -> ", stdout);
		print_time(b);
		break;
	case DIFF_XATTRS: print_xattrs(a, b); break;
	case DIFF_TARGET:
		fputs("target ", stdout);
		print_target(a);
		fputs(" -> ", stdout);
		print_target(b);
		break;
	case DIFF_DEVICE:
		printf("device %" PRIu32 ":%" PRIu32 " -> %" PRIu32 ":%" PRIu32,
			a->major, a->minor, b->major, b->minor);
		break;
	case DIFF_LINKS: fputs("links", stdout); break;
	}
}

int diff_text_print(const struct diff *d)
{
	static const char marks[] = {
		[DIFF_ADDED] = '+',
		[DIFF_REMOVED] = '-',
		[DIFF_CHANGED] = '~',
		[DIFF_RENAMED] = '>',
	};
	const char *between = "  ";

	printf("%c ", marks[d->kind]);
	out_name(stdout, d->path, d->path_len);
	if (d->kind == DIFF_RENAMED) {
		fputs("  renamed from ", stdout);
		out_name(stdout, d->from, strlen(d->from));
		between = ", ";
	}
	for (unsigned bit = 1; bit <= d->what; bit <<= 1) {
		if (!(d->what & bit))
			continue;
		fputs(between, stdout);
		print_what(bit, d);
		between = ", ";
	}
	putc('\n', stdout);
	return 0;
}

/* ---- JSON ---- */

static int set(json_t *o, const char *key, json_t *value)
{
	return json_object_set_new(o, key, value) < 0 ? -ENOMEM : 0;
}

/* What a node is, as far as it can differ. */
static json_t *node_json(const struct tree_node *node)
{
	char mode[16], mtime[40];
	json_t *o;
	int r = 0;

	(void)snprintf(mode, sizeof(mode), "%04" PRIo32, node->mode & 07777);
	out_time(node->mtime, node->mtime_nsec, mtime);
	o = json_pack("{s:s s:s s:I s:I s:I s:s}", "type",
		type_name(node->mode), "mode", mode, "uid",
		(json_int_t)node->uid, "gid", (json_int_t)node->gid, "size",
		(json_int_t)node->size, "mtime", mtime);
	/* A folder's says nothing that its entries do not. */
	if (o && !S_ISDIR(node->mode))
		r = set(o, "nlink", json_integer(node->nlink));
	if (o && S_ISLNK(node->mode))
		r = out_json_set_name(o, "target", node->target, node->size);
	if (o && (S_ISCHR(node->mode) || S_ISBLK(node->mode)))
		r = set(o, "rdev",
			json_pack("[I, I]", (json_int_t)node->major,
				(json_int_t)node->minor));
	if (r < 0) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static json_t *what_json(unsigned what)
{
	static const char *const names[] = {"type", "mode", "owner", "size",
		"content", "mtime", "attributes", "target", "device", "links"};
	json_t *list = json_array();

	for (size_t i = 0; list && i < ARRAY_LEN(names); i++) {
		if (what & 1u << i && json_array_append_new(list,
					      json_string(names[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *xattrs_json(const struct diff *d)
{
	json_t *list = json_array();
	const struct tree_xattr *x;
	uint32_t i = 0, j = 0;

	while (list && (x = next_xattr(d->a, d->b, &i, &j))) {
		if (json_array_append_new(
			    list, out_json_name(x->name, x->name_len)) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

int diff_json_print(const struct diff *d)
{
	static const char *const kinds[] = {
		[DIFF_ADDED] = "added",
		[DIFF_REMOVED] = "removed",
		[DIFF_CHANGED] = "changed",
		[DIFF_RENAMED] = "renamed",
	};
	json_t *o = json_object();
	int r = o ? set(o, "change", json_string(kinds[d->kind])) : -ENOMEM;

	if (r == 0)
		r = out_json_set_name(o, "path", d->path, d->path_len);
	if (r == 0 && d->kind == DIFF_RENAMED)
		r = out_json_set_name(o, "from", d->from, strlen(d->from));
	if (r == 0 && d->a && d->b)
		r = set(o, "what", what_json(d->what));
	if (r == 0 && d->what & DIFF_XATTRS)
		r = set(o, "attributes", xattrs_json(d));
	if (r == 0 && d->a)
		r = set(o, "a", node_json(d->a));
	if (r == 0 && d->b)
		r = set(o, "b", node_json(d->b));
	if (r == 0)
		r = out_json_line(stdout, json_incref(o));
	json_decref(o);
	return r == -ENOMEM ? r : 0;
}
