/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parked requests; see park.h.
 *
 * All of them can be found by their request. They lie in a heap by the time
 * when something is to be done for them, but for the one that the thread is
 * about: it is answered and gone, or asked for without the lock and put back.
 *
 * libfuse calls called_back with the request's lock held, and may use the
 * request after that: nothing is answered there. The order of locks is
 * request, park, session; no function that takes the request's is called with
 * the park's.
 */
#include "fs/mount/park.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>

#include "fs/codec/digest.h"
#include "fs/mount/caller.h"
#include "fs/who/lru.h"

#define SECOND_NS UINT64_C(1000000000)
#define NOWHERE SIZE_MAX

struct car {
	fuse_req_t req;
	int error;		       /* to answer */
	uint64_t due;		       /* by CLOCK_MONOTONIC */
	size_t at;		       /* in the heap, or NOWHERE */
	bool called;		       /* back: due now */
	struct park_question question; /* without ask: none */
	struct lru_node node;	       /* by request */
};

struct park {
	pthread_t thread;
	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t changed;
	bool end;
	struct lru cars;
	struct car **heap; /* heap[0] is due first; room for PARK_MAX */
	size_t count;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

/* ---- the heap; all of these need the lock ---- */

static void put(struct park *p, size_t at, struct car *c)
{
	p->heap[at] = c;
	c->at = at;
}

static void move_up(struct park *p, struct car *c)
{
	size_t at = c->at;

	while (at > 0 && p->heap[(at - 1) / 2]->due > c->due) {
		put(p, at, p->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	put(p, at, c);
}

static void move_down(struct park *p, struct car *c)
{
	size_t at = c->at;

	for (;;) {
		size_t child = 2 * at + 1;

		if (child + 1 < p->count &&
			p->heap[child + 1]->due < p->heap[child]->due)
			child++;
		if (child >= p->count || p->heap[child]->due >= c->due)
			break;
		put(p, at, p->heap[child]);
		at = child;
	}
	put(p, at, c);
}

static void heap_add(struct park *p, struct car *c)
{
	put(p, p->count++, c);
	move_up(p, c);
}

static struct car *heap_take_first(struct park *p)
{
	struct car *first = p->heap[0], *last = p->heap[--p->count];

	if (first != last) {
		put(p, 0, last);
		move_down(p, last);
	}
	first->at = NOWHERE;
	return first;
}

/* ---- what happens to a car while it is here ---- */

static struct car *car_of(struct lru_node *node)
{
	return (struct car *)((char *)node - offsetof(struct car, node));
}

static uint64_t hash_req(fuse_req_t req)
{
	return checksum(&req, sizeof(req));
}

static struct car *find(struct park *p, fuse_req_t req)
{
	struct lru_node *node = lru_first(&p->cars, hash_req(req));

	while (node && car_of(node)->req != req)
		node = lru_next(node);
	return node ? car_of(node) : NULL;
}

/* A signal has come for the caller. */
static void call_back(struct park *p, struct car *c)
{
	if (!c->question.ask && !caller_is_dying(fuse_req_ctx(c->req)->pid))
		return;
	c->called = true;
	c->due = 0;
	if (c->at != NOWHERE)
		move_up(p, c);
	pthread_cond_signal(&p->changed);
}

static void called_back(fuse_req_t req, void *arg)
{
	struct park *p = arg;

	pthread_mutex_lock(&p->lock);

	struct car *c = find(p, req);

	if (c)
		call_back(p, c);
	pthread_mutex_unlock(&p->lock);
}

/* ---- arriving ---- */

/* False: the park is full, and the car as it was. */
static bool enter(struct park *p, struct car *c)
{
	pthread_mutex_lock(&p->lock);

	bool room = p->count < PARK_MAX - 1; /* one may be with the thread */

	if (room) {
		lru_add(&p->cars, &c->node, hash_req(c->req));
		heap_add(p, c);
		/* A signal that came before now did not find it. */
		if (fuse_req_interrupted(c->req))
			call_back(p, c);
		if (c->at == 0)
			pthread_cond_signal(&p->changed);
	}
	pthread_mutex_unlock(&p->lock);
	return room;
}

static void answer(const struct car *c)
{
	(void)fuse_reply_err(c->req, c->error); /* fails if nobody waits */
	if (c->question.forget)
		c->question.forget(c->question.arg);
}

static void arrive(struct park *p, const struct car *how)
{
	struct car *c = malloc(sizeof(*c));

	if (!c) {
		answer(how);
		return;
	}
	*c = *how;
	fuse_req_interrupt_func(c->req, called_back, p);
	if (!enter(p, c)) {
		answer(c);
		free(c);
	}
}

void park_reply(struct park *p, fuse_req_t req, int error, uint64_t delay_ns)
{
	const struct car c = {
		.req = req, .error = error, .due = now_ns() + delay_ns};

	arrive(p, &c);
}

void park_ask(
	struct park *p, fuse_req_t req, const struct park_question *question)
{
	const struct car c = {
		.req = req,
		.error = EIO,
		.due = now_ns() + SECOND_NS,
		.question = *question,
	};

	arrive(p, &c);
}

/* ---- leaving: the thread ---- */

/* Without the lock: is there an answer now? */
static bool is_answered(struct car *c)
{
	int error = c->question.ask(c->question.arg);

	if (error)
		c->error = error;
	return error != 0;
}

/* With the lock, which it gives up meanwhile: the first one in the heap. */
static void attend(struct park *p)
{
	struct car *c = heap_take_first(p);
	bool leaves = !c->question.ask || c->called || p->end;

	if (!leaves) {
		pthread_mutex_unlock(&p->lock);
		leaves = is_answered(c);
		pthread_mutex_lock(&p->lock);
	}
	if (!leaves && !c->called) {
		c->due = now_ns() + SECOND_NS;
		heap_add(p, c);
		return;
	}
	lru_remove(&p->cars, &c->node);
	pthread_mutex_unlock(&p->lock);
	answer(c);
	free(c);
	pthread_mutex_lock(&p->lock);
}

/* With the lock: until something changes, or the first one's time has come. */
static void wait_for_first(struct park *p)
{
	if (p->count == 0) {
		pthread_cond_wait(&p->changed, &p->lock);
		return;
	}

	uint64_t due = p->heap[0]->due;
	struct timespec t = {.tv_sec = (time_t)(due / SECOND_NS),
		.tv_nsec = (long)(due % SECOND_NS)};

	(void)pthread_cond_timedwait(&p->changed, &p->lock, &t);
}

static void *work(void *arg)
{
	struct park *p = arg;

	pthread_mutex_lock(&p->lock);
	while (!p->end || p->count > 0) {
		if (p->count > 0 && (p->end || p->heap[0]->due <= now_ns()))
			attend(p);
		else
			wait_for_first(p);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* ---- the park itself ---- */

/* Signals belong to the threads of the program. */
static int start(struct park *p)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);

	int r = pthread_create(&p->thread, NULL, work, p);

	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -r;
}

static void dismantle(struct park *p)
{
	lru_done(&p->cars);
	free(p->heap);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

int park_new(struct park **ret)
{
	struct park *p = calloc(1, sizeof(*p));
	pthread_condattr_t attr;

	if (!p)
		return -ENOMEM;
	/* None of these can fail on Linux. */
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->changed, &attr);
	pthread_condattr_destroy(&attr);

	int r = lru_init(&p->cars, PARK_MAX);

	p->heap = calloc(PARK_MAX, sizeof(struct car *));
	if (r == 0 && !p->heap)
		r = -ENOMEM;
	if (r == 0)
		r = start(p);
	if (r < 0) {
		dismantle(p);
		return r;
	}
	*ret = p;
	return 0;
}

void park_free(struct park *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->end = true;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
	(void)pthread_join(p->thread, NULL); /* it is one, and not joined */
	dismantle(p);
}
