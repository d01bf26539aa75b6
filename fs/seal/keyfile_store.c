/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Getting a key file to disk; see keyfile_store.h. The new file is written
 * aside and synced, then the two exchange their names, so that the old one is
 * still in reach: it is overwritten and removed. Who dies on the way leaves the
 * one or the other under the name, and aside a file that the next replacement
 * overwrites and removes first.
 */
#include "fs/seal/keyfile_store.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/base/io.h"
#include "fs/codec/sign.h"

#define OPEN_FLAGS (O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

void secret_text_done(struct secret_text *t)
{
	sign_forget(t, sizeof(*t));
}

static int refuse(const char *path, const struct stat *st, struct diag *diag)
{
	if (!S_ISREG(st->st_mode))
		return diag_set(diag, -EPERM,
			"key file %s is not a regular file%s; remove it, or "
			"put the key file back",
			path,
			S_ISLNK(st->st_mode) ? " but a symbolic link" : "");
	if (st->st_uid != geteuid())
		return diag_set(diag, -EPERM,
			"key file %s belongs to uid %u, who can sign as this "
			"ledger does; begin a new ledger",
			path, (unsigned)st->st_uid);
	if (st->st_mode & 077)
		return diag_set(diag, -EPERM,
			"key file %s has mode %04o, so others can sign as this "
			"ledger does; chmod 600 it, and begin a new ledger if "
			"somebody may have read it",
			path, (unsigned)st->st_mode & 07777);
	return 0;
}

int keyfile_store_read(
	const char *path, struct secret_text *ret, struct diag *diag)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	ssize_t n;
	int r;

	/* Looked at before it is opened, which can mean something to a device;
	 * and after, since it may be another by then. */
	if (lstat(path, &st) < 0)
		return diag_errno(diag, -errno, "key file %s", path);
	r = refuse(path, &st, diag);
	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | OPEN_FLAGS);
	if (fd < 0 || fstat(fd, &st) < 0)
		return diag_errno(diag, -errno, "key file %s", path);
	r = refuse(path, &st, diag);
	if (r < 0)
		return r;
	n = io_read(fd, ret->bytes, sizeof(ret->bytes));
	if (n < 0)
		return diag_errno(diag, (int)n, "reading key file %s", path);
	ret->len = (size_t)n;
	return 0;
}

static int aside_of(const char *path, char ret[PATH_MAX], struct diag *diag)
{
	if (snprintf(ret, PATH_MAX, "%s-new", path) >= PATH_MAX)
		return diag_errno(diag, -ENAMETOOLONG, "key file %s", path);
	return 0;
}

/* Overwrite a file of ours that has no other name. */
static int overwrite(int fd)
{
	static const char zeros[KEYFILE_MAX];
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink > 1)
		return 0;
	r = io_pwrite(fd, zeros,
		st.st_size < KEYFILE_MAX ? (size_t)st.st_size : KEYFILE_MAX, 0);
	return r == 0 && fdatasync(fd) < 0 ? -errno : r;
}

/* Overwrite and remove what lies there, if anything does. */
static int scrub(const char *name)
{
	_cleanup_close_ int fd = open(name, O_WRONLY | OPEN_FLAGS);
	int r = fd < 0 ? 0 : overwrite(fd);

	if (unlink(name) < 0 && errno != ENOENT && r == 0)
		r = -errno;
	return r;
}

static int write_aside(const char *name, const struct secret_text *t)
{
	_cleanup_close_ int fd =
		open(name, O_WRONLY | O_CREAT | O_EXCL | OPEN_FLAGS, 0600);
	int r = fd < 0 ? -errno : io_write(fd, t->bytes, t->len);

	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r;
}

static int sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir =
		slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	_cleanup_close_ int fd = -1;

	if (!dir)
		return -ENOMEM;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/*
 * What an earlier try has left aside may be the file that a crash would bring
 * back under the name, as long as the folder is not synced.
 */
static int scrub_left_over(const char *path, const char *aside)
{
	struct stat st;
	int r;

	if (lstat(aside, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	r = sync_folder(path);
	return r < 0 ? r : scrub(aside);
}

/* Write the text aside. */
static int prepare(const char *path, const char *aside,
	const struct secret_text *t, struct diag *diag)
{
	int r = scrub_left_over(path, aside);

	if (r < 0)
		return diag_errno(diag, r,
			"key file %s: removing %s, which is left over", path,
			aside);
	r = write_aside(aside, t);
	if (r < 0) {
		(void)scrub(aside); /* the next try does it again */
		return diag_errno(
			diag, r, "key file %s: writing %s", path, aside);
	}
	return 0;
}

int keyfile_store_create(
	const char *path, const struct secret_text *t, struct diag *diag)
{
	char aside[PATH_MAX];
	int r = aside_of(path, aside, diag);

	if (r == 0)
		r = prepare(path, aside, t, diag);
	if (r < 0)
		return r;
	/* Unlike rename, link leaves what is there, and is known everywhere. */
	r = link(aside, path) < 0 ? -errno : 0;
	if (r < 0) {
		(void)scrub(aside); /* the next try does it again */
		return diag_errno(diag, r, "making key file %s", path);
	}
	r = unlink(aside) < 0 ? -errno : sync_folder(path);
	return r < 0 ? diag_errno(diag, r, "making key file %s", path) : 0;
}

/*
 * Give the new file the name of the old, and the old the name aside. Where the
 * file system can't, or somebody has removed the old, only the former.
 */
static int exchange(const char *aside, const char *path)
{
	if (renameat2(AT_FDCWD, aside, AT_FDCWD, path, RENAME_EXCHANGE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS && errno != ENOENT)
		return -errno;
	return rename(aside, path) < 0 ? -errno : 0;
}

/* The folder first: until it is synced a crash may bring the old file back. */
static int forget_old(const char *path, const char *aside, int old)
{
	int r = sync_folder(path);

	if (r == 0 && old >= 0)
		r = overwrite(old);
	if (r == 0 && unlink(aside) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}

int keyfile_store_replace(const char *path, const struct secret_text *t,
	bool *ret_done, struct diag *diag)
{
	_cleanup_close_ int old = open(path, O_WRONLY | OPEN_FLAGS);
	char aside[PATH_MAX];
	int r = aside_of(path, aside, diag);

	*ret_done = false;
	if (r == 0)
		r = prepare(path, aside, t, diag);
	if (r < 0)
		return r;
	r = exchange(aside, path);
	if (r < 0) {
		(void)scrub(aside); /* the next try does it again */
		return diag_errno(diag, r, "replacing key file %s", path);
	}
	*ret_done = true;
	r = forget_old(path, aside, old);
	if (r < 0)
		return diag_errno(diag, r,
			"key file %s: overwriting the old one (%s)", path,
			aside);
	return 0;
}
