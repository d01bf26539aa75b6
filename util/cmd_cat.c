/* SPDX-License-Identifier: Apache-2.0 */
/* stele cat: files of an image on standard output, without mounting it. */
#include <string.h>
#include <sys/stat.h>

#include "fs/base/io.h"
#include "fs/image/resolve.h"
#include "fs/view/view.h"
#include "util/absent.h"
#include "util/cmd.h"
#include "util/exit.h"
#include "util/out.h"

#define CHUNK (256u << 10)

/* Not an exit code: nobody reads our output any more, so stop quietly. */
#define EXIT_CLOSED (-1)

struct cat {
	const char *image; /* as given */
	const struct image *img;
	struct view *view;
	char *chunk;
};

/* Past stdio, so that the reason of a failure is known. An exit_code, or
 * EXIT_CLOSED. */
static int write_chunk(const char *chunk, size_t len)
{
	int r = io_write(STDOUT_FILENO, chunk, len);

	if (r == -EPIPE)
		return EXIT_CLOSED;
	if (r < 0)
		return fail(EXIT_SYSTEM, "write to standard output: %s",
			strerror(-r));
	return EXIT_OK;
}

/* One content to standard output; returns as write_chunk. */
static int copy(
	const struct cat *c, const char *path, const struct image_object *obj)
{
	for (uint64_t off = 0; off < obj->size;) {
		uint32_t frame = 0;
		ssize_t n =
			view_read(c->view, obj, c->chunk, CHUNK, off, &frame);

		if (n == -EBADMSG)
			return fail(EXIT_INPUT,
				"%s: %s: damaged at byte %llu (frame %u does "
				"not match its digest); 'stele verify' tells "
				"all that is",
				c->image, path, (unsigned long long)off, frame);
		if (n < 0)
			return fail(exit_code_of((int)n),
				"%s: read %s at byte %llu: %s", c->image, path,
				(unsigned long long)off, strerror((int)-n));
		if (n == 0)
			break;

		int code = write_chunk(c->chunk, (size_t)n);

		if (code != EXIT_OK)
			return code;
		off += (uint64_t)n;
	}
	return EXIT_OK;
}

static int cat_path(const struct cat *c, const char *path)
{
	_cleanup_free_ char *shown = out_name_string(path, strlen(path));
	struct image_object obj;
	struct resolved at;
	int r;

	if (!shown)
		return fail(EXIT_SYSTEM, "out of memory");
	r = resolve_path(c->img, path, true, &at);
	if (r < 0)
		return absent_fail(c->image, path, r);
	if (S_ISDIR(at.node.mode))
		return fail(EXIT_NO,
			"%s: %s is a folder; 'stele ls' shows what is in it",
			c->image, shown);
	if (!S_ISREG(at.node.mode))
		return fail(EXIT_NO, "%s: %s is not a regular file", c->image,
			shown);
	r = image_object(c->img, at.node.data, &obj);
	if (r < 0)
		return fail(exit_code_of(r), "%s: %s: %s", c->image, shown,
			strerror(-r));
	return copy(c, shown, &obj);
}

static int cat_paths(const char *image, int count, char **paths)
{
	_cleanup_(image_free) struct image *img = NULL;
	_cleanup_(view_free) struct view *view = NULL;
	_cleanup_free_ char *chunk = malloc(CHUNK);
	struct diag diag = {0};
	int r = chunk ? 0 : -ENOMEM, code = EXIT_OK;

	if (r == 0)
		r = image_open_path(image, &img, &diag);
	if (r == 0)
		r = view_new(img, 0, 0, &view);
	if (r < 0)
		return fail_diag(r, &diag);

	const struct cat c = {
		.image = image,
		.img = img,
		.view = view,
		.chunk = chunk,
	};

	/* As cat(1): the others are still printed; the worst code counts. */
	for (int i = 0; i < count; i++) {
		int one = cat_path(&c, paths[i]);

		if (one == EXIT_CLOSED)
			break;
		code = one > code ? one : code;
	}
	return code;
}

static const struct example examples[] = {
	{"stele cat app.stele /etc/os-release", "print one file"},
	{"stele cat app.stele /bin/ls | sha256sum",
		"the same digest as 'stele ls --digest' shows"},
	{0},
};

static int run(const struct command *self, int argc, char **argv)
{
	int code, n = opt_parse(self, argc, argv, NULL, &code);

	if (n < 0)
		return code;
	if (n < 2)
		return opt_misuse(self, "IMAGE and at least one PATH needed");
	return cat_paths(argv[1], n - 1, argv + 2);
}

const struct command cmd_cat = {
	.name = "cat",
	.operands = "IMAGE PATH...",
	.summary = "print files of an image",
	.description =
		"Prints regular files of an image one after the other, without "
		"mounting it. Every byte is verified before it is printed. "
		"Symbolic links are followed inside the image, as if it were "
		"the whole world.\n"
		"\n"
		"Ends with 1 when a path is not in the image or is no regular "
		"file, with 3 when the image is damaged there.",
	.examples = examples,
	.complete = OPERAND_IMAGE,
	.run = run,
};
