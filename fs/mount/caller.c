/* SPDX-License-Identifier: Apache-2.0 */
/* Groups, capabilities and user namespace of a caller; see caller.h. */
#include "fs/mount/caller.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/buf.h"
#include "fs/base/io.h"

/* Room for the 65,536 groups that a process can have. */
#define STATUS_MAX (1u << 20)
/* Where ids are shown that have no number in the reader's user namespace
 * (linux/highuid.h, DEFAULT_OVERFLOWGID). */
#define OVERFLOW_GID 65534
/* 64 functions of a kernel stack, a line for each. */
#define STACK_MAX (32u << 10)
/* Linux allows 340 lines in an id map. */
#define MAP_MAX (64u << 10)

void caller_init(struct caller *c, pid_t tid, uid_t uid, gid_t gid)
{
	*c = (struct caller){.tid = tid, .uid = uid, .gid = gid};
}

void caller_done(struct caller *c)
{
	free(c->groups);
	c->groups = NULL;
}

/* The whole of /proc/TID/NAME as a string; -errno. */
static int read_proc(pid_t tid, const char *name, struct buf *ret)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)tid, name);

	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	for (;;) {
		void *room = buf_reserve(ret, 4096);

		if (!room)
			return -ENOMEM;

		ssize_t n = io_read(fd, room, 4096);

		if (n < 0)
			return (int)n;
		ret->len += (size_t)n;
		if (n < 4096)
			return buf_add(ret, "", 1);
	}
}

/* The text after "KEY:" at the start of a line; NULL. */
static const char *field(const char *status, const char *key)
{
	size_t len = strlen(key);

	for (const char *p = status; p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncmp(p, key, len) == 0 && p[len] == ':')
			return p + len + 1;
	}
	return NULL;
}

static void parse_groups(struct caller *c, const char *text)
{
	size_t cap = 0;

	for (;;) {
		while (*text == ' ' || *text == '\t')
			text++;
		if (*text < '0' || *text > '9')
			return;

		char *end;
		unsigned long gid = strtoul(text, &end, 10);

		text = end;
		if (c->group_count == cap) {
			cap = cap ? cap * 2 : 32;

			gid_t *grown = realloc(c->groups, cap * sizeof(gid_t));

			if (!grown)
				return; /* fewer groups: less is allowed */
			c->groups = grown;
		}
		c->groups[c->group_count++] = (gid_t)gid;
	}
}

static bool in_same_user_ns(pid_t tid)
{
	char path[64], own[64], theirs[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)tid);

	ssize_t a = readlink("/proc/self/ns/user", own, sizeof(own));
	ssize_t b = readlink(path, theirs, sizeof(theirs));

	return a > 0 && a == b && memcmp(own, theirs, (size_t)a) == 0;
}

/*
 * Did the thread come to us by way of an overlay? The names of its functions
 * are on the thread's stack in the kernel, where nobody can put them. Only root
 * may look there; who may not is told no.
 */
static bool is_in_overlay(pid_t tid)
{
	_cleanup_buf_ struct buf stack = {.max = STACK_MAX};

	return read_proc(tid, "stack", &stack) == 0 &&
	       strstr(stack.data, "] ovl_");
}

static void load(struct caller *c)
{
	_cleanup_buf_ struct buf status = {.max = STATUS_MAX};

	if (c->loaded)
		return;
	c->loaded = true;
	if (c->tid == 0)
		return;
	if (read_proc(c->tid, "status", &status) < 0)
		return;

	const char *uids = field(status.data, "Uid");
	const char *gids = field(status.data, "Gid");
	const char *groups = field(status.data, "Groups");
	const char *effective = field(status.data, "CapEff");
	const char *permitted = field(status.data, "CapPrm");

	if (!uids || !gids || !groups || !effective || !permitted ||
		sscanf(uids, "%u %*u %*u %u", &c->real_uid, &c->fs_uid) != 2 ||
		sscanf(gids, "%u %*u %*u %u", &c->real_gid, &c->fs_gid) != 2)
		return;
	c->effective = strtoull(effective, NULL, 16);
	c->permitted = strtoull(permitted, NULL, 16);
	parse_groups(c, groups);
	c->same_user_ns = in_same_user_ns(c->tid);
	c->is_other_root = c->uid == 0 && c->fs_uid != 0 && c->real_uid != 0 &&
			   is_in_overlay(c->tid);
	c->visible = true;
}

/* Does our user namespace know all groups there are? */
static bool knows_all_groups(void)
{
	_cleanup_buf_ struct buf text = {.max = MAP_MAX};
	uint32_t inside, outside, count;

	return read_proc(getpid(), "gid_map", &text) == 0 &&
	       sscanf(text.data, "%u %u %u", &inside, &outside, &count) == 3 &&
	       inside == 0 && count == UINT32_MAX;
}

bool caller_in_group(struct caller *c, gid_t gid)
{
	if (c->gid == gid)
		return true;
	load(c);
	for (size_t i = 0; i < c->group_count; i++) {
		/* Any group that we do not know is shown as this one. */
		if (c->groups[i] == gid)
			return gid != OVERFLOW_GID || knows_all_groups();
	}
	return false;
}

/* What /proc/TID/uid_map or gid_map makes of an id of ours. -ENOENT. */
static int map_id(pid_t tid, const char *map, uint32_t id, uint32_t *ret)
{
	_cleanup_buf_ struct buf text = {.max = MAP_MAX};
	int r = read_proc(tid, map, &text);

	if (r < 0)
		return r;

	char *next = text.data;

	for (char *line; (line = strsep(&next, "\n"));) {
		uint32_t inside, outside, count;

		if (sscanf(line, "%u %u %u", &inside, &outside, &count) == 3 &&
			id >= outside && id - outside < count) {
			*ret = inside + (id - outside);
			return 0;
		}
	}
	return -ENOENT;
}

static bool is_mapped(const struct caller *c, const char *map, uint32_t id)
{
	uint32_t inside;

	return c->same_user_ns || c->is_other_root ||
	       map_id(c->tid, map, id, &inside) == 0;
}

/* Is the caller root in its own user namespace? */
static bool is_root(const struct caller *c)
{
	uint32_t inside = c->uid;

	return (c->same_user_ns ||
		       map_id(c->tid, "uid_map", c->uid, &inside) == 0) &&
	       inside == 0;
}

/*
 * The capability sets in /proc are those of the thread, and so are its ids. A
 * request with other ids was made by the kernel on a copy. access(2) (and each
 * look-up on its way) has the real ids, and no capabilities, or the permitted
 * ones when that user is root. Any other ids are those of somebody for whom the
 * kernel works while this thread waits: who mounted an overlay above us, which
 * may all if that is root; or who lent the thread its ids for io_uring
 * (io_uring_register, IORING_REGISTER_PERSONALITY), and whose capabilities
 * nothing tells us: a root without any could make them all that way.
 *
 * Where the real ids are the effective ones nothing tells access(2), which has
 * no capabilities then, from chdir(2), which has them: they count.
 */
static uint64_t capabilities(const struct caller *c)
{
	if (c->uid == c->fs_uid && c->gid == c->fs_gid)
		return c->effective;
	if (c->uid == c->real_uid && c->gid == c->real_gid)
		return is_root(c) ? c->permitted : 0;
	return c->is_other_root ? ~UINT64_C(0) : 0;
}

static bool has(struct caller *c, int cap)
{
	load(c);
	return c->visible && capabilities(c) & UINT64_C(1) << cap;
}

bool caller_has_capability(struct caller *c, int cap, uid_t uid, gid_t gid)
{
	return caller_has_capability_over_user(c, cap, uid) &&
	       is_mapped(c, "gid_map", gid);
}

bool caller_has_capability_over_user(struct caller *c, int cap, uid_t uid)
{
	return has(c, cap) && is_mapped(c, "uid_map", uid);
}

bool caller_is_capable(struct caller *c, int cap)
{
	return has(c, cap) && (c->same_user_ns || c->is_other_root);
}

/* The kernel turns whatever ends a process into a SIGKILL for each of its
 * threads, save the signals that dump core. */
bool caller_is_dying(pid_t tid)
{
	_cleanup_buf_ struct buf status = {.max = STATUS_MAX};

	if (tid == 0 || read_proc(tid, "status", &status) < 0)
		return false;

	const char *pending = field(status.data, "SigPnd");

	return pending && strtoull(pending, NULL, 16) >> (SIGKILL - 1) & 1;
}
