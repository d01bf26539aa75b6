/* SPDX-License-Identifier: Apache-2.0 */
/* What an image has at a declared path; see plan_internal.h. */
#include "fs/upper/plan_internal.h"

#include <string.h>
#include <sys/stat.h>

#include "fs/image/resolve.h"

int finding_make(const struct image *img, const char *path, struct finding *ret)
{
	struct finding f = {.found = FOUND_NODE};
	int r = image_node(img, LAYOUT_ROOT_INO, &f.node);
	const char *p = path + 1;

	while (r == 0 && *p) {
		size_t len = strcspn(p, "/");
		struct image_entry e;

		if (!S_ISDIR(f.node.mode)) {
			f.found = S_ISLNK(f.node.mode) ? FOUND_LINK
						       : FOUND_NO_FOLDER;
			break;
		}
		r = image_lookup(img, &f.node, p, len, &e);
		if (r == -ENOENT) {
			f.found = FOUND_NOTHING;
			r = 0;
			break;
		}
		if (r == 0)
			r = image_node(img, e.ino, &f.node);
		f.len = (size_t)(p - path) + len;
		p += len;
		p += *p == '/';
	}
	if (r == 0)
		*ret = f;
	return r;
}

char *finding_real(const struct image *img, const char *path, size_t len)
{
	_cleanup_free_ char *link = strndup(path, len);
	_cleanup_free_ char *to = NULL;
	struct resolved at;
	char *real;

	if (!link || resolve_path(img, link, true, &at) < 0)
		return NULL;
	to = resolve_name(img, &at);
	if (!to)
		return NULL;
	if (asprintf(&real, "%s%s", strcmp(to, "/") == 0 ? "" : to,
		    path + len) < 0)
		return NULL;
	return real;
}
