/* SPDX-License-Identifier: Apache-2.0 */
/* stele extract: what is in an image, into a folder. */
#include <inttypes.h>
#include <string.h>

#include "fs/image/image.h"
#include "fs/tree/extract.h"
#include "util/cmd.h"
#include "util/exit.h"
#include "util/out.h"
#include "util/progress.h"

struct extract_command {
	const char *to;
	bool overwrite, quiet, verbose;

	struct progress bar;
};

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct extract_command *c = arg;

	progress_update(&c->bar, done, total);
}

/* What an ordinary user cannot make: said once, in one line. */
static void tell_left_out(const struct extract_result *res)
{
	if (!res->owners && !res->xattrs && !res->devices)
		return;
	fprintf(stderr,
		"stele extract: only root can make all of it: %" PRIu64
		" owners, %" PRIu64 " extended attributes and %" PRIu64
		" devices are left out\n",
		res->owners, res->xattrs, res->devices);
}

static void tell_result(
	const struct extract_command *c, const struct extract_result *res)
{
	char size[16];

	if (!c->quiet)
		tell_left_out(res);
	if (c->quiet || (!c->verbose && !isatty(STDERR_FILENO)))
		return;
	out_size(res->bytes, size);
	fprintf(stderr, "%" PRIu64 " entries, %s in %s\n", res->entries, size,
		c->to);
}

static int extract_image(struct extract_command *c, const char *path,
	const char *const *paths, size_t count)
{
	_cleanup_(image_free) struct image *img = NULL;
	const struct extract_options opt = {
		.overwrite = c->overwrite,
		.paths = paths,
		.path_count = count,
		.progress = on_progress,
		.arg = c,
	};
	struct extract_result res;
	struct diag diag = {0};
	int r = image_open_path(path, &img, &diag);

	if (r < 0)
		return fail_diag(r, &diag);
	progress_begin(&c->bar, "extract", c->quiet);
	r = extract(img, c->to, &opt, &res, &diag);
	progress_end(&c->bar);
	if (r == -ENOTEMPTY && res.entries == 0)
		return fail(EXIT_USAGE, "%s", diag.text);
	if (r == -ESRCH)
		return fail(EXIT_NO, "%s: %s", path, diag.text);
	if (r < 0)
		return fail_diag(r, &diag);
	tell_result(c, &res);
	return EXIT_OK;
}

#define AT(field) offsetof(struct extract_command, field)

static const struct opt options[] = {
	{
		.name = "to",
		.letter = 'C',
		.kind = OPT_STRING,
		.offset = AT(to),
		.value = "DIR",
		.help = "the folder to fill; made when it is missing",
	},
	{
		.name = "overwrite",
		.kind = OPT_FLAG,
		.offset = AT(overwrite),
		.help = "merge into a DIR that is not empty, replace files",
	},
	{
		.name = "quiet",
		.letter = 'q',
		.kind = OPT_FLAG,
		.offset = AT(quiet),
		.help = "no progress bar, no remarks",
	},
	{
		.name = "verbose",
		.letter = 'v',
		.kind = OPT_FLAG,
		.offset = AT(verbose),
		.help = "say how much it was",
	},
	{0},
};

static const struct example examples[] = {
	{"sudo stele extract app.stele -C /srv/app", "everything"},
	{"stele extract app.stele /etc/ssh /etc/hosts -C .", "some of it"},
	{0},
};

static int run(const struct command *self, int argc, char **argv)
{
	struct extract_command c = {0};
	int code, n = opt_parse(self, argc, argv, &c, &code);

	if (n < 0)
		return code;
	if (n < 1)
		return opt_misuse(self, "IMAGE missing");
	if (!c.to || !*c.to)
		return opt_misuse(self, "-C DIR missing");
	return extract_image(
		&c, argv[1], (const char *const *)(argv + 2), (size_t)(n - 1));
}

const struct command cmd_extract = {
	.name = "extract",
	.operands = "IMAGE [PATH...] -C DIR",
	.summary = "copy an image's files into a folder",
	.description =
		"Makes in DIR what is in the image, or those PATHs of it with "
		"the folders on the way: contents with their holes, hard "
		"links, devices, owners, modes, extended attributes, times. "
		"DIR itself gets the attributes of the image's root. Every "
		"byte is verified before it is written, and nothing outside "
		"DIR is touched, whatever the names and links in the image "
		"are.\n"
		"\n"
		"DIR must be empty or missing, unless --overwrite is given. "
		"An ordinary user gets the files as their own, without "
		"set-user-id and set-group-id bits, devices and attributes "
		"that only root can set; one line says so.\n"
		"\n"
		"Ends with 1 when a PATH is not in the image, with 3 when the "
		"image is damaged.",
	.options = options,
	.examples = examples,
	.complete = OPERAND_IMAGE,
	.run = run,
};
