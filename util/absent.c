/* SPDX-License-Identifier: Apache-2.0 */
/* Saying that a path is not in an image; see absent.h. */
#include "util/absent.h"

#include <string.h>

#include "util/exit.h"
#include "util/out.h"

static const char *reason(int err)
{
	switch (err) {
	case -ENOENT: return "no such path in the image";
	case -ENOTDIR: return "a part of the path is no folder";
	case -ELOOP: return "too many symbolic links";
	case -ENAMETOOLONG: return "the path is too long";
	default: return strerror(-err);
	}
}

int absent_fail(const char *image, const char *path, int err)
{
	_cleanup_free_ char *shown = out_name_string(path, strlen(path));
	bool absent = err == -ENOENT || err == -ENOTDIR || err == -ELOOP ||
		      err == -ENAMETOOLONG;

	return fail(absent ? EXIT_NO : exit_code_of(err), "%s: %s: %s", image,
		reason(err), shown ? shown : "?");
}
