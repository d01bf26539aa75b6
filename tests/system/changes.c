/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints what tree_changes tells of a folder, as `stele diff --json` does, or
 * makes an image of it, as `stele commit` does:
 *	changes IMAGE PATH FOLDER plain|trusted|user INDEX|- [NEW LEVEL]
 */
#include <fcntl.h>
#include <string.h>

#include "fs/commit/commit.h"
#include "util/diff_text.h"

static int on_found(void *arg, const struct diff *d)
{
	return diff_json_print(d);
}

static int form_of(const char *word, enum overlay_form *ret)
{
	static const char *const words[] = {
		[OVERLAY_NONE] = "plain",
		[OVERLAY_TRUSTED] = "trusted",
		[OVERLAY_USER] = "user",
	};

	for (unsigned i = 0; i < ARRAY_LEN(words); i++) {
		if (strcmp(word, words[i]) == 0) {
			*ret = (enum overlay_form)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int open_folder(const char *path, int flags, struct diag *diag)
{
	int fd = open(path, flags | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? diag_errno(diag, -errno, "%s", path) : fd;
}

static int make_image(const struct changes_source *src, const char *path,
	const char *level, struct diag *diag)
{
	struct image_summary sum;
	struct pack_result result;

	image_summary(src->img, &sum);

	const struct pack_options opt = {
		.level = (int)strtol(level, NULL, 10),
		.jobs = 2,
		.frame_size = sum.frame_size,
	};

	return commit_changes(src->img, src, 1, path, &opt, &result, diag);
}

static int run(char **argv, struct diag *diag)
{
	const struct diff_hooks hooks = {.found = on_found};
	_cleanup_(image_free) struct image *img = NULL;
	_cleanup_close_ int dir = -1, index = -1;
	struct changes_source src = {.path = argv[2]};
	struct image_node node;
	char *slash = strrchr(argv[3], '/');
	int r = image_open_path(argv[1], &img, diag);

	if (r < 0)
		return r;
	if (image_walk(img, src.path, &node) == 0)
		src.ino = node.ino;
	src.img = img;
	if (!slash || form_of(argv[4], &src.form) < 0)
		return diag_set(diag, -EINVAL, "no folder, or no form");
	*slash = '\0';
	src.name = slash + 1;
	src.dir_fd = dir = open_folder(argv[3], O_PATH, diag);
	if (strcmp(argv[5], "-") != 0)
		index = open_folder(argv[5], O_RDONLY, diag);
	src.index_fd = index;
	if (dir < 0 || (index < 0 && strcmp(argv[5], "-") != 0))
		return -ENOENT;
	return argv[6] ? make_image(&src, argv[6], argv[7], diag)
		       : tree_changes(&src, 0, &hooks, diag);
}

int main(int argc, char **argv)
{
	struct diag diag = {0};

	if (argc != 6 && argc != 8)
		return 2;
	if (run(argv, &diag) < 0) {
		fprintf(stderr, "%s\n", diag.text);
		return 1;
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
