/* SPDX-License-Identifier: Apache-2.0 */
/* Facts of one process from /proc; see proc.h for what may be read and how. */
#include "fs/who/proc_read.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "fs/base/buf.h"
#include "fs/base/io.h"
#include "fs/who/container.h"

enum {
	MAX_STAT = 2048,      /* 52 numbers and a comm of at most 64 bytes */
	MAX_STATUS = 1 << 20, /* 65,536 supplementary groups are possible */
	MAX_CGROUP = 8192,
	MAX_GROUPS = 4096,
	MAX_LABEL = 4096,
};

int proc_read_open(pid_t tid)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", tid, tid);

	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Numbers of the fields of stat, as proc_pid_stat(5) counts them. */
enum {
	STAT_PPID = 4,
	STAT_TTY = 7,
	STAT_START = 22,
	STAT_STARTCODE = 26,
	STAT_ENDCODE = 27,
	STAT_STARTSTACK = 28,
	STAT_START_DATA = 45,
	STAT_ENV_END = 51,
	STAT_FIELDS = 52,
};

/*
 * Where the kernel put code, stack, data, heap, arguments and environment.
 * Address space randomisation moves them at each execve; without it they still
 * differ with the program, its arguments and its environment. When we may not
 * see them they are 0, and then the name stands in, which execve sets too.
 */
static uint64_t exec_stamp(
	const uint64_t *field, const char *comm, size_t comm_len)
{
	uint64_t seen[10] = {field[STAT_STARTCODE], field[STAT_ENDCODE],
		field[STAT_STARTSTACK]};

	for (int i = STAT_START_DATA; i <= STAT_ENV_END; i++)
		seen[3 + i - STAT_START_DATA] = field[i];

	uint64_t stamp = checksum(seen, sizeof(seen));

	if (!field[STAT_STARTSTACK])
		stamp ^= checksum(comm, comm_len);
	return stamp;
}

static int parse_stat(char *text, struct proc_stat *ret)
{
	uint64_t field[STAT_FIELDS + 1] = {0};
	/* The name may hold anything, also ") ". */
	char *open = strchr(text, '(');
	char *close = strrchr(text, ')');

	if (!open || !close || close[1] != ' ' || !close[2])
		return -EIO;

	char *p = close + 3; /* past the state, a letter */

	for (int i = STAT_PPID; i <= STAT_ENV_END; i++) {
		char *end;

		field[i] = strtoull(p, &end, 10); /* negative ones wrap */
		if (end == p)
			return -EIO;
		p = end;
	}
	ret->ppid = (pid_t)field[STAT_PPID];
	ret->start_ticks = field[STAT_START];
	ret->exec_stamp =
		exec_stamp(field, open + 1, (size_t)(close - open - 1));
	/* 0 means that it has no terminal */
	ret->tty = (struct proc_number){true, (int64_t)field[STAT_TTY]};
	return 0;
}

int proc_read_stat(int fd, struct proc_stat *ret)
{
	char text[MAX_STAT];
	/* Once: a second read to see the end would cost as much again. */
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n < 0)
		return -errno;
	text[n] = '\0';
	return parse_stat(text, ret);
}

/* A whole small file below a folder of /proc. */
static int read_file(int dir, const char *name, struct buf *b)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	for (;;) {
		char part[4096];
		ssize_t n = io_read(fd, part, sizeof(part));

		if (n < 0)
			return (int)n;

		int r = buf_add(b, part, (size_t)n);

		if (r < 0 || n < (ssize_t)sizeof(part))
			return r;
	}
}

static int open_dir(pid_t tid)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/%d", tid);

	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* The text after "NAME:" of a line of status, up to its end. */
static const char *status_line(
	const struct buf *status, const char *name, size_t *ret_len)
{
	const char *p = status->data, *end = p + status->len;
	size_t name_len = strlen(name);

	while (p < end) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));

		if (!stop)
			return NULL; /* cut off: not to be believed */
		if ((size_t)(stop - p) > name_len && p[name_len] == ':' &&
			memcmp(p, name, name_len) == 0) {
			p += name_len + 1;
			while (p < stop && (*p == '\t' || *p == ' '))
				p++;
			while (stop > p && stop[-1] == ' ')
				stop--;
			*ret_len = (size_t)(stop - p);
			return p;
		}
		p = stop + 1;
	}
	return NULL;
}

/* Up to max numbers of a line of status; how many there were. */
static size_t status_numbers(const struct buf *status, const char *name,
	int base, int64_t *ret, size_t max)
{
	size_t len = 0, count = 0;
	const char *p = status_line(status, name, &len);
	const char *end = p + len;

	while (p && p < end && count < max) {
		char *stop;

		ret[count] = (int64_t)strtoull(p, &stop, base);
		if (stop == p)
			break;
		count++;
		p = stop;
	}
	return count;
}

pid_t proc_read_tgid(pid_t tid)
{
	_cleanup_close_ int dir = open_dir(tid);
	_cleanup_buf_ struct buf status;
	int64_t tgid;

	buf_init(&status, MAX_STATUS);
	if (dir < 0)
		return dir;

	int r = read_file(dir, "status", &status);

	if (r < 0)
		return r;
	if (status_numbers(&status, "Tgid", 10, &tgid, 1) != 1)
		return -EIO;
	return (pid_t)tgid;
}

bool proc_read_is_ours(void)
{
	_cleanup_close_ int dir = open("/proc/self", O_PATH | O_CLOEXEC);
	_cleanup_buf_ struct buf status;
	int64_t pids[2];

	buf_init(&status, MAX_STATUS);
	/* One number for each pid namespace from that of /proc down to ours. */
	return dir >= 0 && read_file(dir, "status", &status) == 0 &&
	       status_numbers(&status, "NSpid", 10, pids, 2) == 1 &&
	       pids[0] == getpid();
}

static int keep(struct proc_bytes *ret, const char *data, size_t len)
{
	/* One byte more, so that no bytes are not mistaken for no memory. */
	char *copy = malloc(len + 1);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, data, len);
	copy[len] = '\0';
	*ret = (struct proc_bytes){copy, len};
	return 0;
}

static int keep_link(int dir, const char *name, struct proc_bytes *ret)
{
	char text[PATH_MAX];
	ssize_t n = readlinkat(dir, name, text, sizeof(text));

	/* Not permitted, no such thing, or cut: unknown. */
	return n < 0 || n == sizeof(text) ? 0 : keep(ret, text, (size_t)n);
}

/* At most max bytes of a file, without the newline at its end. */
static int keep_file(
	int dir, const char *name, size_t max, struct proc_bytes *ret)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	char text[MAX_CGROUP];

	if (fd < 0)
		return 0;

	ssize_t n = io_read(fd, text, max);

	if (n < 0)
		return 0;
	if (n > 0 && text[n - 1] == '\n')
		n--;
	return keep(ret, text, (size_t)n);
}

static void read_number(int dir, const char *name, struct proc_number *ret)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	char text[32], *end;

	if (fd < 0)
		return;

	ssize_t n = io_read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return;
	text[n] = '\0';

	long long value = strtoll(text, &end, 10);

	if (end != text)
		*ret = (struct proc_number){true, value};
}

/* "pid:[4026531836]" */
static void read_ns(int dir, const char *name, struct proc_number *ret)
{
	char text[64];
	ssize_t n = readlinkat(dir, name, text, sizeof(text) - 1);

	if (n <= 0)
		return;
	text[n] = '\0';

	const char *number = strchr(text, '[');
	char *end;

	if (!number)
		return;

	long long value = strtoll(number + 1, &end, 10);

	if (*end == ']')
		*ret = (struct proc_number){true, value};
}

static void read_ids(
	const struct buf *status, const char *name, struct proc_ids *ret)
{
	int64_t id[4];

	if (status_numbers(status, name, 10, id, 4) != 4)
		return;
	ret->real = (struct proc_number){true, id[0]};
	ret->effective = (struct proc_number){true, id[1]};
	ret->saved = (struct proc_number){true, id[2]};
	ret->fs = (struct proc_number){true, id[3]};
}

static void read_one(const struct buf *status, const char *name, int base,
	struct proc_number *ret)
{
	int64_t value;

	if (status_numbers(status, name, base, &value, 1) == 1)
		*ret = (struct proc_number){true, value};
}

/* Of the process, where NSpid is of the thread. One number for each pid
 * namespace, its own last; the kernel nests 32. */
static void read_vpid(const struct buf *status, struct proc_number *ret)
{
	int64_t pid[64];
	size_t n = status_numbers(status, "NStgid", 10, pid, ARRAY_LEN(pid));

	if (n > 0 && n < ARRAY_LEN(pid))
		*ret = (struct proc_number){true, pid[n - 1]};
}

static int read_status(int dir, struct proc_facts *f)
{
	_cleanup_buf_ struct buf status;
	size_t len;

	buf_init(&status, MAX_STATUS);

	int r = read_file(dir, "status", &status);

	if (r < 0)
		return r;
	read_ids(&status, "Uid", &f->uid);
	read_ids(&status, "Gid", &f->gid);
	read_one(&status, "CapEff", 16, &f->cap_eff);
	read_one(&status, "Umask", 8, &f->umask);
	read_one(&status, "Seccomp", 10, &f->seccomp);
	read_one(&status, "NoNewPrivs", 10, &f->no_new_privs);
	read_vpid(&status, &f->vpid);

	const char *groups = status_line(&status, "Groups", &len);

	return groups && len <= MAX_GROUPS ? keep(&f->groups, groups, len) : 0;
}

/* The file that runs, not the path it was started by, which may lead elsewhere
 * by now. See proc.h on why this asks no filesystem. */
static void read_exe_file(
	int dir, const struct proc_options *opt, struct proc_facts *f)
{
	struct statx sx;

	if (statx(dir, "exe", AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_INO,
		    &sx) < 0)
		return;
	f->has_exe_file = true;
	f->exe_dev_major = sx.stx_dev_major;
	f->exe_dev_minor = sx.stx_dev_minor;
	f->exe_ino = sx.stx_ino;
	f->has_exe_digest =
		opt->exe_digest &&
		opt->exe_digest(opt->exe_digest_arg, sx.stx_dev_major,
			sx.stx_dev_minor, sx.stx_ino, &f->exe_digest);
}

static int read_cmdline(int dir, struct cmdline *helper, struct proc_facts *f)
{
	char text[CMDLINE_MAX + 1];
	ssize_t n = cmdline_get(helper, dir, "cmdline", text, sizeof(text));

	f->cmdline_note = NULL;
	if (n == -ETIMEDOUT)
		f->cmdline_note = "timeout";
	else if (n < 0)
		f->cmdline_note = "unreadable";
	else if (n > CMDLINE_MAX)
		f->cmdline_note = "cut";
	if (n < 0)
		return 0;
	return keep(
		&f->cmdline, text, (size_t)(n > CMDLINE_MAX ? CMDLINE_MAX : n));
}

/* The label ends with a newline, a NUL or both, as the module likes. */
static ssize_t get_label(struct cmdline *helper, int dir, char text[MAX_LABEL])
{
	ssize_t n = cmdline_get(helper, dir, "attr/current", text, MAX_LABEL);

	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\0'))
		n--;
	return n;
}

static int read_label(int dir, struct cmdline *helper, struct proc_facts *f)
{
	char text[MAX_LABEL];
	ssize_t n = get_label(helper, dir, text);

	return n <= 0 ? 0 : keep(&f->lsm, text, (size_t)n);
}

bool proc_read_has_labels(struct cmdline *cmdline)
{
	_cleanup_close_ int dir = open("/proc/self", O_PATH | O_CLOEXEC);
	char text[MAX_LABEL];

	if (dir < 0)
		return false;

	ssize_t n = get_label(cmdline, dir, text);

	/* A slow start says nothing. */
	return n > 0 || n == -ETIMEDOUT;
}

static int keep_name(const char *name, char **ret)
{
	*ret = name[0] ? strdup(name) : NULL;
	return name[0] && !*ret ? -ENOMEM : 0;
}

static int read_cgroup(int dir, struct proc_facts *f)
{
	int r = keep_file(dir, "cgroup", MAX_CGROUP, &f->cgroup);
	size_t len = f->cgroup.len;
	struct container c;

	if (r < 0 || !f->cgroup.data)
		return r;
	/* Of a line that was cut nobody knows what came further in. */
	while (len >= MAX_CGROUP - 1 && len > 0 &&
		f->cgroup.data[len - 1] != '\n')
		len--;
	container_parse(f->cgroup.data, len, &c);
	f->runtime = c.runtime;
	r = keep_name(c.id, &f->container);
	return r < 0 ? r : keep_name(c.pod, &f->pod);
}

/* The process's name, not that of the thread, which may have one of its own. */
static int read_comm(struct proc_facts *f)
{
	_cleanup_close_ int dir = open_dir(f->key.tgid);

	return dir < 0 ? 0 : keep_file(dir, "comm", 256, &f->comm);
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t); /* cannot fail for these clocks */
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t start_real(uint64_t ticks)
{
	uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);
	uint64_t ns = ticks / hz * 1000000000 + ticks % hz * 1000000000 / hz;

	return clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME) +
	       (int64_t)ns;
}

int proc_read_facts(
	pid_t tid, const struct proc_reader *reader, struct proc_facts *f)
{
	_cleanup_close_ int dir = open_dir(tid);

	if (dir < 0)
		return dir;

	int r = read_status(dir, f);

	if (r == 0)
		r = keep_link(dir, "exe", &f->exe);
	if (r == 0)
		r = keep_link(dir, "cwd", &f->cwd);
	if (r == 0)
		r = read_cgroup(dir, f);
	if (r == 0)
		r = read_comm(f);
	if (r == 0)
		r = read_cmdline(dir, reader->cmdline, f);
	if (r == 0 && reader->has_labels)
		r = read_label(dir, reader->cmdline, f);
	if (r < 0)
		return r;
	read_exe_file(dir, &reader->opt, f);
	read_number(dir, "loginuid", &f->auid);
	read_number(dir, "sessionid", &f->ses);
	read_ns(dir, "ns/pid", &f->pid_ns);
	read_ns(dir, "ns/user", &f->user_ns);
	read_ns(dir, "ns/mnt", &f->mnt_ns);
	f->start_real = start_real(f->key.start_ticks);
	return 0;
}

void proc_read_done(struct proc_facts *f)
{
	struct proc_bytes *all[] = {&f->exe, &f->comm, &f->cmdline, &f->cwd,
		&f->cgroup, &f->groups, &f->lsm};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		free(all[i]->data);
		*all[i] = (struct proc_bytes){0};
	}
	free(f->container);
	free(f->pod);
	f->container = f->pod = NULL;
}
