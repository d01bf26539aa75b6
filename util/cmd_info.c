/* SPDX-License-Identifier: Apache-2.0 */
/* stele info: what an image is, in a dozen lines. */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/image/image.h"
#include "util/cmd.h"
#include "util/exit.h"
#include "util/out.h"

struct info_values {
	bool json;
};

struct info {
	const char *path;
	char id[DIGEST_HEX_LEN + 1], tree_id[DIGEST_HEX_LEN + 1];
	struct image_summary sum;
	/* inodes, hard links counted once */
	uint64_t files, folders, links, devices, fifos, sockets;
	uint64_t hard_linked; /* files with more than one name */
	uint64_t file_bytes;  /* of regular files, as stat(2) gives them */
};

/* A sum of sizes that a hostile image may have chosen. */
static uint64_t add_capped(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static void count_node(struct info *in, const struct image_node *node)
{
	switch (node->mode & S_IFMT) {
	case S_IFREG:
		in->files++;
		in->file_bytes = add_capped(in->file_bytes, node->size);
		in->hard_linked += node->nlink > 1;
		break;
	case S_IFDIR: in->folders++; break;
	case S_IFLNK: in->links++; break;
	case S_IFCHR:
	case S_IFBLK: in->devices++; break;
	case S_IFIFO: in->fifos++; break;
	case S_IFSOCK: in->sockets++; break;
	}
}

static int count_nodes(struct info *in, const struct image *img)
{
	for (uint32_t i = 0; i < in->sum.inodes; i++) {
		struct image_node node;
		int r = image_node(img, (uint64_t)LAYOUT_ROOT_INO + i, &node);

		if (r < 0)
			return r;
		count_node(in, &node);
	}
	return 0;
}

/* "content     747M  (783286272 bytes)" */
static void print_bytes(const char *label, uint64_t bytes)
{
	char size[16];

	out_size(bytes, size);
	printf("%-12s%s", label, size);
	if (bytes >= 1024)
		printf(" (%" PRIu64 " bytes)", bytes);
	putchar('\n');
}

static void print_text(const struct info *in)
{
	const struct image_summary *s = &in->sum;
	char frame[16], stored[16];

	out_size(s->frame_size, frame);
	out_size(s->stored_bytes, stored);
	printf("image id    %s\n", in->id);
	printf("tree id     %s\n", in->tree_id);
	printf("format      %d, frames of %s\n", LAYOUT_VERSION, frame);
	print_bytes("size", s->file_size);
	printf("names       %" PRIu32 "\n", s->dirents);
	printf("files       %" PRIu64, in->files);
	if (in->hard_linked)
		printf(" (%" PRIu64 " with hard links)", in->hard_linked);
	printf("\nfolders     %" PRIu64 "\n", in->folders);
	printf("symlinks    %" PRIu64 "\n", in->links);
	printf("devices     %" PRIu64 "\n", in->devices);
	printf("fifos       %" PRIu64 "\n", in->fifos);
	printf("sockets     %" PRIu64 "\n", in->sockets);
	print_bytes("content", in->file_bytes);
	print_bytes("unique", s->object_bytes);
	print_bytes("holes", s->sparse_bytes);
	printf("stored      %s in %" PRIu32 " frames", stored, s->frames);
	if (in->file_bytes)
		printf(", %.1f%% of the content",
			100.0 * (double)s->stored_bytes /
				(double)in->file_bytes);
	printf("\nobjects     %" PRIu32 "\n", s->objects);
	printf("xattr sets  %" PRIu32 "\n", s->xattr_sets);
}

static int print_json(const struct info *in)
{
	const struct image_summary *s = &in->sum;
	json_t *o = json_pack("{s:s s:s s:i s:I s:I}", "image_id", in->id,
		"tree_id", in->tree_id, "format", LAYOUT_VERSION, "frame_size",
		(json_int_t)s->frame_size, "size", (json_int_t)s->file_size);
	json_t *counts = json_pack("{s:I s:I s:I s:I s:I s:I s:I s:I}", "names",
		(json_int_t)s->dirents, "files", (json_int_t)in->files,
		"hard_linked", (json_int_t)in->hard_linked, "folders",
		(json_int_t)in->folders, "symlinks", (json_int_t)in->links,
		"devices", (json_int_t)in->devices, "fifos",
		(json_int_t)in->fifos, "sockets", (json_int_t)in->sockets);
	json_t *bytes = json_pack("{s:I s:I s:I s:I s:I s:I s:I}",
		"content_bytes", (json_int_t)in->file_bytes, "unique_bytes",
		(json_int_t)s->object_bytes, "stored_bytes",
		(json_int_t)s->stored_bytes, "hole_bytes",
		(json_int_t)s->sparse_bytes, "objects", (json_int_t)s->objects,
		"frames", (json_int_t)s->frames, "xattr_sets",
		(json_int_t)s->xattr_sets);
	int r = -ENOMEM;

	if (o &&
		out_json_set_name(o, "image", in->path, strlen(in->path)) ==
			0 &&
		json_object_update(o, counts) == 0 &&
		json_object_update(o, bytes) == 0)
		r = out_json_line(stdout, json_incref(o));
	json_decref(o);
	json_decref(counts);
	json_decref(bytes);
	return r;
}

static int info(const char *path, const struct info_values *v)
{
	_cleanup_(image_free) struct image *img = NULL;
	struct info in = {.path = path};
	struct diag diag = {0};
	int r = image_open_path(path, &img, &diag);

	if (r < 0)
		return fail_diag(r, &diag);
	image_summary(img, &in.sum);
	digest_hex(&in.sum.image_id, in.id);
	digest_hex(&in.sum.tree_id, in.tree_id);
	r = count_nodes(&in, img);
	if (r < 0)
		return fail(exit_code_of(r), "%s: %s", path, strerror(-r));
	if (!v->json)
		print_text(&in);
	else if (print_json(&in) == -ENOMEM)
		return fail(EXIT_SYSTEM, "out of memory");
	return EXIT_OK;
}

static const struct opt options[] = {
	{
		.name = "json",
		.kind = OPT_FLAG,
		.offset = offsetof(struct info_values, json),
		.help = "one JSON object",
	},
	{0},
};

static const struct example examples[] = {
	{"stele info app.stele", "ids, counts and sizes"},
	{"stele info --json app.stele | jq -r .image_id", "only the image id"},
	{0},
};

static int run(const struct command *self, int argc, char **argv)
{
	struct info_values v = {0};
	int code, n = opt_parse(self, argc, argv, &v, &code);

	if (n < 0)
		return code;
	if (n != 1)
		return opt_misuse(self, n ? "one IMAGE only" : "IMAGE missing");
	return info(argv[1], &v);
}

const struct command cmd_info = {
	.name = "info",
	.operands = "IMAGE",
	.summary = "show ids, counts and sizes of an image",
	.description =
		"Shows what an image is: its image id (it names the bytes of "
		"the file), its tree id (it names the tree, however it is "
		"compressed), and how much is in it.\n"
		"\n"
		" content  sum of the sizes of all regular files\n"
		" unique   the same, equal contents counted once\n"
		" holes    bytes of the unique content that are in holes\n"
		" stored   what remains after compression\n"
		"\n"
		"The metadata is verified, contents are not: that is 'stele "
		"verify'.",
	.options = options,
	.examples = examples,
	.complete = OPERAND_IMAGE,
	.run = run,
};
