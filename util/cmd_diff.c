/* SPDX-License-Identifier: Apache-2.0 */
/* stele diff: what is different between two images or folders. */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/image/image.h"
#include "fs/tree/build.h"
#include "fs/tree/diff.h"
#include "util/cmd.h"
#include "util/diff_text.h"
#include "util/exit.h"
#include "util/out.h"
#include "util/progress.h"

/* One of the two. */
struct side {
	struct tree *tree;
	struct image *img; /* that the tree came from; NULL: a folder */
};

struct diff_command {
	bool json, quiet, ignore_mtime, ignore_owner, one_file_system;

	struct progress bar;
	uint64_t differences;
	int err; /* of the output */
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

static void on_progress(void *arg, uint64_t bytes)
{
	struct diff_command *d = arg;

	progress_update(&d->bar, bytes, 0);
}

static int on_found(void *arg, const struct diff *diff)
{
	struct diff_command *d = arg;

	d->differences++;
	if (d->quiet)
		return -ECANCELED; /* one is enough */
	if (d->bar.shown)
		progress_end(&d->bar);
	d->err = d->json ? diff_json_print(diff) : diff_text_print(diff);
	/* What standard output says is told once, by exit_flush. */
	return d->err < 0 || ferror(stdout) ? -ECANCELED : 0;
}

static int compare(
	struct diff_command *d, const struct side *a, const struct side *b)
{
	const struct diff_hooks hooks = {
		.found = on_found,
		.progress = on_progress,
		.arg = d,
	};
	unsigned flags = (d->ignore_mtime ? DIFF_IGNORE_MTIME : 0u) |
			 (d->ignore_owner ? DIFF_IGNORE_OWNER : 0u);
	struct diag diag = {0};

	progress_begin(&d->bar, "diff", d->quiet);

	int r = tree_diff(a->tree, b->tree, flags, &hooks, &diag);

	progress_end(&d->bar);
	if (d->err < 0)
		return fail(exit_code_of(d->err), "%s", strerror(-d->err));
	if (r < 0 && r != -ECANCELED)
		return fail_diag(r, &diag);
	return d->differences ? EXIT_NO : EXIT_OK;
}

static int diff(struct diff_command *d, const char *path_a, const char *path_b)
{
	struct side a = {0}, b = {0};
	struct diag diag = {0};
	int code, r = side_open(d, path_a, &a, &diag);

	if (r == 0)
		r = side_open(d, path_b, &b, &diag);
	code = r < 0 ? fail_diag(r, &diag) : compare(d, &a, &b);
	side_done(&a);
	side_done(&b);
	return code;
}

#define AT(field) offsetof(struct diff_command, field)

static const struct opt options[] = {
	{
		.name = "ignore-mtime",
		.kind = OPT_FLAG,
		.offset = AT(ignore_mtime),
		.help = "other times are no difference",
	},
	{
		.name = "ignore-owner",
		.kind = OPT_FLAG,
		.offset = AT(ignore_owner),
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
		.offset = AT(json),
		.help = "one JSON object for each difference",
	},
	{
		.name = "quiet",
		.letter = 'q',
		.kind = OPT_FLAG,
		.offset = AT(quiet),
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
