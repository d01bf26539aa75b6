/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a ledger for reading; see reader.h. */
#include "fs/audit/reader.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/ledger/schema.h"

static bool has_shm(const char *path)
{
	char name[PATH_MAX];
	struct stat st;

	return snprintf(name, sizeof(name), "%s-shm", path) <
		       (int)sizeof(name) &&
	       lstat(name, &st) == 0;
}

static bool folder_is_writable(const char *path)
{
	_cleanup_free_ char *folder = strdup(path);
	char *slash = folder ? strrchr(folder, '/') : NULL;

	if (!slash)
		return false;
	slash[slash == folder] = '\0';
	return faccessat(AT_FDCWD, folder, W_OK, AT_EACCESS) == 0;
}

static int open_and_check(
	const char *path, unsigned flags, struct db **ret, struct diag *diag)
{
	_cleanup_(db_close) struct db *db = NULL;
	int r = db_open(path, DB_READ_ONLY | flags, &db, diag);

	if (r == 0)
		r = schema_check(db, path, diag);
	if (r == -ENODATA)
		r = diag_set(diag, -EBADMSG, "%s is an empty database", path);
	if (r < 0)
		return r;
	*ret = take_ptr(db);
	return 0;
}

/*
 * SQLite needs a -shm file to read beside a writer. When it is missing nobody
 * writes, and when we can't make one nobody else is about to.
 */
static int open_db(const char *path, struct db **ret, struct diag *diag)
{
	if (has_shm(path) || folder_is_writable(path)) {
		int r = open_and_check(path, 0, ret, diag);

		if (r == 0 || r == -EBADMSG || r == -EOPNOTSUPP ||
			folder_is_writable(path))
			return r;
	}
	return open_and_check(path, DB_ALONE, ret, diag);
}

int reader_open(const char *path, struct db **ret, struct diag *diag)
{
	_cleanup_free_ char *real = realpath(path, NULL);

	if (!real)
		return diag_errno(diag, -errno, "reading the ledger %s", path);

	int r = schema_probe(real);

	if (r == -EBADMSG)
		return diag_set(diag, r, "%s is not a ledger", path);
	if (r < 0)
		return diag_errno(diag, r, "reading the ledger %s", path);
	return open_db(real, ret, diag);
}
