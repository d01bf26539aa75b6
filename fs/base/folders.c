/* SPDX-License-Identifier: Apache-2.0 */
/* Folders that are made on the way; see folders.h. */
#include "fs/base/folders.h"

#include <string.h>
#include <sys/stat.h>

int folders_make(const char *path, struct diag *diag)
{
	_cleanup_free_ char *copy = strdup(path);

	if (!copy)
		return diag_errno(diag, -ENOMEM, "creating %s", path);
	for (char *p = copy + 1;; p++) {
		char c = *p;

		if (c && c != '/')
			continue;
		*p = '\0';
		if (mkdir(copy, 0700) < 0 && errno != EEXIST)
			return diag_errno(diag, -errno, "creating %s", copy);
		*p = c;
		if (!c)
			return 0;
	}
}
