/* SPDX-License-Identifier: Apache-2.0 */
/* stele diff: what is different between two images or folders. */
#include <sys/stat.h>

#include "fs/image/image.h"
#include "fs/tree/build.h"
#include "util/cmd.h"
#include "util/diff_print.h"
#include "util/exit.h"

/* One of the two. */
struct side {
	struct tree *tree;
	struct image *img; /* that the tree came from; NULL: a folder */
};

struct diff_command {
	struct diff_print print;
	bool one_file_system;
};

static void side_done(struct side *s)
{
	tree_free(s->tree);
	image_free(s->img);
}

static int side_open(const struct diff_command *d, const char *path,
	struct side *ret, struct diag *diag)
{
	const struct tree_options opt = {.one_file_system = d->one_file_system};
	struct stat st;
	int r;

	if (stat(path, &st) < 0)
		return diag_errno(diag, -errno, "read %s", path);
	if (S_ISDIR(st.st_mode)) {
		r = tree_scan(path, &opt, &ret->tree, diag);
	} else {
		r = image_open_path(path, &ret->img, diag);
		if (r == 0)
			r = tree_from_image(ret->img, &ret->tree, diag);
	}
	return r < 0 ? r : tree_seal(ret->tree, diag);
}

static int diff(struct diff_command *d, const char *path_a, const char *path_b)
{
	struct side a = {0}, b = {0};
	struct diag diag = {0};
	int code, r = side_open(d, path_a, &a, &diag);

	if (r == 0)
		r = side_open(d, path_b, &b, &diag);
	code = r < 0 ? fail_diag(r, &diag)
		     : diff_print_trees(&d->print, a.tree, b.tree);
	side_done(&a);
	side_done(&b);
	return code;
}

#define AT(field) offsetof(struct diff_command, field)

static const struct opt options[] = {
	{
		.name = "ignore-mtime",
		.kind = OPT_FLAG,
		.offset = AT(print.ignore_mtime),
		.help = "other times are no difference",
	},
	{
		.name = "ignore-owner",
		.kind = OPT_FLAG,
		.offset = AT(print.ignore_owner),
		.help = "other users and groups are no difference",
	},
	{
		.name = "one-file-system",
		.letter = 'x',
		.kind = OPT_FLAG,
		.offset = AT(one_file_system),
		.help = "take mount points in a folder for empty folders",
	},
	{
		.name = "json",
		.kind = OPT_FLAG,
		.offset = AT(print.json),
		.help = "one JSON object for each difference",
	},
	{
		.name = "quiet",
		.letter = 'q',
		.kind = OPT_FLAG,
		.offset = AT(print.quiet),
		.help = "print nothing; only how it ends tells",
	},
	{0},
};

static const struct example examples[] = {
	{"stele diff v1.stele v2.stele", "what a release changed"},
	{"sudo stele diff app.stele /srv/app",
		"what somebody did to a folder since the image was built"},
	{0},
};

static int run(const struct command *self, int argc, char **argv)
{
	struct diff_command d = {0};
	int code, n = opt_parse(self, argc, argv, &d, &code);

	if (n < 0)
		return code;
	if (n != 2)
		return opt_misuse(self, "two images or folders needed");
	return diff(&d, argv[1], argv[2]);
}

const struct command cmd_diff = {
	.name = "diff",
	.operands = "A B",
	.summary = "compare two images, or an image and a folder",
	.description =
		"Prints what is different, in the order of names: '- PATH' is "
		"only in A, '+ PATH' only in B, and '~ PATH' in both, followed "
		"by what of it differs: type, mode, owner, size, content, "
		"mtime, attributes (extended ones), target of a link, device, "
		"links (other names of the same file). Contents are compared "
		"by their SHA-256: only files of folders are read.\n"
		"\n"
		"Ends with 0 when there is no difference, with 1 when there "
		"is one.",
	.options = options,
	.examples = examples,
	.complete = OPERAND_PATH,
	.run = run,
};
