/* SPDX-License-Identifier: Apache-2.0 */
/* Temporary folders of tests; see workdir.h. */
#include "tests/lib/workdir.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "fs/base/cleanup.h"
#include "fs/base/io.h"
#include "tests/unit/unit.h"

extern char **environ;

/* What went wrong, and stop. */
#define MUST(what)                                                  \
	do {                                                        \
		if (!(what))                                        \
			fail_msg("%s: %s", #what, strerror(errno)); \
	} while (0)

int workdir_set_up(void **state)
{
	struct workdir *s = calloc(1, sizeof(*s));

	if (!s)
		return -1;
	(void)snprintf(s->path, sizeof(s->path), "/tmp/stele-workdir.XXXXXX");
	if (!mkdtemp(s->path))
		return -1;
	s->fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = s;
	return s->fd < 0 ? -1 : 0;
}

/* Remove what can be removed at once; a folder that is not empty is opened
 * instead: its descriptor, or -1 when nothing is left. */
static int remove_some(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *d = fdopendir(copy);

	MUST(d != NULL);
	for (const struct dirent *e; (e = readdir(d));) {
		const char *n = e->d_name;

		if (strcmp(n, ".") == 0 || strcmp(n, "..") == 0 ||
			unlinkat(fd, n, 0) == 0 ||
			unlinkat(fd, n, AT_REMOVEDIR) == 0)
			continue;
		MUST(errno == ENOTEMPTY);
		MUST(fchmodat(fd, n, 0700, 0) == 0);
		copy = openat(fd, n, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		MUST(copy >= 0);
		return copy;
	}
	return -1;
}

/* Down into what is not empty, and up again: any depth, two descriptors. */
static void empty(int top)
{
	_cleanup_close_ int fd = fcntl(top, F_DUPFD_CLOEXEC, 0);
	long depth = 0;

	while (depth >= 0) {
		int next = remove_some(fd);

		depth += next < 0 ? -1 : 1;
		if (next < 0 && depth >= 0)
			next = openat(
				fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close_cleanup(&fd);
		fd = next;
	}
}

void workdir_remove(const struct workdir *s, const char *name)
{
	_cleanup_close_ int fd =
		openat(s->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	MUST(fd >= 0);
	empty(fd);
}

int workdir_tear_down(void **state)
{
	struct workdir *s = *state;

	empty(s->fd);
	close_cleanup(&s->fd);
	if (rmdir(s->path) < 0)
		return -1;
	free(s);
	return 0;
}

const char *workdir_path(const struct workdir *s, const char *name)
{
	static char paths[8][4096];
	static unsigned next;
	char *path = paths[next++ % ARRAY_LEN(paths)];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", s->path, name);
	return path;
}

void workdir_file(
	const struct workdir *s, const char *name, const void *data, size_t len)
{
	_cleanup_close_ int fd = openat(
		s->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	MUST(fd >= 0);
	MUST(io_write(fd, data, len) == 0);
}

void workdir_text(const struct workdir *s, const char *name, const char *text)
{
	workdir_file(s, name, text, strlen(text));
}

void workdir_folder(const struct workdir *s, const char *name)
{
	MUST(mkdirat(s->fd, name, 0755) == 0);
}

void workdir_run(const char *const argv[])
{
	char *args[16];
	int status;
	pid_t pid;
	size_t n = 0;

	for (; argv[n]; n++) {
		assert_true(n + 1 < ARRAY_LEN(args));
		args[n] = strdup(argv[n]);
		MUST(args[n] != NULL);
	}
	args[n] = NULL;
	errno = posix_spawnp(&pid, args[0], NULL, NULL, args, environ);
	MUST(errno == 0);
	MUST(waitpid(pid, &status, 0) == pid);
	for (size_t i = 0; i < n; i++)
		free(args[i]);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("%s ended with status %d", argv[0], status);
}

void workdir_few_descriptors(void)
{
	const struct rlimit few = {32, 32};

	MUST(setrlimit(RLIMIT_NOFILE, &few) == 0);
}

/* u::rw- u:1000:rw- g::r-- m::rw- o::--- */
static const uint8_t acl_value[] = {2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255,
	2, 0, 6, 0, 0xe8, 3, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255, 16, 0, 6, 0,
	255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255};

/* cap_net_raw, effective and permitted */
static const uint8_t cap_value[] = {
	1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};

static void add_privileged(int fd)
{
	struct timespec times[] = {{.tv_nsec = UTIME_OMIT},
		{.tv_sec = -300000000, .tv_nsec = 123456789}};

	MUST(mknodat(fd, "char", S_IFCHR | 0640, makedev(5, 1)) == 0);
	MUST(mknodat(fd, "block", S_IFBLK | 0600, makedev(259, 70000)) == 0);
	MUST(fchownat(fd, "folder/owned", 4000000000, 3000000000,
		     AT_SYMLINK_NOFOLLOW) == 0);
	MUST(fchmodat(fd, "folder/owned", 06755, 0) == 0);
	MUST(fchownat(fd, "link", 12, 34, AT_SYMLINK_NOFOLLOW) == 0);

	_cleanup_close_ int f = openat(fd, "first", O_RDONLY | O_CLOEXEC);

	MUST(fsetxattr(f, "trusted.t", "\0\1\2", 3, 0) == 0);
	MUST(fsetxattr(f, "security.capability", cap_value, sizeof(cap_value),
		     0) == 0);
	/* Last, or what is made in it would move it. */
	MUST(utimensat(fd, "folder", times, 0) == 0);
}

static void add_files(int fd)
{
	struct workdir s = {.fd = fd};
	_cleanup_close_ int f = -1;

	workdir_text(&s, "first", "hard links\n");
	MUST(linkat(fd, "first", fd, "folder/second", 0) == 0);
	workdir_text(&s, "same", "hard links\n");
	workdir_text(&s, "empty", "");
	workdir_text(&s, "folder/owned", "x");
	workdir_text(&s, "n\xff\xc3\xa9\ne\xcc\x81", "a name of any bytes");
	f = openat(fd, "sparse", O_RDWR | O_CREAT | O_CLOEXEC, 0604);
	MUST(f >= 0);
	MUST(ftruncate(f, 20 << 20) == 0);
	MUST(io_pwrite(f, "data", 4, 5000000) == 0);
	MUST(io_pwrite(f, "end", 3, (20 << 20) - 3) == 0);
	close_cleanup(&f);
	f = openat(fd, "hole", O_RDWR | O_CREAT | O_CLOEXEC, 0604);
	MUST(ftruncate(f, 30 << 20) == 0);
	close_cleanup(&f);
	f = openat(fd, "same", O_RDONLY | O_CLOEXEC);
	MUST(fsetxattr(f, "user.a=b%c", "x\ny", 3, 0) == 0);
	MUST(fsetxattr(f, "user.empty", "", 0, 0) == 0);
	MUST(fsetxattr(f, "system.posix_acl_access", acl_value,
		     sizeof(acl_value), 0) == 0);
}

void workdir_all_kinds(const struct workdir *s, const char *name)
{
	workdir_folder(s, name);

	_cleanup_close_ int fd =
		openat(s->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct workdir in = {.fd = fd};

	MUST(fd >= 0);
	workdir_folder(&in, "folder");
	workdir_folder(&in, "folder/closed");
	MUST(fchmodat(fd, "folder/closed", 0500, 0) == 0);
	workdir_folder(&in, "tmp");
	MUST(fchmodat(fd, "tmp", 01777, 0) == 0);
	add_files(fd);
	MUST(symlinkat("first", fd, "link") == 0);
	MUST(linkat(fd, "link", fd, "link2", 0) == 0);
	MUST(symlinkat("/nowhere/\xff", fd, "dangling") == 0);
	MUST(mknodat(fd, "fifo", S_IFIFO | 0620, 0) == 0);

	_cleanup_close_ int folder =
		openat(fd, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	MUST(fsetxattr(folder, "system.posix_acl_default", acl_value,
		     sizeof(acl_value), 0) == 0);
	if (geteuid() == 0)
		add_privileged(fd);
}
