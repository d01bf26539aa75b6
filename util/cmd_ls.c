/* SPDX-License-Identifier: Apache-2.0 */
/* stele ls: the names of an image, without mounting it. */
#include <string.h>
#include <sys/stat.h>

#include "fs/image/resolve.h"
#include "util/absent.h"
#include "util/cmd.h"
#include "util/exit.h"
#include "util/ls.h"
#include "util/out.h"

struct ls {
	struct ls_values v;
	const char *image; /* as given */
	const struct image *img;
	bool headings; /* write "folder:" above each list */
	bool began;    /* something was printed: a blank line comes before */
};

static int damaged(const struct ls *ls, int err)
{
	return fail(exit_code_of(err),
		"%s: %s; 'stele verify' tells what is damaged", ls->image,
		strerror(-err));
}

static int print_item(const struct ls *ls, const struct ls_widths *w,
	const struct ls_item *item)
{
	if (ls->v.json)
		return ls_json_print(ls->img, item);
	return ls_text_print(ls->img, &ls->v, w, item);
}

/* The entry at index, and the node behind it. */
static int read_item(const struct ls *ls, uint32_t index, struct ls_item *ret)
{
	struct image_entry e;
	int r = image_entry(ls->img, index, &e);

	if (r < 0)
		return r;
	ret->name = e.name;
	ret->name_len = e.name_len;
	return image_node(ls->img, e.ino, &ret->node);
}

/* folder is its path, "" for the root. */
static int print_entry(const struct ls *ls, const struct ls_widths *w,
	const char *folder, struct ls_item *item)
{
	_cleanup_free_ char *path = NULL;

	if (ls->v.json) {
		if (asprintf(&path, "%s/%.*s", folder, (int)item->name_len,
			    item->name) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		item->path = path;
	}
	return print_item(ls, w, item);
}

static void print_heading(struct ls *ls, const char *path)
{
	if (ls->headings && !ls->v.json) {
		fputs(ls->began ? "\n" : "", stdout);
		out_name(stdout, path, strlen(path));
		fputs(":\n", stdout);
	}
	ls->began = true;
}

/* All entries of one folder. 0 or -errno. */
static int list_folder(struct ls *ls, const struct image_node *dir)
{
	_cleanup_free_ char *path = image_path(ls->img, dir->ino, NULL);
	struct ls_widths w = {0};
	struct ls_item item;
	int r = path ? 0 : -ENOMEM;

	if (r < 0)
		return r;
	print_heading(ls, path);
	for (uint64_t i = 0; r == 0 && i < dir->size && !ls->v.json; i++) {
		r = read_item(ls, dir->data + (uint32_t)i, &item);
		if (r == 0)
			ls_text_measure(&w, &ls->v, &item.node);
	}
	for (uint64_t i = 0; r == 0 && i < dir->size && !ferror(stdout); i++) {
		r = read_item(ls, dir->data + (uint32_t)i, &item);
		if (r == 0)
			r = print_entry(ls, &w, path[1] ? path : "", &item);
	}
	return r;
}

/* The first folder among the entries from index up to the end of dir. 1 and
 * *ret, 0 when there is none, or -errno. */
static int find_folder(const struct image *img, const struct image_node *dir,
	uint32_t index, struct image_node *ret)
{
	for (; index < dir->data + dir->size; index++) {
		struct image_entry e;
		int r = image_entry(img, index, &e);

		if (r < 0)
			return r;
		if (!S_ISDIR(e.type))
			continue;
		r = image_node(img, e.ino, ret);
		return r < 0 ? r : 1;
	}
	return 0;
}

/*
 * The folder that comes after *dir when all below top are visited, each before
 * those in it. The image knows every folder's parent and place there, so no
 * stack is needed, however deep it is. 1 and *dir; 0 at the end; -errno.
 */
static int next_folder(const struct image *img, const struct image_node *top,
	struct image_node *dir)
{
	struct image_node at = *dir;
	int r = find_folder(img, &at, at.data, dir);

	while (r == 0 && at.ino != top->ino) {
		struct image_node parent;

		r = image_node(img, image_parent(img, &at), &parent);
		if (r < 0)
			return r;
		r = find_folder(img, &parent, at.home + 1, dir);
		at = parent;
	}
	return r;
}

static int list_tree(struct ls *ls, const struct image_node *top)
{
	struct image_node dir = *top;
	int r;

	do {
		r = list_folder(ls, &dir);
		if (r < 0 || !ls->v.recursive || ferror(stdout))
			return r;
		r = next_folder(ls->img, top, &dir);
	} while (r == 1);
	return r;
}

/* What an operand names: the thing itself, or what is in the folder. */
struct operand_item {
	const char *given;
	struct resolved at;
	bool found, listed;
};

static int print_operand(
	struct ls *ls, const struct ls_widths *w, const struct operand_item *o)
{
	_cleanup_free_ char *path = resolve_name(ls->img, &o->at);
	const struct ls_item item = {
		.name = o->given,
		.name_len = strlen(o->given),
		.path = path,
		.node = o->at.node,
	};

	if (!path)
		return -ENOMEM;
	ls->began = true;
	return print_item(ls, w, &item);
}

/* As ls(1): first what is no folder, then the folders. */
static int list_operands(
	struct ls *ls, const struct operand_item *items, int count)
{
	struct ls_widths w = {0};
	int r = 0;

	for (int i = 0; i < count; i++) {
		if (items[i].found && !items[i].listed)
			ls_text_measure(&w, &ls->v, &items[i].at.node);
	}
	for (int i = 0; r == 0 && i < count; i++) {
		if (items[i].found && !items[i].listed)
			r = print_operand(ls, &w, &items[i]);
	}
	for (int i = 0; r == 0 && i < count; i++) {
		if (items[i].found && items[i].listed)
			r = list_tree(ls, &items[i].at.node);
	}
	return r < 0 ? damaged(ls, r) : EXIT_OK;
}

/* Find out what each operand is. An exit_code. */
static int resolve_operands(const struct ls *ls, struct operand_item *items,
	char **paths, int count)
{
	bool follow = !ls->v.attributes && !ls->v.folder;
	int code = EXIT_OK;

	for (int i = 0; i < count; i++) {
		struct operand_item *o = &items[i];
		int r = resolve_path(ls->img, paths[i], follow, &o->at);

		o->given = paths[i];
		o->found = r == 0;
		o->listed = !ls->v.folder && S_ISDIR(o->at.node.mode);
		if (r < 0) {
			int one = absent_fail(ls->image, paths[i], r);

			code = one > code ? one : code;
		}
	}
	return code;
}

static int list(struct ls *ls, char **paths, int count)
{
	_cleanup_(image_free) struct image *img = NULL;
	_cleanup_free_ struct operand_item *items = NULL;
	struct diag diag = {0};
	int r = image_open_path(ls->image, &img, &diag);
	int missing, code;

	if (r < 0)
		return fail_diag(r, &diag);
	ls->img = img;
	ls->headings = ls->v.recursive || count > 1;
	items = calloc((size_t)count, sizeof(*items));
	if (!items)
		return fail(EXIT_SYSTEM, "out of memory");
	missing = resolve_operands(ls, items, paths, count);
	out_pager_begin();
	code = list_operands(ls, items, count);
	return missing > code ? missing : code;
}

#define FLAG(letter_, name_, field_, help_)                                  \
	{                                                                    \
		.name = name_, .letter = letter_, .kind = OPT_FLAG,          \
		.offset = offsetof(struct ls_values, field_), .help = help_, \
	}

static const struct opt options[] = {
	FLAG('l', "long", attributes,
		"mode, links, owner, size, time and link target too"),
	FLAG('R', "recursive", recursive, "everything below, folder by folder"),
	FLAG('d', "directory", folder, "a folder itself, not what is in it"),
	FLAG('h', "human", human, "sizes as 4.0K, 23M"),
	FLAG('i', "inode", inode, "inode numbers, as a mount shows them"),
	FLAG('a', "all", all,
		"for habit: names that begin with a dot are always shown"),
	FLAG(0, "digest", digest, "SHA-256 of each file, as sha256sum has it"),
	FLAG(0, "json", json, "one JSON object a line, with xattrs and digest"),
	{0},
};

static const struct example examples[] = {
	{"stele ls -lR app.stele | less", "the whole image with attributes"},
	{"stele ls -ld app.stele /usr/bin/passwd", "is it still setuid?"},
	{"stele ls -R --digest app.stele | grep -i 5891b5b5",
		"which file has this SHA-256"},
	{"stele ls -R --json app.stele | "
	 "jq -r 'select(.mode[0:1]==\"4\").path'",
		"every setuid file"},
	{0},
};

static int run(const struct command *self, int argc, char **argv)
{
	struct ls ls = {0};
	char root[] = "/", *only_root[] = {root};
	int code, n = opt_parse(self, argc, argv, &ls.v, &code);

	if (n < 0)
		return code;
	if (n == 0)
		return opt_misuse(self, "IMAGE missing");
	ls.image = argv[1];
	if (n == 1)
		return list(&ls, only_root, 1);
	return list(&ls, argv + 2, n - 1);
}

const struct command cmd_ls = {
	.name = "ls",
	.operands = "IMAGE [PATH...]",
	.summary = "list what is in an image",
	.description =
		"Lists an image as ls(1) lists a folder, without mounting it; "
		"without PATH its root. Names are sorted by their bytes. "
		"Owners are numbers, times are UTC, the size of a folder is "
		"its number of entries. After the mode, '+' means an ACL and "
		"'@' other extended attributes. Symbolic links on the way are "
		"followed inside the image, the last one not with -l or -d.\n"
		"\n"
		"A JSON object has path, type (file, folder, symlink, "
		"char, block, fifo, socket), mode, ino, uid, gid, nlink, size, "
		"mtime, and where there are some sha256, target, rdev (major "
		"and minor) and xattrs (values in base64).\n"
		"\n"
		"Ends with 1 when a PATH is not in the image.",
	.options = options,
	.examples = examples,
	.complete = OPERAND_IMAGE,
	.run = run,
};
