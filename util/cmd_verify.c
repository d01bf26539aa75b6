/* SPDX-License-Identifier: Apache-2.0 */
/* stele verify: is every byte of the image what its id says? */
#include <inttypes.h>
#include <string.h>

#include "fs/image/image.h"
#include "util/cmd.h"
#include "util/exit.h"
#include "util/out.h"
#include "util/progress.h"

struct verify {
	bool quiet, json;
	const char *id, *tree_id; /* as given, or NULL */
	struct digest want_id, want_tree_id;

	const char *path;
	struct image_summary sum;
	struct progress bar;
	uint64_t damages;
};

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct verify *v = arg;

	progress_update(&v->bar, done, total);
}

/* A line a damage, at once: there may be millions. */
static void on_damage(void *arg, const char *text)
{
	struct verify *v = arg;

	v->damages++;
	progress_end(&v->bar);
	if (v->json) {
		/* An error of standard output is told by exit_flush. */
		(void)out_json_line(
			stdout, json_pack("{s:o}", "damage",
					out_json_name(text, strlen(text))));
		return;
	}
	fputs("damage: ", stdout);
	out_name(stdout, text, strlen(text));
	putc('\n', stdout);
	if (v->bar.shown)
		(void)fflush(stdout); /* before the bar comes back */
}

/* The last line. An exit_code. */
static int print_result(const struct verify *v)
{
	char id[DIGEST_HEX_LEN + 1], tree_id[DIGEST_HEX_LEN + 1];
	int r;

	digest_hex(&v->sum.image_id, id);
	digest_hex(&v->sum.tree_id, tree_id);
	if (v->json) {
		r = out_json_line(stdout,
			json_pack("{s:o s:b s:s s:s s:I}", "image",
				out_json_name(v->path, strlen(v->path)), "ok",
				v->damages == 0, "image_id", id, "tree_id",
				tree_id, "damages", (json_int_t)v->damages));
		if (r == -ENOMEM)
			return fail(EXIT_SYSTEM, "out of memory");
	} else if (!v->quiet && v->damages == 0) {
		printf("ok %s\n", id);
	}
	if (v->damages)
		return fail(EXIT_INPUT,
			"%s: damaged in %" PRIu64 " place%s; restore it from "
			"a good copy",
			v->path, v->damages, v->damages == 1 ? "" : "s");
	return EXIT_OK;
}

/* Is it the image that was asked for? An exit_code. */
static int compare(const struct verify *v, const char *what,
	const struct digest *is, const struct digest *want)
{
	char hex[DIGEST_HEX_LEN + 1];

	if (digest_equal(is, want))
		return EXIT_OK;
	digest_hex(is, hex);
	return fail(EXIT_NO, "%s: another %s than asked for: %s", v->path, what,
		hex);
}

static int verify(struct verify *v)
{
	_cleanup_(image_free) struct image *img = NULL;
	const struct image_check_hooks hooks = {
		.progress = on_progress,
		.report = on_damage,
		.arg = v,
	};
	struct diag diag = {0};
	int r = image_open_path(v->path, &img, &diag);
	int code = EXIT_OK;

	if (r < 0)
		return fail_diag(r, &diag);
	image_summary(img, &v->sum);
	if (v->id)
		code = compare(v, "image id", &v->sum.image_id, &v->want_id);
	if (v->tree_id && code == EXIT_OK)
		code = compare(v, "tree id", &v->sum.tree_id, &v->want_tree_id);
	if (code != EXIT_OK)
		return code;

	progress_begin(&v->bar, "verify", v->quiet);
	r = image_check(img, &hooks);
	progress_end(&v->bar);
	if (r < 0 && r != -EBADMSG)
		return fail(exit_code_of(r), "%s: read it: %s", v->path,
			strerror(-r));
	if (r < 0 && v->damages == 0)
		v->damages = 1; /* never call it good, whatever was told */
	return print_result(v);
}

static const struct opt options[] = {
	{
		.name = "id",
		.kind = OPT_STRING,
		.offset = offsetof(struct verify, id),
		.value = "HEX",
		.help = "the image must have this image id",
	},
	{
		.name = "tree-id",
		.kind = OPT_STRING,
		.offset = offsetof(struct verify, tree_id),
		.value = "HEX",
		.help = "the image must have this tree id",
	},
	{
		.name = "json",
		.kind = OPT_FLAG,
		.offset = offsetof(struct verify, json),
		.help = "one JSON object a line: each damage, then the result",
	},
	{
		.name = "quiet",
		.letter = 'q',
		.kind = OPT_FLAG,
		.offset = offsetof(struct verify, quiet),
		.help = "no progress bar, and nothing when all is well",
	},
	{0},
};

static const struct example examples[] = {
	{"stele verify app.stele", "read and check every byte"},
	{"stele verify --id $(cat app.id) app.stele && stele mount app.stele "
	 "/mnt",
		"mount only what was released"},
	{0},
};

static int run(const struct command *self, int argc, char **argv)
{
	struct verify v = {0};
	int code, n = opt_parse(self, argc, argv, &v, &code);

	if (n < 0)
		return code;
	if (n != 1)
		return opt_misuse(self, n ? "one IMAGE only" : "IMAGE missing");
	if (v.id && digest_parse(v.id, &v.want_id) < 0)
		return opt_misuse(
			self, "--id: '%s' is not 64 hexadecimal digits", v.id);
	if (v.tree_id && digest_parse(v.tree_id, &v.want_tree_id) < 0)
		return opt_misuse(self,
			"--tree-id: '%s' is not 64 hexadecimal digits",
			v.tree_id);
	v.path = argv[1];
	return verify(&v);
}

const struct command cmd_verify = {
	.name = "verify",
	.operands = "IMAGE",
	.summary = "check every byte of an image",
	.description =
		"Reads a whole image: each frame against its digest, each file "
		"against its SHA-256, the tree against the tree id. Prints 'ok "
		"IMAGE-ID', or a line for each damage.\n"
		"\n"
		"Whether an image is the one you mean only its id can tell: "
		"get that from a place you trust and give it with --id.\n"
		"\n"
		"Ends with 3 when the image is damaged or is no image, with 1 "
		"when it is well but has another id than asked for.",
	.options = options,
	.examples = examples,
	.complete = OPERAND_IMAGE,
	.run = run,
};
