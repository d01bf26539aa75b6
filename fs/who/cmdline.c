/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The helper thread behind cmdline.h. Its slot moves
 *
 *	FREE -> ASKED	cmdline_get puts a folder and a name in
 *	ASKED -> DONE	the helper has read it
 *	DONE -> FREE	the asker has taken the result
 *	ASKED -> STUCK	the asker's time is over, it has left
 *	STUCK -> FREE	the helper is back, the result is dropped
 */
#include "fs/who/cmdline.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "fs/base/io.h"

enum slot { FREE, ASKED, DONE, STUCK };

struct cmdline {
	cmdline_read_fn read;
	void *arg;
	uint64_t bound_ns;

	pthread_mutex_t lock;  /* protects what follows */
	pthread_cond_t ask;    /* helper: dir or stopping was set */
	pthread_cond_t answer; /* askers: the slot became DONE, STUCK or FREE */
	enum slot slot;
	bool stopping;
	int users; /* the owner and the helper; the last one frees */
	int dir;   /* what to read below next, owned by the helper; or -1 */
	const char *name;
	size_t len;
	ssize_t result;
	char buf[CMDLINE_MAX + 1];
};

static ssize_t plain_read(void *arg, int fd, void *buf, size_t len)
{
	(void)arg;
	return io_read(fd, buf, len);
}

/* Called with the lock held; gives it back. */
static void unuse(struct cmdline *c)
{
	bool last = --c->users == 0;

	pthread_mutex_unlock(&c->lock);
	if (!last)
		return;
	pthread_cond_destroy(&c->answer);
	pthread_cond_destroy(&c->ask);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static ssize_t read_below(
	struct cmdline *c, int dir, const char *name, size_t len)
{
	_cleanup_close_ int owned = dir;
	_cleanup_close_ int fd = openat(owned, name, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : c->read(c->arg, fd, c->buf, len);
}

/* One read, without the lock. */
static void serve(struct cmdline *c)
{
	const char *name = c->name;
	size_t len = c->len;
	int dir = take_fd(c->dir);

	pthread_mutex_unlock(&c->lock);

	ssize_t n = read_below(c, dir, name, len);

	pthread_mutex_lock(&c->lock);
	c->result = n;
	c->slot = c->slot == STUCK ? FREE : DONE;
	pthread_cond_broadcast(&c->answer);
}

static void *helper(void *arg)
{
	struct cmdline *c = arg;

	pthread_mutex_lock(&c->lock);
	while (!c->stopping) {
		if (c->dir >= 0)
			serve(c);
		else
			pthread_cond_wait(&c->ask, &c->lock);
	}
	if (c->dir >= 0)
		(void)close(c->dir); /* nobody waits for it any more */
	unuse(c);
	return NULL;
}

/* Signals belong to the threads of the program, none to the helper. */
static int start_helper(struct cmdline *c)
{
	sigset_t all, old;
	pthread_t thread;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);

	int r = pthread_create(&thread, NULL, helper, c);

	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r == 0)
		pthread_detach(thread);
	return -r;
}

static void init_conds(struct cmdline *c)
{
	pthread_condattr_t attr;

	/* None of these fails on Linux. */
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->ask, NULL);
	pthread_cond_init(&c->answer, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&c->lock, NULL);
}

int cmdline_new(cmdline_read_fn read, void *arg, uint64_t bound_ns,
	struct cmdline **ret)
{
	struct cmdline *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->read = read ? read : plain_read;
	c->arg = arg;
	c->bound_ns = bound_ns;
	c->dir = -1;
	c->users = 2;
	init_conds(c);

	int r = start_helper(c);

	if (r < 0) {
		c->users = 1;
		pthread_mutex_lock(&c->lock);
		unuse(c);
		return r;
	}
	*ret = c;
	return 0;
}

void cmdline_free(struct cmdline *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->stopping = true;
	pthread_cond_signal(&c->ask);
	unuse(c);
}

static struct timespec deadline_in(uint64_t ns)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	ns += (uint64_t)t.tv_nsec;
	t.tv_sec += (time_t)(ns / 1000000000);
	t.tv_nsec = (long)(ns % 1000000000);
	return t;
}

/* Wait while the slot is in a state. False: the time is over. */
static bool wait_while(
	struct cmdline *c, enum slot state, const struct timespec *deadline)
{
	int r = 0;

	while (c->slot == state && r == 0)
		r = pthread_cond_timedwait(&c->answer, &c->lock, deadline);
	return c->slot != state;
}

/* Get the slot from those who came before. */
static bool take_slot(struct cmdline *c, const struct timespec *deadline)
{
	while (c->slot == ASKED || c->slot == DONE) {
		if (!wait_while(c, c->slot, deadline))
			return false;
	}
	return c->slot == FREE;
}

/* Called with the lock held. */
static ssize_t ask(
	struct cmdline *c, int *dir, const char *name, void *buf, size_t len)
{
	struct timespec deadline = deadline_in(c->bound_ns);

	if (!take_slot(c, &deadline))
		return -ETIMEDOUT;
	c->dir = take_fd(*dir);
	c->name = name;
	c->len = len;
	c->slot = ASKED;
	pthread_cond_signal(&c->ask);
	if (!wait_while(c, ASKED, &deadline)) {
		c->slot = STUCK;
		pthread_cond_broadcast(&c->answer);
		return -ETIMEDOUT;
	}
	/* Only the asker moves a slot on from DONE. */
	assert(c->slot == DONE);
	if (c->result > 0)
		memcpy(buf, c->buf, (size_t)c->result);
	c->slot = FREE;
	pthread_cond_broadcast(&c->answer);
	return c->result;
}

ssize_t cmdline_get(
	struct cmdline *c, int dir, const char *name, void *buf, size_t len)
{
	/* The asker may be gone before the helper is done. */
	_cleanup_close_ int own = fcntl(dir, F_DUPFD_CLOEXEC, 0);

	if (own < 0)
		return -errno;
	assert(len <= sizeof(c->buf));
	pthread_mutex_lock(&c->lock);

	ssize_t n = ask(c, &own, name, buf, len);

	pthread_mutex_unlock(&c->lock);
	return n;
}
