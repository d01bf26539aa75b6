/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints in other places; see anchor.h. */
#include "fs/ledger/anchor.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "fs/base/io.h"
#include "fs/ledger/hook.h"
#include "fs/ledger/store.h"

/* authpriv.notice: what log daemons keep from most eyes, and forward. */
#define SYSLOG_PRIORITY (10 << 3 | 5)
#define NOTE_BYTES (8u << 10) /* a note, and it as a line */

enum kind { PLACE_FILE, PLACE_SYSLOG, PLACE_OUTPUT, PLACE_PROGRAM };

struct place {
	enum kind kind;
	const char *name; /* as given; borrowed */
	const char *path; /* in name; NULL for PLACE_OUTPUT */
	struct metrics_place *count;

	struct hook hook; /* PLACE_PROGRAM; and what follows */
	uint64_t size;	  /* of the checkpoint that it is told */
	struct buf next;  /* the one after that; empty: none */
	uint64_t next_size;
};

struct anchors {
	anchor_done done;
	void *arg;
	size_t count;
	struct place places[METRICS_PLACES];
};

/* ---- the places ---- */

/*
 * O_NONBLOCK: a FIFO that nobody reads is a failure and no reason to wait. A
 * link may not lead us to append to something else.
 */
static int open_file(const char *path)
{
	int fd = open(path,
		O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC |
			O_NONBLOCK | O_NOCTTY,
		0644);

	return fd < 0 ? -errno : fd;
}

static int put_file(const char *path, const char *note, size_t len)
{
	_cleanup_buf_ struct buf text = {.max = NOTE_BYTES};
	_cleanup_close_ int fd = open_file(path);
	int r;

	if (fd < 0)
		return fd;
	r = buf_add(&text, note, len);
	if (r == 0)
		r = buf_add(&text, "\n", 1);
	/* In one piece, so that two writers do not mix. */
	if (r == 0)
		r = io_write(fd, text.data, text.len);
	/* EINVAL: a device or a pipe, which has no disk to wait for. */
	if (r == 0 && fsync(fd) < 0 && errno != EINVAL)
		r = -errno;
	return r;
}

int anchor_line(const char *note, size_t len, struct buf *ret)
{
	const char *end = note + len;
	int r = buf_add(ret, "stele checkpoint", 16);

	if (len == 0 || end[-1] != '\n')
		return -EBADMSG;
	for (const char *line = note; r == 0 && line < end;) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));

		if (stop > line)
			r = buf_add(ret, " ", 1);
		if (r == 0)
			r = buf_add(ret, line, (size_t)(stop - line));
		line = stop + 1;
	}
	return r < 0 ? r : buf_add(ret, "\n", 1);
}

/* As syslog(3) does it: a month by its English name, the time of here. */
static int add_syslog_head(struct buf *b)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t now = time(NULL);
	struct tm tm = {.tm_mday = 1};

	/* Else the first of January: the log daemon knows when it came. */
	(void)localtime_r(&now, &tm);
	return buf_printf(b,
		"<%d>%.3s %2d %02d:%02d:%02d stele[%d]: ", SYSLOG_PRIORITY,
		months + 3 * (tm.tm_mon % 12), tm.tm_mday, tm.tm_hour,
		tm.tm_min, tm.tm_sec, (int)getpid());
}

static int send_datagram(const char *path, const void *data, size_t len)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd =
		socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	/* Its length was looked at in parse. */
	memcpy(to.sun_path, path, strlen(path) + 1);
	if (sendto(fd, data, len, MSG_NOSIGNAL, (const struct sockaddr *)&to,
		    sizeof(to)) < 0)
		return -errno;
	return 0;
}

static int put_syslog(const char *path, const char *note, size_t len)
{
	_cleanup_buf_ struct buf text = {.max = NOTE_BYTES};
	int r;

	r = add_syslog_head(&text);
	if (r == 0)
		r = anchor_line(note, len, &text);
	return r < 0 ? r : send_datagram(path, text.data, text.len - 1);
}

static int put_output(const char *note, size_t len)
{
	struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};
	_cleanup_buf_ struct buf text = {.max = PIPE_BUF};
	int r;

	r = anchor_line(note, len, &text);
	if (r < 0)
		return r;
	/* A pipe that takes something takes PIPE_BUF bytes. */
	if (poll(&p, 1, 0) <= 0)
		return -EAGAIN;
	return io_write(STDOUT_FILENO, text.data, text.len);
}

/* ---- what became of it ---- */

static void finish(struct anchors *a, struct place *p, uint64_t size, int r,
	const char *why)
{
	char text[128];

	if (r < 0) {
		metrics_add(&p->count->failed, 1);
		if (!why || !*why)
			why = strerror_r(-r, text, sizeof(text));
	} else {
		metrics_add(&p->count->done, 1);
		atomic_store(&p->count->last, store_now().real);
	}
	a->done(a->arg, p->name, size, r, why);
}

static void start_program(struct anchors *a, struct place *p, const char *note,
	size_t len, uint64_t size)
{
	int r = hook_start(&p->hook, p->path, note, len);

	p->size = size;
	if (r < 0)
		finish(a, p, size, r, NULL);
}

static void put_program(struct anchors *a, struct place *p, const char *note,
	size_t len, uint64_t size)
{
	if (p->hook.pid == 0) {
		start_program(a, p, note, len, size);
		return;
	}
	buf_reset(&p->next);

	int r = buf_add(&p->next, note, len);

	p->next_size = size;
	if (r < 0)
		finish(a, p, size, r, NULL);
}

void anchors_put(struct anchors *a, const char *note, size_t len, uint64_t size)
{
	for (size_t i = 0; i < a->count; i++) {
		struct place *p = &a->places[i];
		int r = 0;

		switch (p->kind) {
		case PLACE_FILE: r = put_file(p->path, note, len); break;
		case PLACE_SYSLOG: r = put_syslog(p->path, note, len); break;
		case PLACE_OUTPUT: r = put_output(note, len); break;
		case PLACE_PROGRAM:
			put_program(a, p, note, len, size);
			continue;
		}
		finish(a, p, size, r, NULL);
	}
}

static void tick_program(struct anchors *a, struct place *p, int64_t boot_ns)
{
	struct diag diag = {0};
	int r = p->hook.pid ? hook_tick(&p->hook, boot_ns, &diag) : 1;

	if (r == 1)
		return;
	finish(a, p, p->size, r, diag.text);
	if (p->next.len > 0) {
		start_program(a, p, p->next.data, p->next.len, p->next_size);
		buf_reset(&p->next);
	}
}

int64_t anchors_tick(struct anchors *a, int64_t boot_ns)
{
	int64_t due = INT64_MAX;

	for (size_t i = 0; i < a->count; i++) {
		struct place *p = &a->places[i];

		tick_program(a, p, boot_ns);
		if (p->hook.pid && p->hook.deadline < due)
			due = p->hook.deadline;
	}
	return due;
}

/* ---- making ---- */

static const char *after(const char *text, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

static int parse(struct place *p, struct diag *diag)
{
	if (strcmp(p->name, "stdout") == 0) {
		p->kind = PLACE_OUTPUT;
		return 0;
	}
	p->kind = PLACE_SYSLOG;
	p->path = strcmp(p->name, "syslog") == 0 ? "/dev/log"
						 : after(p->name, "syslog:");
	if (!p->path) {
		p->kind = PLACE_FILE;
		p->path = after(p->name, "file:");
	}
	if (!p->path) {
		p->kind = PLACE_PROGRAM;
		p->path = after(p->name, "exec:");
	}
	if (!p->path)
		return diag_set(diag, -EINVAL,
			"anchor %s: give file:PATH, exec:PATH, syslog or "
			"stdout",
			p->name);
	if (*p->path != '/')
		return diag_set(diag, -EINVAL,
			"anchor %s: the path must begin with /", p->name);
	if (p->kind == PLACE_SYSLOG &&
		strlen(p->path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return diag_set(diag, -ENAMETOOLONG,
			"anchor %s: the path is too long for a socket",
			p->name);
	return 0;
}

/* A place that can't work is said now, to a person who is there. (A log daemon
 * may start after us.) */
static int try_place(const struct place *p, struct diag *diag)
{
	if (p->kind == PLACE_FILE) {
		_cleanup_close_ int fd = open_file(p->path);

		if (fd < 0)
			return diag_errno(diag, fd, "anchor %s", p->name);
	}
	if (p->kind == PLACE_PROGRAM && access(p->path, X_OK) < 0)
		return diag_errno(diag, -errno, "anchor %s", p->name);
	return 0;
}

static int add_place(struct anchors *a, const struct anchor_options *opt,
	const char *name, struct diag *diag)
{
	struct place *p = &a->places[a->count];
	int r;

	if (a->count == METRICS_PLACES)
		return diag_set(diag, -E2BIG, "anchor %s: %d are enough", name,
			METRICS_PLACES);
	p->name = name;
	r = parse(p, diag);
	if (r == 0)
		r = try_place(p, diag);
	if (r < 0)
		return r;
	p->count = metrics_add_place(opt->metrics, name);
	if (!p->count)
		return diag_set(diag, -E2BIG, "anchor %s: too many", name);
	buf_init(&p->next, NOTE_BYTES);
	hook_init(&p->hook, opt->epoll, opt->program_ns);
	a->count++;
	return 0;
}

int anchors_new(const struct anchor_options *opt, struct anchors **ret,
	struct diag *diag)
{
	_cleanup_(anchors_free) struct anchors *a = calloc(1, sizeof(*a));
	int r = 0;

	if (!a)
		return diag_errno(diag, -ENOMEM, "anchors");
	a->done = opt->done;
	a->arg = opt->arg;
	for (size_t i = 0; r == 0 && opt->places && opt->places[i]; i++)
		r = add_place(a, opt, opt->places[i], diag);
	if (r < 0)
		return r;
	*ret = take_ptr(a);
	return 0;
}

void anchors_free(struct anchors *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->count; i++) {
		hook_done(&a->places[i].hook);
		buf_done(&a->places[i].next);
	}
	free(a);
}
