/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client side of a measurement: does one thing to a mounted filesystem and
 * prints how long that took, measured inside this process, so that the start
 * of a program is not part of it. bench/README.md says what each one means.
 *
 *   probe walk DIR        lstat everything below DIR
 *   probe read DIR        read every byte of every regular file below DIR
 *   probe files DIR       the same for the files named on standard input,
 *                         relative to DIR, each name ended by a zero byte
 *   probe open FILE N     N times: open and close FILE
 *   probe small FILE N    N times: open, read once and close FILE
 *   probe create FILE N   N times: fail to create FILE
 *   probe names FILE N    N times: fail to create FILE-PID-NUMBER
 *
 * Prints "SECONDS THINGS BYTES", and for create and names the errno in place of
 * BYTES. Exit: 0, or 1 with one line on standard error.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* What programs commonly read with: cp and cat take 128 KiB at a time. */
#define CHUNK (128 * 1024)

struct result {
	uint64_t things;
	uint64_t bytes;
};

static double now(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_MONOTONIC, &t) < 0)
		err(1, "clock");
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* shown is for the message: path may be relative to a folder that fts is in. */
static uint64_t read_file(const char *path, const char *shown)
{
	static char buf[CHUNK];
	uint64_t total = 0;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		err(1, "open %s", shown);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		total += (uint64_t)n;
	if (n < 0)
		err(1, "read %s", shown);
	(void)close(fd); /* read only: nothing to lose */
	return total;
}

/* In the order in which the filesystem lists it. */
static void tree(char *dir, bool contents, struct result *res)
{
	char *roots[] = {dir, NULL};
	FTS *fts = fts_open(roots, FTS_PHYSICAL, NULL);
	FTSENT *e;

	if (!fts)
		err(1, "%s", dir);
	for (errno = 0; (e = fts_read(fts)); errno = 0) {
		switch (e->fts_info) {
		case FTS_DNR:
		case FTS_ERR:
		case FTS_NS: errno = e->fts_errno; err(1, "%s", e->fts_path);
		case FTS_DP: continue;
		default: break;
		}
		res->things++;
		if (e->fts_info != FTS_F)
			continue;
		if (contents)
			res->bytes += read_file(e->fts_accpath, e->fts_path);
		else
			res->bytes += (uint64_t)e->fts_statp->st_size;
	}
	if (errno)
		err(1, "%s", dir);
	(void)fts_close(fts);
}

/* The names are read before the clock starts: returns them one after the
 * other, and the end in *ret_end. */
static char *names(char **ret_end)
{
	size_t room = 4 << 20;
	char *all = malloc(room);
	size_t used;

	if (!all)
		err(1, "memory");
	used = fread(all, 1, room, stdin);
	if (used == room || (used && all[used - 1]))
		errx(1, "the list of files is too long or not ended");
	*ret_end = all + used;
	return all;
}

static void files(char *name, const char *end, struct result *res)
{
	for (; name < end; name += strlen(name) + 1) {
		res->bytes += read_file(name, name);
		res->things++;
	}
}

static void opens(const char *path, long count, bool contents)
{
	char buf[4096];

	for (long i = 0; i < count; i++) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0 || (contents && read(fd, buf, sizeof(buf)) < 0))
			err(1, "%s", path);
		(void)close(fd); /* read only: nothing to lose */
	}
}

/* Returns the errno that all of them got. With distinct, the name has the
 * process and a number behind it: no two are equal. */
static int creates(const char *given, long count, bool distinct)
{
	char path[PATH_MAX];
	int first = 0;

	(void)snprintf(path, sizeof(path), "%s", given);
	for (long i = 0; i < count; i++) {
		if (distinct)
			(void)snprintf(path, sizeof(path), "%s-%d-%ld", given,
				getpid(), i);
		if (open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644) >=
			0) {
			(void)unlink(path); /* the message tells enough */
			errx(1, "%s: was not refused", path);
		}
		if (i && errno != first)
			errx(1, "%s: refused in two ways", path);
		first = errno;
	}
	return first;
}

static void repeat(
	const char *what, const char *path, long count, struct result *res)
{
	if (!strcmp(what, "open"))
		opens(path, count, false);
	else if (!strcmp(what, "small"))
		opens(path, count, true);
	else if (!strcmp(what, "create"))
		res->bytes = (uint64_t)creates(path, count, false);
	else if (!strcmp(what, "names"))
		res->bytes = (uint64_t)creates(path, count, true);
	else
		errx(1, "no such measurement: %s", what);
	res->things = (uint64_t)count;
}

static bool takes_dir(const char *what)
{
	return !strcmp(what, "walk") || !strcmp(what, "read") ||
	       !strcmp(what, "files");
}

int main(int argc, char **argv)
{
	struct result res = {0};
	const char *what = argc > 1 ? argv[1] : "";
	char *list, *end;
	double start;

	if (argc != (takes_dir(what) ? 3 : 4))
		errx(1, "usage: probe walk|read|files DIR, "
			"probe open|small|create|names FILE N");
	if (!strcmp(what, "files")) {
		list = names(&end);
		if (chdir(argv[2]) < 0)
			err(1, "%s", argv[2]);
		start = now();
		files(list, end, &res);
	} else if (argc == 3) {
		start = now();
		tree(argv[2], !strcmp(what, "read"), &res);
	} else {
		start = now();
		repeat(what, argv[2], strtol(argv[3], NULL, 10), &res);
	}
	printf("%.9f %" PRIu64 " %" PRIu64 "\n", now() - start, res.things,
		res.bytes);
	return 0;
}
