/* SPDX-License-Identifier: Apache-2.0 */
/* Mount namespaces and daemons, from /proc; see look.h. */
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/base/io.h"
#include "fs/doctor/look_internal.h"

/* The namespaces that were read. */
struct spaces {
	uint64_t *all; /* owned */
	size_t count, cap;
};

struct scan {
	struct doctor_facts *f;
	struct spaces spaces;
	uint64_t here;
};

void *look_grow(void *all, size_t count, size_t *cap, size_t size)
{
	if (count < *cap)
		return all;

	size_t more = *cap ? *cap * 2 : 16;
	void *grown = reallocarray(all, more, size);

	if (grown)
		*cap = more;
	return grown;
}

char *look_text(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char text[8192];
	ssize_t n = fd < 0 ? -1 : io_read(fd, text, sizeof(text) - 1);

	if (n < 0)
		return NULL;
	text[n] = '\0';
	return strdup(text);
}

/* A link of /proc/PID into room for PATH_MAX bytes. */
static bool read_link(pid_t pid, const char *name, char ret[PATH_MAX])
{
	char path[300];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);

	ssize_t n = readlink(path, ret, PATH_MAX - 1);

	if (n < 0)
		return false;
	ret[n] = '\0';
	return true;
}

/* "mnt:[4026531841]"; 0: unknown */
static uint64_t read_ns(pid_t pid, const char *name)
{
	char text[PATH_MAX];

	if (!read_link(pid, name, text) || !strchr(text, '['))
		return 0;
	return strtoull(strchr(text, '[') + 1, NULL, 10);
}

static char *read_proc(pid_t pid, const char *name)
{
	char path[300];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return look_text(path);
}

/* ---- mounts ---- */

static struct doctor_mount *find_mount(
	struct doctor_facts *f, const struct mountinfo *m)
{
	for (size_t i = 0; i < f->mount_count; i++) {
		if (f->mounts[i].major == m->major &&
			f->mounts[i].minor == m->minor)
			return &f->mounts[i];
	}

	void *all =
		reallocarray(f->mounts, f->mount_count + 1, sizeof(*f->mounts));

	if (!all)
		return NULL;
	f->mounts = all;
	f->mounts[f->mount_count] =
		(struct doctor_mount){.major = m->major, .minor = m->minor};
	return &f->mounts[f->mount_count++];
}

/* Where the mount is that hides it, or NULL. */
static const char *find_cover(
	const struct mountinfo_list *list, const struct mountinfo *m)
{
	const struct mountinfo *top = mountinfo_walk(list, m->dir);

	return top && top != m ? top->dir : NULL;
}

static void read_comm(pid_t pid, char ret[32])
{
	_cleanup_free_ char *text = read_proc(pid, "comm");

	(void)snprintf(ret, 32, "%s", text ? text : "?");
	ret[strcspn(ret, "\n")] = '\0';
}

static int add_seen(struct doctor_facts *f, const struct mountinfo_list *list,
	const struct mountinfo *m, const struct doctor_seen *where)
{
	struct doctor_mount *mount = find_mount(f, m);
	const char *cover = find_cover(list, m);
	struct doctor_seen seen = *where;

	if (!mount)
		return -ENOMEM;

	void *all = reallocarray(
		mount->seen, mount->seen_count + 1, sizeof(*mount->seen));

	if (!all)
		return -ENOMEM;
	mount->seen = all;

	int r = mountinfo_copy(m, &seen.m);

	if (r < 0)
		return r;
	seen.cover = cover ? strdup(cover) : NULL;
	mount->seen[mount->seen_count++] = seen;
	return cover && !seen.cover ? -ENOMEM : 0;
}

static int read_space(struct scan *s, pid_t pid, uint64_t ns)
{
	struct doctor_seen where = {
		.ns = ns, .here = ns == s->here, .pid = pid};
	struct mountinfo_list list = {0};
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)pid);

	int r = mountinfo_read(path, &list);

	/* It may have ended; another process of the namespace will do. */
	if (r < 0 && r != -ENOMEM) {
		mountinfo_list_done(&list);
		return 0;
	}
	read_comm(pid, where.comm);
	for (size_t i = 0; r == 0 && i < list.count; i++) {
		if (strcmp(list.all[i].fstype, MOUNTINFO_FSTYPE) == 0)
			r = add_seen(s->f, &list, &list.all[i], &where);
	}
	mountinfo_list_done(&list);
	return r < 0 ? r : 1;
}

/* The first process of a namespace shows all of it. */
static int scan_space(struct scan *s, pid_t pid)
{
	uint64_t ns = read_ns(pid, "ns/mnt");
	char root[PATH_MAX];

	if (!ns) {
		s->f->machine.unseen += errno == EACCES;
		return 0;
	}
	for (size_t i = 0; i < s->spaces.count; i++) {
		if (s->spaces.all[i] == ns)
			return 0;
	}
	/* After a chroot it is told of the mounts below only. */
	if (pid != getpid() && read_link(pid, "root", root) &&
		strcmp(root, "/") != 0)
		return 0;

	int r = read_space(s, pid, ns);

	if (r <= 0)
		return r;

	void *all = look_grow(
		s->spaces.all, s->spaces.count, &s->spaces.cap, sizeof(ns));

	if (!all)
		return -ENOMEM;
	s->spaces.all = all;
	s->spaces.all[s->spaces.count++] = ns;
	return 0;
}

/* ---- daemons ---- */

/* The value of a line "NAME:\tVALUE", or NULL. */
static const char *find_line(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = text; p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncmp(p, name, len) == 0 && p[len] == ':')
			return p + len + 1 + strspn(p + len + 1, " \t");
	}
	return NULL;
}

static void read_status(struct doctor_daemon *d)
{
	_cleanup_free_ char *text = read_proc(d->pid, "status");
	const char *uids = text ? find_line(text, "Uid") : NULL;
	const char *caps = text ? find_line(text, "CapEff") : NULL;
	const char *state = text ? find_line(text, "State") : NULL;
	unsigned ids[2];

	if (uids && sscanf(uids, "%u %u", &ids[0], &ids[1]) == 2) {
		d->knows_uid = true;
		d->uid = ids[1];
	}
	d->stopped = state && (*state == 'T' || *state == 't');
	if (caps && sscanf(caps, "%" SCNx64, &d->caps) == 1)
		d->knows_caps = true;
}

/* One line that maps all of 32 bits but the last, in both maps. */
static void read_maps(struct doctor_daemon *d)
{
	static const char *const names[] = {"uid_map", "gid_map"};

	d->has_all_ids = true;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		_cleanup_free_ char *text = read_proc(d->pid, names[i]);
		uint64_t inside, outside, count;

		if (!text)
			return;
		if (sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64, &inside,
			    &outside, &count) != 3 ||
			inside != 0 || outside != 0 || count < UINT32_MAX)
			d->has_all_ids = false;
	}
	d->knows_ids = true;
}

static void read_daemon(struct doctor_daemon *d)
{
	_cleanup_free_ char *oom = read_proc(d->pid, "oom_score_adj");

	d->pid_ns = read_ns(d->pid, "ns/pid");
	d->user_ns = read_ns(d->pid, "ns/user");
	read_status(d);
	read_maps(d);
	if (oom && sscanf(oom, "%d", &d->oom_score_adj) == 1)
		d->knows_oom = true;
	d->cgroup = read_proc(d->pid, "cgroup");
}

/* Which file system a descriptor of /dev/fuse serves: told since Linux 6.12 or
 * so. */
static void read_connection(struct doctor_daemon *d, const char *fd)
{
	char name[280];

	(void)snprintf(name, sizeof(name), "fdinfo/%s", fd);

	_cleanup_free_ char *text = read_proc(d->pid, name);
	const char *at = text ? find_line(text, "fuse_connection") : NULL;

	if (at && sscanf(at, "%u", &d->connection) == 1)
		d->has_connection = true;
}

/* A descriptor of LEDGER-lock tells which ledger it writes. */
static int read_lock(struct doctor_daemon *d, const char *target)
{
	static const char end[] = "-lock";
	size_t len = strlen(target), cut = sizeof(end) - 1;

	if (d->ledger || len <= cut || strcmp(target + len - cut, end) != 0)
		return 0;
	d->ledger = strndup(target, len - cut);
	return d->ledger ? 0 : -ENOMEM;
}

/* 1 when it has /dev/fuse open, 0, or -ENOMEM. */
static int read_descriptors(struct doctor_daemon *d)
{
	char path[64], target[PATH_MAX];
	struct dirent *e;
	int found = 0, r = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)d->pid);

	_cleanup_closedir_ DIR *dir = opendir(path);

	while (dir && r == 0 && (e = readdir(dir))) {
		char name[sizeof(e->d_name) + 4];

		(void)snprintf(name, sizeof(name), "fd/%s", e->d_name);
		if (!read_link(d->pid, name, target))
			continue;
		if (strcmp(target, "/dev/fuse") == 0) {
			found = 1;
			read_connection(d, e->d_name);
		} else {
			r = read_lock(d, target);
		}
	}
	return r < 0 ? r : found;
}

static int scan_daemon(struct look_daemons *all, pid_t pid)
{
	struct doctor_daemon d = {.pid = pid};
	int r = read_descriptors(&d);
	void *grown = NULL;

	if (r == 1) {
		grown = look_grow(
			all->all, all->count, &all->cap, sizeof(*all->all));
		r = grown ? 1 : -ENOMEM;
	}
	if (r != 1) {
		free(d.ledger);
		return r;
	}
	read_daemon(&d);
	all->all = grown;
	all->all[all->count++] = d;
	return 0;
}

int look_processes(struct doctor_facts *f, struct look_daemons *d)
{
	struct scan s = {.f = f, .here = read_ns(getpid(), "ns/mnt")};
	_cleanup_closedir_ DIR *dir = opendir("/proc");
	struct dirent *e;
	int r = scan_space(&s, getpid()); /* so that ours comes first */

	while (r == 0 && dir && (e = readdir(dir))) {
		char *end;
		long pid = strtol(e->d_name, &end, 10);

		if (end == e->d_name || *end || pid <= 0 || pid > INT32_MAX)
			continue;
		r = scan_space(&s, (pid_t)pid);
		if (r == 0)
			r = scan_daemon(d, (pid_t)pid);
	}
	free(s.spaces.all);
	return r;
}
