/* SPDX-License-Identifier: Apache-2.0 */
/* Parked requests are answered once, not too early, and at once when it is
 * time to go. The calls of libfuse are played here. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "fs/mount/caller.h"
#include "fs/mount/park.h"
#include "tests/lib/prng.h"

#define HOUR UINT64_C(3600000000000)
#define MS UINT64_C(1000000)

/* A request as libfuse would have it. */
struct fuse_req {
	struct fuse_ctx ctx;  /* pid 1: about to die */
	pthread_mutex_t lock; /* held while func is called */
	fuse_interrupt_func_t func;
	void *data;
	atomic_bool interrupted;
	uint64_t due;

	atomic_int answers;
	int error;
	uint64_t answered;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int __wrap_fuse_reply_err(fuse_req_t req, int error);
int __wrap_fuse_reply_err(fuse_req_t req, int error)
{
	req->error = error;
	req->answered = now_ns();
	atomic_fetch_add(&req->answers, 1);
	return 0;
}

const struct fuse_ctx *__wrap_fuse_req_ctx(fuse_req_t req);
const struct fuse_ctx *__wrap_fuse_req_ctx(fuse_req_t req)
{
	return &req->ctx;
}

int __wrap_fuse_req_interrupted(fuse_req_t req);
int __wrap_fuse_req_interrupted(fuse_req_t req)
{
	return atomic_load(&req->interrupted);
}

void __wrap_fuse_req_interrupt_func(
	fuse_req_t req, fuse_interrupt_func_t func, void *data);
void __wrap_fuse_req_interrupt_func(
	fuse_req_t req, fuse_interrupt_func_t func, void *data)
{
	pthread_mutex_lock(&req->lock);
	req->func = func;
	req->data = data;
	if (atomic_load(&req->interrupted))
		func(req, data);
	pthread_mutex_unlock(&req->lock);
}

bool __wrap_caller_is_dying(pid_t tid);
bool __wrap_caller_is_dying(pid_t tid)
{
	return tid == 1;
}

/* What libfuse does when the kernel says INTERRUPT. */
static void interrupt(struct fuse_req *req)
{
	pthread_mutex_lock(&req->lock);
	atomic_store(&req->interrupted, true);
	if (req->func)
		req->func(req, req->data);
	pthread_mutex_unlock(&req->lock);
}

static struct fuse_req *requests(size_t count)
{
	struct fuse_req *all = calloc(count, sizeof(*all));

	assert_non_null(all);
	for (size_t i = 0; i < count; i++) {
		pthread_mutex_init(&all[i].lock, NULL);
		all[i].ctx.pid = 2;
	}
	return all;
}

static struct park *must_park(void)
{
	struct park *p = NULL;

	assert_int_equal(park_new(&p), 0);
	return p;
}

/* The test's own time limit is the bound. */
static void wait_for(const struct fuse_req *req)
{
	const struct timespec tick = {.tv_nsec = MS / 10};

	while (!atomic_load(&req->answers))
		(void)nanosleep(&tick, NULL);
}

static void check(const struct fuse_req *req, int error)
{
	assert_int_equal(atomic_load(&req->answers), 1);
	assert_int_equal(req->error, error);
}

static void test_no_answer_before_its_time(void **state)
{
	enum { COUNT = 2000 };
	struct fuse_req *all = requests(COUNT);
	struct park *p = must_park();
	struct prng r = {.state = 7};

	for (int i = 0; i < COUNT; i++) {
		uint64_t delay = prng_below(&r, 60 * MS);

		all[i].due = now_ns() + delay;
		park_reply(p, &all[i], 1 + i, delay);
	}
	for (int i = 0; i < COUNT; i++)
		wait_for(&all[i]);
	park_free(p);
	for (int i = 0; i < COUNT; i++) {
		check(&all[i], 1 + i);
		assert_true(all[i].answered >= all[i].due);
	}
	free(all);
}

static void test_the_end_answers_all(void **state)
{
	enum { COUNT = 1000 };
	struct fuse_req *all = requests(COUNT);
	struct park *p = must_park();

	for (int i = 0; i < COUNT; i++)
		park_reply(p, &all[i], EACCES, HOUR + (uint64_t)i);
	park_free(p);
	for (int i = 0; i < COUNT; i++)
		check(&all[i], EACCES);
	free(all);
	park_free(NULL);
}

static void test_who_is_killed_is_answered_at_once(void **state)
{
	struct fuse_req *all = requests(100);
	struct park *p = must_park();

	for (int i = 0; i < 100; i++) {
		all[i].ctx.pid = i % 2 ? 1 : 2;
		park_reply(p, &all[i], EACCES, HOUR);
	}
	for (int i = 0; i < 100; i++)
		interrupt(&all[i]);
	for (int i = 1; i < 100; i += 2)
		wait_for(&all[i]);
	/* A signal that does not kill is no way around a delay. */
	for (int i = 0; i < 100; i += 2)
		assert_int_equal(atomic_load(&all[i].answers), 0);
	park_free(p);
	for (int i = 0; i < 100; i++)
		check(&all[i], EACCES);
	free(all);
}

static void test_signal_that_came_before(void **state)
{
	struct fuse_req *all = requests(1);
	struct park *p = must_park();

	all[0].ctx.pid = 1;
	interrupt(&all[0]);
	park_reply(p, &all[0], EACCES, HOUR);
	wait_for(&all[0]);
	park_free(p);
	check(&all[0], EACCES);
	free(all);
}

struct asked {
	int unanswered; /* this often */
	atomic_int asked, forgotten;
};

static int ask(void *arg)
{
	struct asked *a = arg;

	return atomic_fetch_add(&a->asked, 1) < a->unanswered ? 0 : EACCES;
}

static void forget(void *arg)
{
	struct asked *a = arg;

	atomic_fetch_add(&a->forgotten, 1);
}

static struct park_question question(struct asked *a)
{
	return (struct park_question){.ask = ask, .forget = forget, .arg = a};
}

static void test_asks_until_there_is_an_answer(void **state)
{
	struct fuse_req *all = requests(1);
	struct asked a = {.unanswered = 1};
	struct park_question q = question(&a);
	struct park *p = must_park();
	uint64_t begin = now_ns();

	park_ask(p, &all[0], &q);
	wait_for(&all[0]);
	park_free(p);
	check(&all[0], EACCES);
	assert_true(all[0].answered >= begin + 2000 * MS);
	assert_int_equal(atomic_load(&a.asked), 2);
	assert_int_equal(atomic_load(&a.forgotten), 1);
	free(all);
}

static void test_any_signal_ends_a_question(void **state)
{
	struct fuse_req *all = requests(2);
	struct asked a = {.unanswered = INT32_MAX}, b = {.unanswered = 1};
	struct park_question q = question(&a), r = question(&b);
	struct park *p = must_park();

	park_ask(p, &all[0], &q);
	interrupt(&all[0]);
	wait_for(&all[0]);
	park_ask(p, &all[1], &r);
	park_free(p);
	for (int i = 0; i < 2; i++)
		check(&all[i], EIO);
	assert_int_equal(atomic_load(&a.forgotten), 1);
	assert_int_equal(atomic_load(&b.forgotten), 1);
	free(all);
}

static void test_full_park_keeps_nobody(void **state)
{
	enum { COUNT = PARK_MAX + 100 };
	struct fuse_req *all = requests(COUNT);
	struct asked a = {0};
	struct park_question q = question(&a);
	struct park *p = must_park();

	for (int i = 0; i < COUNT - 1; i++)
		park_reply(p, &all[i], EACCES, HOUR);
	park_ask(p, &all[COUNT - 1], &q);
	check(&all[0 + PARK_MAX], EACCES);
	check(&all[COUNT - 2], EACCES);
	check(&all[COUNT - 1], EIO);
	assert_int_equal(atomic_load(&a.forgotten), 1);
	assert_int_equal(atomic_load(&all[0].answers), 0);
	park_free(p);
	for (int i = 0; i < COUNT - 1; i++)
		check(&all[i], EACCES);
	free(all);
}

enum { EACH = 2000 };

struct crowd {
	struct park *park;
	struct fuse_req *all;
	uint64_t seed;
};

static void *arrive(void *arg)
{
	struct crowd *c = arg;
	struct prng r = {.state = c->seed};

	for (int i = 0; i < EACH; i++) {
		c->all[i].ctx.pid = 1 + (pid_t)prng_below(&r, 2);
		park_reply(c->park, &c->all[i], EACCES,
			prng_below(&r, 2) ? prng_below(&r, MS) : HOUR);
	}
	return NULL;
}

static void *send_signals(void *arg)
{
	struct crowd *c = arg;

	for (int i = 0; i < EACH; i++)
		interrupt(&c->all[i]);
	return NULL;
}

/* Signals meet requests that arrive, wait, leave and are gone. */
static void test_signals_at_any_moment(void **state)
{
	struct park *p = must_park();
	struct crowd crowds[4];
	pthread_t threads[8];

	for (size_t i = 0; i < 4; i++) {
		crowds[i] = (struct crowd){p, requests(EACH), i};
		assert_int_equal(
			pthread_create(&threads[i], NULL, arrive, &crowds[i]),
			0);
		assert_int_equal(pthread_create(&threads[4 + i], NULL,
					 send_signals, &crowds[i]),
			0);
	}
	for (size_t i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < 4; i++) {
		for (int n = 0; n < EACH; n++) {
			if (crowds[i].all[n].ctx.pid == 1)
				wait_for(&crowds[i].all[n]);
		}
	}
	park_free(p);
	for (size_t i = 0; i < 4; i++) {
		for (int n = 0; n < EACH; n++)
			check(&crowds[i].all[n], EACCES);
		free(crowds[i].all);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_answer_before_its_time),
		cmocka_unit_test(test_the_end_answers_all),
		cmocka_unit_test(test_who_is_killed_is_answered_at_once),
		cmocka_unit_test(test_signal_that_came_before),
		cmocka_unit_test(test_asks_until_there_is_an_answer),
		cmocka_unit_test(test_any_signal_ends_a_question),
		cmocka_unit_test(test_full_park_keeps_nobody),
		cmocka_unit_test(test_signals_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
