/* SPDX-License-Identifier: Apache-2.0 */
/* stele umount: take a mounted image away, and only that. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/time.h>

#include "fs/base/mountinfo.h"
#include "util/cmd.h"
#include "util/exit.h"
#include "util/unmount.h"
#include "util/where.h"

/* A daemon that has not ended its ledger by then is stuck. */
#define WAIT_SECONDS 60

struct umount_values {
	bool lazy;
};

static int explain(const char *dir, int err, const char *said)
{
	if (err == -EBUSY)
		return fail(EXIT_MOUNT,
			"%s: somebody still works in it; 'fuser -vm %s' shows "
			"who, --lazy detaches it now and ends it when they "
			"leave",
			dir, dir);
	if (err == -ENOENT && geteuid() != 0)
		return fail(EXIT_SYSTEM,
			"%s: fusermount3 not found; install the package fuse3, "
			"or do it as root",
			dir);
	if (err == -EPERM || err == -EACCES)
		return fail(EXIT_DENIED,
			"%s: only root and who mounted it may unmount it", dir);
	return fail(EXIT_SYSTEM, "%s: %s", dir, *said ? said : strerror(-err));
}

/* What is mounted, and which of it the user means. */
struct found {
	struct mountinfo_list list;
	const struct mountinfo *ours, *top; /* on the same folder */
};

/* Is one of our images mounted on dir, perhaps covered by what is writable of
 * it? EXIT_OK, or a failure. */
static int find_ours(const char *dir, struct found *f)
{
	struct mountinfo m;
	int r = mountinfo_find(dir, &m);

	if (r < 0)
		return fail(EXIT_MOUNT, "%s: %s", dir, strerror(-r));
	if (r == 0)
		return fail(EXIT_MOUNT,
			"%s: nothing is mounted there; 'findmnt -t %s' lists "
			"mounted images",
			dir, MOUNTINFO_FSTYPE);
	r = mountinfo_read("/proc/self/mountinfo", &f->list);
	f->top = r < 0 ? NULL : mountinfo_walk(&f->list, m.dir);
	f->ours = f->top;
	while (f->ours && strcmp(f->ours->fstype, MOUNTINFO_FSTYPE) != 0)
		f->ours = mountinfo_covered(&f->list, f->ours);
	if (r < 0)
		r = fail(EXIT_SYSTEM, "reading the mounts: %s", strerror(-r));
	else if (!f->ours)
		r = fail(EXIT_MOUNT,
			"%s: that is no image but %s (%s); use umount(8)", dir,
			m.fstype, m.source);
	mountinfo_done(&m);
	return r;
}

/* The image with all that is mounted on it, what lies on top first. *ret_dir is
 * what failed. 0 or -errno. */
static int unmount_tree(const struct found *f, bool lazy, const char **ret_dir,
	char *said, size_t room)
{
	const struct mountinfo **upon = NULL;
	ssize_t count = lazy ? 0 : mountinfo_upon(&f->list, f->ours, &upon);
	int r = count < 0 ? (int)count : 0;

	*ret_dir = f->ours->dir;
	for (ssize_t i = 0; r == 0 && i < count; i++) {
		r = unmount_dir(upon[i]->dir, false, said, room);
		if (r < 0)
			*ret_dir = upon[i]->dir;
	}
	/* Lazily, what lies below goes with it, but not what covers it. */
	for (const struct mountinfo *m = f->top; r == 0 && lazy && m != f->ours;
		m = mountinfo_covered(&f->list, m))
		r = unmount_dir(m->dir, true, said, room);
	if (r == 0)
		r = unmount_dir(f->ours->dir, lazy, said, room);
	free(upon);
	return r;
}

/*
 * The daemon holds a lock on LEDGER-lock as long as it writes to the ledger.
 * -1 when there is none that we may open: nobody to wait for.
 */
static int open_lock(const char *dir)
{
	_cleanup_free_ char *ledger = NULL, *path = NULL;

	if (where_ledger(dir, &ledger, NULL) < 0)
		return -1;
	if (asprintf(&path, "%s-lock", ledger) < 0) {
		path = NULL;
		return -1;
	}
	return open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
}

static void on_alarm(int signal)
{
	(void)signal; /* it ends flock with EINTR, that is all */
}

/* Wait until the daemon has let go of its ledger. 0, or -EINTR when that takes
 * too long. */
static int wait_for_lock(int lock)
{
	const struct sigaction action = {.sa_handler = on_alarm};
	/* Again each second: the first may come just before flock begins. */
	const struct itimerval timer = {
		.it_value.tv_sec = WAIT_SECONDS,
		.it_interval.tv_sec = 1,
	};
	const struct itimerval off = {0};
	struct sigaction before;
	int r;

	if (sigaction(SIGALRM, &action, &before) < 0)
		return -errno;
	(void)setitimer(ITIMER_REAL, &timer, NULL); /* valid, so it works */
	r = flock(lock, LOCK_SH) < 0 ? -errno : 0;
	(void)setitimer(ITIMER_REAL, &off, NULL);
	(void)sigaction(SIGALRM, &before, NULL);
	return r;
}

static int umount_found(const struct found *f, const struct umount_values *v)
{
	const char *dir = f->ours->dir, *failed = dir;
	char said[512] = "";
	int r;
	_cleanup_close_ int lock = v->lazy ? -1 : open_lock(dir);

	r = unmount_tree(f, v->lazy, &failed, said, sizeof(said));
	if (r < 0)
		return explain(failed, r, said);
	if (lock >= 0 && wait_for_lock(lock) < 0)
		return fail(EXIT_SYSTEM,
			"%s: unmounted, but after %d s its daemon still has "
			"the ledger open; the last attempts may be missing",
			dir, WAIT_SECONDS);
	return EXIT_OK;
}

static int umount_dir(const char *dir, const struct umount_values *v)
{
	struct found f = {0};
	int code = find_ours(dir, &f);

	if (code == EXIT_OK)
		code = umount_found(&f, v);
	mountinfo_list_done(&f.list);
	return code;
}

static const struct opt options[] = {
	{
		.name = "lazy",
		.letter = 'l',
		.kind = OPT_FLAG,
		.offset = offsetof(struct umount_values, lazy),
		.help = "detach it now, even if it is in use; it ends, and so "
			"does its record, when nobody uses it any more",
	},
	{0},
};

static const struct example examples[] = {
	{"stele umount /mnt", "end the mount; its log stays readable"},
	{"stele umount --lazy /mnt", "although a shell is still in it"},
	{0},
};

static int run(const struct command *self, int argc, char **argv)
{
	struct umount_values v = {0};
	int code, n = opt_parse(self, argc, argv, &v, &code);

	if (n < 0)
		return code;
	if (n != 1)
		return opt_misuse(self, n ? "one DIR only" : "DIR missing");
	return umount_dir(argv[1], &v);
}

const struct command cmd_umount = {
	.name = "umount",
	.operands = "DIR",
	.summary = "unmount an image",
	.description =
		"Unmounts an image, with all that is mounted on it: what a "
		"policy declares, and what you mounted there yourself. On "
		"anything else it says what is there and does nothing. Returns "
		"when the record of the mount is complete, so that 'stele log "
		"DIR' shows all of it.\n"
		"\n"
		"Ends with 8 when no image is mounted there or when it is in "
		"use.",
	.options = options,
	.examples = examples,
	.complete = OPERAND_MOUNT,
	.run = run,
};
