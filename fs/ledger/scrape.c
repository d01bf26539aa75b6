/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics in a file or on a socket; see scrape.h. */
#include "fs/ledger/scrape.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "fs/base/io.h"

enum {
	LISTEN = 16,
	REQUEST_MAX = 4096, /* bytes of a request that are looked at */
};

/* So long somebody may think about whether to ask for HTTP, and so long it may
 * take in all. */
#define ASK_NS ((int64_t)200 * 1000000)
#define CLIENT_NS ((int64_t)5 * 1000000000)

/* Moves: free -> ASKING (connected) -> ANSWERING -> free. */
enum client_state { FREE, ASKING, ANSWERING };

struct client {
	enum client_state state;
	int fd;
	int64_t since; /* CLOCK_BOOTTIME, ns */
	char request[REQUEST_MAX];
	size_t request_len;
	struct buf answer;
	size_t sent;
};

struct scrape {
	const struct metrics *metrics;
	char *path;   /* owned */
	int epoll;    /* borrowed */
	int listener; /* -1: it is a file */
	dev_t dev;    /* of the socket's name, to remove no other's */
	ino_t ino;
	struct client clients[SCRAPE_CLIENTS];
};

/* ---- a file ---- */

static int write_text(const char *path, const struct buf *text)
{
	_cleanup_close_ int fd = open(path,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	return io_write(fd, text->data, text->len);
}

int scrape_write(struct scrape *s, const struct store_time *now)
{
	_cleanup_buf_ struct buf text = {.max = METRICS_MAX};
	char aside[PATH_MAX];
	int r;

	if (!s || s->listener >= 0)
		return 0;
	if (snprintf(aside, sizeof(aside), "%s.tmp", s->path) >=
		(int)sizeof(aside))
		return -ENAMETOOLONG;
	r = metrics_print(s->metrics, now->real, &text);
	if (r < 0)
		return r;
	(void)unlink(aside); /* of one of us that was killed */
	r = write_text(aside, &text);
	if (r == 0 && rename(aside, s->path) < 0)
		r = -errno;
	if (r < 0)
		(void)unlink(aside);
	return r;
}

/* ---- a socket ---- */

static void forget(struct client *c)
{
	if (c->state == FREE)
		return;
	(void)close(c->fd); /* and so it is out of epoll */
	buf_done(&c->answer);
	c->state = FREE;
}

static int watch(const struct scrape *s, int op, int fd, uint32_t events)
{
	struct epoll_event e = {.events = events};

	return epoll_ctl(s->epoll, op, fd, &e) < 0 ? -errno : 0;
}

/* A free place, if need be that of who has been here longest. */
static struct client *find_place(struct scrape *s)
{
	struct client *first = s->clients;

	for (size_t i = 0; i < SCRAPE_CLIENTS; i++) {
		struct client *c = &s->clients[i];

		if (c->state == FREE)
			return c;
		if (c->since < first->since)
			first = c;
	}
	forget(first);
	return first;
}

static void take_clients(struct scrape *s, int64_t boot)
{
	/* As many as have a place; more come with the next tick. */
	for (int i = 0; i < SCRAPE_CLIENTS; i++) {
		int fd = accept4(
			s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;

		struct client *c = find_place(s);

		c->state = ASKING;
		c->fd = fd;
		c->since = boot;
		c->request_len = 0;
		c->sent = 0;
		if (watch(s, EPOLL_CTL_ADD, fd, EPOLLIN) < 0)
			forget(c);
	}
}

static bool may_be_http(const struct client *c)
{
	size_t n = c->request_len < 4 ? c->request_len : 4;

	return memcmp(c->request, "GET ", n) == 0;
}

static bool is_whole(const struct client *c)
{
	return memmem(c->request, c->request_len, "\r\n\r\n", 4) ||
	       memmem(c->request, c->request_len, "\n\n", 2);
}

/* What it says; true when it has said all that it is asked to. */
static bool hear(struct client *c, int64_t boot)
{
	for (;;) {
		size_t room = sizeof(c->request) - c->request_len;
		ssize_t n =
			room ? recv(c->fd, c->request + c->request_len, room, 0)
			     : 0;

		if (n > 0)
			c->request_len += (size_t)n;
		if (n == 0 || !may_be_http(c) || is_whole(c))
			return true;
		if (n < 0)
			break;
	}
	if (errno != EAGAIN && errno != EINTR)
		return true; /* sending will tell */
	/* Who has begun with GET gets the time to end it. */
	return boot - c->since >= (c->request_len ? CLIENT_NS : ASK_NS);
}

static int compose(const struct scrape *s, struct client *c, int64_t real)
{
	_cleanup_buf_ struct buf text = {.max = METRICS_MAX};
	int r;

	buf_init(&c->answer, METRICS_MAX + 512);
	r = metrics_print(s->metrics, real, &text);
	if (r == 0 && c->request_len >= 4 && may_be_http(c))
		r = buf_printf(&c->answer,
			"HTTP/1.0 200 OK\r\n"
			"Content-Type: application/openmetrics-text; "
			"version=1.0.0; charset=utf-8\r\n"
			"Content-Length: %zu\r\n"
			"\r\n",
			text.len);
	return r < 0 ? r : buf_add(&c->answer, text.data, text.len);
}

/* True when there is nothing more to do for it. */
static bool tell(struct client *c)
{
	char rest[512];

	while (c->sent < c->answer.len) {
		ssize_t n = send(c->fd, c->answer.data + c->sent,
			c->answer.len - c->sent, MSG_NOSIGNAL);

		if (n < 0)
			return errno != EAGAIN && errno != EINTR;
		c->sent += (size_t)n;
	}
	/* What it said beyond its request would end the connection with an
	 * error before it has read the answer. */
	for (int i = 0; i < 8 && recv(c->fd, rest, sizeof(rest), 0) > 0; i++)
		;
	return true;
}

static void serve(
	struct scrape *s, struct client *c, const struct store_time *now)
{
	if (c->state == ASKING && hear(c, now->boot)) {
		c->state = ANSWERING;
		if (compose(s, c, now->real) < 0 ||
			watch(s, EPOLL_CTL_MOD, c->fd, EPOLLOUT) < 0) {
			forget(c);
			return;
		}
	}
	if (c->state == ANSWERING && tell(c))
		forget(c);
	else if (now->boot - c->since >= CLIENT_NS)
		forget(c);
}

int64_t scrape_tick(struct scrape *s, const struct store_time *now)
{
	int64_t due = INT64_MAX;

	if (!s || s->listener < 0)
		return INT64_MAX;
	take_clients(s, now->boot);
	for (size_t i = 0; i < SCRAPE_CLIENTS; i++) {
		struct client *c = &s->clients[i];

		if (c->state != FREE)
			serve(s, c, now);
		if (c->state == FREE)
			continue;

		bool silent = c->state == ASKING && c->request_len == 0;
		int64_t end = c->since + (silent ? ASK_NS : CLIENT_NS);

		due = end < due ? end : due;
	}
	return due;
}

/* ---- making ---- */

static int connect_to(const struct sockaddr_un *to)
{
	_cleanup_close_ int fd =
		socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
		return -errno;
	return 0;
}

/* The name of a socket that nobody answers on is left over; of others we keep
 * off. */
static int make_room(const struct sockaddr_un *to, struct diag *diag)
{
	struct stat st;

	if (lstat(to->sun_path, &st) < 0)
		return errno == ENOENT ? 0
				       : diag_errno(diag, -errno, "metrics: %s",
						 to->sun_path);
	if (!S_ISSOCK(st.st_mode))
		return diag_set(diag, -EEXIST,
			"metrics: %s exists and is no socket; give another "
			"path",
			to->sun_path);
	if (connect_to(to) != -ECONNREFUSED)
		return diag_set(diag, -EBUSY,
			"metrics: another process answers on %s; give another "
			"path",
			to->sun_path);
	return unlink(to->sun_path) < 0
		       ? diag_errno(diag, -errno, "metrics: %s", to->sun_path)
		       : 0;
}

/* The mode before the name is there: bind takes it, less the umask, which
 * chmod then gives back. */
static int listen_at(struct scrape *s, const struct sockaddr_un *to)
{
	struct stat st;

	if (fchmod(s->listener, 0660) < 0 ||
		bind(s->listener, (const struct sockaddr *)to, sizeof(*to)) < 0)
		return -errno;
	if (lstat(to->sun_path, &st) < 0)
		return -errno;
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	if (chmod(to->sun_path, 0660) < 0 || listen(s->listener, LISTEN) < 0)
		return -errno;
	return watch(s, EPOLL_CTL_ADD, s->listener, EPOLLIN);
}

static int open_socket(struct scrape *s, struct diag *diag)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	if (strlen(s->path) >= sizeof(to.sun_path))
		return diag_errno(
			diag, -ENAMETOOLONG, "metrics: socket %s", s->path);
	memcpy(to.sun_path, s->path, strlen(s->path) + 1);

	int r = make_room(&to, diag);

	if (r < 0)
		return r;
	s->listener =
		socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	r = s->listener < 0 ? -errno : listen_at(s, &to);
	return r < 0 ? diag_errno(diag, r, "metrics: socket %s", s->path) : 0;
}

int scrape_new(const char *place, const struct metrics *m, int epoll,
	struct scrape **ret, struct diag *diag)
{
	_cleanup_(scrape_free) struct scrape *s = NULL;
	bool file;
	int r;

	if (!place) {
		*ret = NULL;
		return 0;
	}
	file = strncmp(place, "file:/", 6) == 0;
	if (!file && strncmp(place, "unix:/", 6) != 0)
		return diag_set(diag, -EINVAL,
			"metrics %s: give file:PATH or unix:PATH, a path from "
			"/",
			place);
	s = calloc(1, sizeof(*s));
	if (!s || !(s->path = strdup(place + 5))) {
		free(take_ptr(s));
		return diag_errno(diag, -ENOMEM, "metrics");
	}
	s->metrics = m;
	s->epoll = epoll;
	s->listener = -1;
	if (file) {
		struct store_time now = store_now();

		r = scrape_write(s, &now);
		if (r < 0)
			(void)diag_errno(diag, r, "metrics: file %s", s->path);
	} else {
		r = open_socket(s, diag);
	}
	if (r < 0)
		return r;
	*ret = take_ptr(s);
	return 0;
}

void scrape_free(struct scrape *s)
{
	struct stat st;

	if (!s)
		return;
	for (size_t i = 0; i < SCRAPE_CLIENTS; i++)
		forget(&s->clients[i]);
	if (s->ino && lstat(s->path, &st) == 0 && st.st_dev == s->dev &&
		st.st_ino == s->ino)
		(void)unlink(s->path); /* what stays is found stale */
	if (s->listener >= 0)
		(void)close(s->listener);
	free(s->path);
	free(s);
}
