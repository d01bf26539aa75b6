/* SPDX-License-Identifier: Apache-2.0 */
/* Ownership and the writer's lock of a ledger's files; see claim.h. */
#include "fs/ledger/claim.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "fs/base/io.h"

/* A lock that is given up in the very moment is worth another try, but nobody
 * may keep us busy with it. */
enum { LOCK_TRIES = 16 };

/* Who only looks whether somebody writes (stele log verify) holds the lock for
 * a moment. */
enum { LOOK_TRIES = 10 };
#define LOOK_PAUSE_NS 5000000

/* The folder resolved, the last component as it is: it may not exist yet, and
 * if it is a symbolic link we want to see that. */
static int canonical(const char *path, char **ret)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	_cleanup_free_ char *given = NULL;
	_cleanup_free_ char *dir = NULL;
	char *whole;

	if (!*base || strcmp(base, ".") == 0 || strcmp(base, "..") == 0)
		return -EISDIR;
	given = slash ? strndup(path, (size_t)(base - path)) : strdup(".");
	if (!given)
		return -ENOMEM;
	dir = realpath(given, NULL);
	if (!dir)
		return -errno;
	if (asprintf(&whole, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, base) <
		0)
		return -ENOMEM;
	*ret = whole;
	return 0;
}

/* A missing file is in order. */
static int check_ours(const char *path, const char *suffix, struct diag *diag)
{
	char name[PATH_MAX];
	struct stat st;

	if (snprintf(name, sizeof(name), "%s%s", path, suffix) >=
		(int)sizeof(name))
		return diag_errno(diag, -ENAMETOOLONG, "ledger %s", path);
	if (lstat(name, &st) < 0)
		return errno == ENOENT
			       ? 0
			       : diag_errno(diag, -errno, "ledger %s", name);
	if (!S_ISREG(st.st_mode))
		return diag_set(diag, -EPERM,
			"ledger %s is not a regular file%s; give another file",
			name,
			S_ISLNK(st.st_mode) ? " but a symbolic link" : "");
	if (st.st_uid != geteuid())
		return diag_set(diag, -EPERM,
			"ledger %s belongs to uid %u, who could change it; "
			"give another file",
			name, (unsigned)st.st_uid);
	return 0;
}

int claim_check(const struct claim *c, struct diag *diag)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(suffixes); i++)
		r = check_ours(c->path, suffixes[i], diag);
	return r;
}

static int busy(int fd, const char *path, struct diag *diag)
{
	char pid[16] = "";
	ssize_t n = io_pread(fd, pid, sizeof(pid) - 1, 0);

	if (n < 0)
		n = 0; /* then the holder has no name */
	pid[n] = '\0';
	pid[strcspn(pid, "\n")] = '\0';
	return diag_set(diag, -EBUSY,
		"ledger %s: process %s is writing to it; unmount there first, "
		"or give another file",
		path, *pid ? pid : "(unknown)");
}

/* Is this still the file of that name? Who gives a lock up removes it. */
static bool is_current(int fd, const char *name)
{
	struct stat held, named;

	return fstat(fd, &held) == 0 && lstat(name, &named) == 0 &&
	       held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

/* -1 and errno EWOULDBLOCK when a writer has it. */
static int lock_soon(int fd)
{
	const struct timespec pause = {.tv_nsec = LOOK_PAUSE_NS};
	int r = flock(fd, LOCK_EX | LOCK_NB);

	for (int i = 0; r < 0 && errno == EWOULDBLOCK && i < LOOK_TRIES; i++) {
		(void)nanosleep(&pause, NULL);
		r = flock(fd, LOCK_EX | LOCK_NB);
	}
	return r;
}

/* 0, -EAGAIN when the file was removed before we had the lock, -errno. */
static int try_lock(
	const char *path, const char *name, int *ret, struct diag *diag)
{
	_cleanup_close_ int fd = open(name,
		O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);

	if (fd < 0)
		return diag_errno(diag, -errno, "creating %s", name);
	/* Again, now that it exists: somebody may have been quicker. */
	int r = check_ours(path, "-lock", diag);

	if (r < 0)
		return r;
	if (lock_soon(fd) < 0)
		return errno == EWOULDBLOCK
			       ? busy(fd, path, diag)
			       : diag_errno(diag, -errno, "locking %s", name);
	if (!is_current(fd, name))
		return diag_set(diag, -EAGAIN,
			"ledger %s: others keep opening and closing it", path);
	*ret = take_fd(fd);
	return 0;
}

static int take_lock(const char *path, int *ret, struct diag *diag)
{
	char name[PATH_MAX], pid[16];
	int fd = -1, r = check_ours(path, "-lock", diag);

	if (r < 0)
		return r;
	/* check_ours proved that it fits */
	(void)snprintf(name, sizeof(name), "%s-lock", path);
	r = -EAGAIN;
	for (int i = 0; i < LOCK_TRIES && r == -EAGAIN; i++)
		r = try_lock(path, name, &fd, diag);
	if (r < 0)
		return r;

	int len = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());

	/* The number only makes the message of the next one better. */
	if (ftruncate(fd, 0) == 0)
		(void)!io_pwrite(fd, pid, (size_t)len, 0);
	*ret = fd;
	return 0;
}

static int create(const char *path, bool *ret_created, struct diag *diag)
{
	/* Nobody, SQLite in this process included, can have a file open that
	 * O_EXCL has just made, so closing it drops no locks. */
	_cleanup_close_ int fd = open(path,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 && errno != EEXIST)
		return diag_errno(diag, -errno, "creating the ledger %s", path);
	*ret_created = fd >= 0;
	return 0;
}

int claim_init(struct claim *c, const char *path, struct diag *diag)
{
	struct claim made = {.lock = -1};
	int r = canonical(path, &made.path);

	if (r < 0)
		return diag_errno(diag, r, "ledger %s", path);
	r = take_lock(made.path, &made.lock, diag);
	if (r == 0)
		r = create(made.path, &made.created, diag);
	if (r == 0)
		r = claim_check(&made, diag);
	if (r < 0) {
		claim_undo(&made);
		return r;
	}
	*c = made;
	return 0;
}

static void remove_file(const char *path, const char *suffix)
{
	char name[PATH_MAX];

	/* What can't be removed does no harm: the lock is what counts. */
	if (snprintf(name, sizeof(name), "%s%s", path, suffix) <
		(int)sizeof(name))
		(void)unlink(name);
}

void claim_done(struct claim *c)
{
	if (!c->path)
		return;
	if (c->lock >= 0) {
		/* First the name, then the lock: see is_current. */
		remove_file(c->path, "-lock");
		(void)close(c->lock);
	}
	free(c->path);
	*c = (struct claim){.lock = -1};
}

void claim_undo(struct claim *c)
{
	if (c->path && c->created) {
		remove_file(c->path, "-wal");
		remove_file(c->path, "-shm");
		remove_file(c->path, "-journal");
		remove_file(c->path, "");
	}
	claim_done(c);
}

int claim_beside(
	const char *ledger, const char *suffix, int *ret_fd, struct diag *diag)
{
	_cleanup_free_ char *name = NULL;
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (asprintf(&name, "%s%s", ledger, suffix) < 0) {
		name = NULL;
		return diag_errno(diag, -ENOMEM, "ledger %s", ledger);
	}
	fd = open(name,
		O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK |
			O_NOCTTY,
		0600);
	if (fd < 0 && errno != ELOOP)
		return diag_errno(diag, -errno, "%s", name);
	if (fd >= 0 && fstat(fd, &st) < 0)
		return diag_errno(diag, -errno, "%s", name);
	if (fd < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
		st.st_nlink != 1)
		return diag_set(diag, -EPERM,
			"%s is somebody else's or no regular file; remove it",
			name);
	*ret_fd = take_fd(fd);
	return 0;
}
