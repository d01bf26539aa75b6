/* SPDX-License-Identifier: Apache-2.0 */
/* Temporary file, sync, rename; see writer_file.h. */
#include "fs/image/writer_file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

/* Tries to find a name that is free; with 2^36 names more won't help. */
#define NAME_TRIES 100

struct writer_file {
	char *path;
	const char *name; /* last component, within path */
	int dir;
	int fd;
	char temp[NAME_MAX + 1]; /* in dir; "" while the file has no name */
};

static int open_folder(struct writer_file *f)
{
	_cleanup_free_ char *folder = strndup(f->path, f->name - f->path);

	if (!folder)
		return -ENOMEM;
	f->dir = open(
		*folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return f->dir < 0 ? -errno : 0;
}

/* A fresh .NAME.XXXXXX, NAME cut where it would become too long. */
static int invent_name(struct writer_file *f)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	uint8_t random[6];
	char suffix[sizeof(random) + 1] = {0};
	int keep = NAME_MAX - (int)sizeof(random) - 2;

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	for (size_t i = 0; i < sizeof(random); i++)
		suffix[i] = letters[random[i] % 64];
	(void)snprintf(
		f->temp, sizeof(f->temp), ".%.*s.%s", keep, f->name, suffix);
	return 0;
}

static int create_named(struct writer_file *f)
{
	for (int i = 0; i < NAME_TRIES; i++) {
		int r = invent_name(f);

		if (r < 0)
			return r;
		f->fd = openat(f->dir, f->temp,
			O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
			0600);
		if (f->fd >= 0)
			return 0;
		r = -errno;
		f->temp[0] = '\0';
		if (r != -EEXIST)
			return r;
	}
	return -EEXIST;
}

/* Where linkat finds a file that has no name. */
static void nameless_path(const struct writer_file *f, char ret[32])
{
	(void)snprintf(ret, 32, "/proc/self/fd/%d", f->fd);
}

static bool create_nameless(struct writer_file *f)
{
	char link[32];

	f->fd = openat(f->dir, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (f->fd < 0)
		return false;
	nameless_path(f, link);
	if (access(link, F_OK) == 0)
		return true;
	(void)close(f->fd); /* no /proc here: nothing can name it later */
	f->fd = -1;
	return false;
}

/* Refuse a name that can't become, or should not cease to be, what it is. */
static int check_name(const struct writer_file *f, struct diag *diag)
{
	struct stat st;

	if (!*f->name)
		return diag_set(diag, -EISDIR,
			"cannot write %s: a file name is needed", f->path);
	if (fstatat(f->dir, f->name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOENT)
			return 0;
		return diag_errno(diag, -errno, "cannot write %s", f->path);
	}
	if (S_ISDIR(st.st_mode))
		return diag_set(diag, -EISDIR,
			"cannot write %s: it is a folder", f->path);
	if (!S_ISREG(st.st_mode))
		return diag_set(diag, -EEXIST,
			"cannot write %s: it exists and is not a regular file",
			f->path);
	return 0;
}

int writer_file_new(
	const char *path, struct writer_file **ret, struct diag *diag)
{
	_cleanup_(writer_file_free) struct writer_file *f =
		calloc(1, sizeof(*f));

	if (!f)
		return diag_errno(diag, -ENOMEM, "cannot write %s", path);
	f->dir = f->fd = -1;
	f->path = strdup(path);
	if (!f->path)
		return diag_errno(diag, -ENOMEM, "cannot write %s", path);

	const char *slash = strrchr(f->path, '/');

	f->name = slash ? slash + 1 : f->path;

	int r = open_folder(f);

	if (r < 0)
		return diag_errno(diag, r, "cannot write %s: its folder", path);
	r = check_name(f, diag);
	if (r < 0)
		return r;
	if (!create_nameless(f))
		r = create_named(f);
	if (r < 0)
		return diag_errno(diag, r, "cannot write %s", path);
	*ret = take_ptr(f);
	return 0;
}

void writer_file_free(struct writer_file *f)
{
	if (!f)
		return;
	if (f->temp[0])
		(void)unlinkat(f->dir, f->temp, 0); /* nothing else to try */
	if (f->fd >= 0)
		(void)close(f->fd); /* synced before it was published */
	if (f->dir >= 0)
		(void)close(f->dir); /* only read */
	free(f->path);
	free(f);
}

int writer_file_fd(const struct writer_file *f)
{
	return f->fd;
}

const char *writer_file_path(const struct writer_file *f)
{
	return f->path;
}

/*
 * Permissions of a new file, 0666 without the umask. umask(2) can only be read
 * by changing it, for all threads; /proc tells it without.
 */
static mode_t new_file_mode(void)
{
	_cleanup_fclose_ FILE *status = fopen("/proc/self/status", "re");
	char line[256];
	unsigned mask;

	while (status && fgets(line, sizeof(line), status)) {
		if (sscanf(line, "Umask: %o", &mask) == 1)
			return 0666 & ~(mode_t)mask;
	}
	return 0644;
}

/* Give the nameless file a temporary name that rename can start from. */
static int name_temp(struct writer_file *f, const char *link)
{
	for (int i = 0; i < NAME_TRIES; i++) {
		int r = invent_name(f);

		if (r < 0)
			return r;
		if (linkat(AT_FDCWD, link, f->dir, f->temp,
			    AT_SYMLINK_FOLLOW) == 0)
			return 0;
		r = -errno;
		f->temp[0] = '\0';
		if (r != -EEXIST)
			return r;
	}
	return -EEXIST;
}

static int give_name(struct writer_file *f)
{
	char link[32];

	if (!f->temp[0]) {
		nameless_path(f, link);
		if (linkat(AT_FDCWD, link, f->dir, f->name,
			    AT_SYMLINK_FOLLOW) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;

		/* linkat does not replace; rename does. */
		int r = name_temp(f, link);

		if (r < 0)
			return r;
	}
	if (renameat(f->dir, f->temp, f->dir, f->name) < 0)
		return -errno;
	f->temp[0] = '\0';
	return 0;
}

int writer_file_publish(struct writer_file *f, struct diag *diag)
{
	int r = 0;

	if (fchmod(f->fd, new_file_mode()) < 0 || fsync(f->fd) < 0)
		r = -errno;
	if (r == 0)
		r = check_name(f, NULL);
	if (r == 0)
		r = give_name(f);
	if (r < 0)
		return diag_errno(diag, r, "cannot write %s", f->path);

	/* Some file systems can't sync a folder; that is no failure. */
	if (fsync(f->dir) < 0 && errno != EINVAL && errno != ENOSYS)
		return diag_errno(diag, -errno,
			"%s is written, but may not survive a power cut: "
			"cannot sync its folder",
			f->path);
	return 0;
}
