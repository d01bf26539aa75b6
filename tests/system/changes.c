/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints what tree_changes tells of a folder, as `stele diff --json` does:
 *	changes IMAGE PATH FOLDER plain|trusted|user [INDEX]
 * PATH that the image lacks is one that it had nothing for. "=PATH" is one
 * whose content is hidden (seed: empty).
 */
#include <fcntl.h>
#include <string.h>

#include "fs/tree/changes.h"
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

static int tell(int argc, char **argv, struct diag *diag)
{
	const struct diff_hooks hooks = {.found = on_found};
	struct changes_source src = {.index_fd = -1};
	_cleanup_(image_free) struct image *img = NULL;
	struct image_node node;
	bool hidden = argv[2][0] == '=';
	int r = image_open_path(argv[1], &img, diag);

	if (r < 0)
		return r;
	src.path = argv[2] + hidden;
	if (!hidden && image_walk(img, src.path, &node) == 0)
		src.ino = node.ino;
	src.img = img;
	r = form_of(argv[4], &src.form);
	if (r < 0)
		return diag_set(diag, r, "%s is no form", argv[4]);

	_cleanup_close_ int index =
		argc > 5 ? open(argv[5], O_RDONLY | O_DIRECTORY | O_CLOEXEC)
			 : -1;

	if (argc > 5 && index < 0)
		return diag_errno(diag, -errno, "%s", argv[5]);
	src.index_fd = index;

	char *slash = strrchr(argv[3], '/');

	if (!slash)
		return diag_set(diag, -EINVAL, "FOLDER must be absolute");
	*slash = '\0';

	_cleanup_close_ int dir = open(argv[3], O_PATH | O_CLOEXEC);

	if (dir < 0)
		return diag_errno(diag, -errno, "%s", argv[3]);
	src.dir_fd = dir;
	src.name = slash + 1;
	return tree_changes(&src, 0, &hooks, diag);
}

int main(int argc, char **argv)
{
	struct diag diag = {0};

	if (argc < 5)
		return 2;
	if (tell(argc, argv, &diag) < 0) {
		fprintf(stderr, "%s\n", diag.text);
		return 1;
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
