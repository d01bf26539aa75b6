/* SPDX-License-Identifier: Apache-2.0 */
/* The clerk's thread; see clerk.h. */
#include "fs/ledger/clerk.h"

#include <assert.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

#include "fs/db/db.h"
#include "fs/ledger/clerk_internal.h"
#include "fs/ledger/hook.h"
#include "fs/ledger/retain.h"
#include "fs/ledger/work.h"

#define SECOND INT64_C(1000000000)
#define METRICS_NS (5 * SECOND)
#define LONGEST_WAIT_MS 600000

struct store_time clerk_now(const struct clerk *c)
{
	return c->pace.now ? c->pace.now(c->pace.arg) : store_now();
}

/* ---- being woken ---- */

static void wake(struct clerk *c)
{
	/* A counter that is full is as good as one more. */
	(void)!eventfd_write(c->wake, 1);
}

static void wake_for_alert(void *arg)
{
	wake(arg);
}

/*
 * Who has committed reads awake after that; the clerk clears it before it looks
 * a last time. So either it sees what was committed, or it is woken.
 */
void clerk_notice(struct clerk *c)
{
	if (!atomic_load(&c->awake) && !atomic_exchange(&c->awake, true))
		wake(c);
}

void clerk_attempt(
	struct clerk *c, const struct alert_attempt *x, uint64_t waited_ns)
{
	metrics_attempt(c->metrics, x->attempt->op, x->attempt->rule);
	metrics_wait(c->metrics, waited_ns);
	clerk_notice(c);
	alerts_offer(c->alerts, x);
}

/* Until then (by CLOCK_BOOTTIME), or until something happens. */
static void rest(struct clerk *c, int64_t until)
{
	struct epoll_event events[8];
	eventfd_t count;
	uint64_t ticks;
	int64_t ns = until - clerk_now(c).boot,
		ms = ns <= 0 ? 0 : ns / 1000000 + 1;

	(void)!epoll_wait(c->epoll, events, ARRAY_LEN(events),
		ms > LONGEST_WAIT_MS ? LONGEST_WAIT_MS : (int)ms);
	/* Both do not block; nothing to read is what they mostly have. */
	(void)!eventfd_read(c->wake, &count);
	(void)!read(c->clock_set, &ticks, sizeof(ticks));
}

/* ---- one turn ---- */

static int close_folds(struct store *s, void *arg)
{
	struct clerk *c = arg;
	int r = store_close_folds(s, clerk_now(c).boot, false);

	c->open = store_open_folds(s) > 0;
	return r;
}

static int take_size(struct store *s, void *arg)
{
	struct clerk *c = arg;

	c->grown = store_tree(s)->size;
	return 0;
}

/* What has come since the last look. */
static void look(struct clerk *c)
{
	int r = ledger_work(c->ledger, close_folds, c);

	/* In a transaction of its own: it tells what is committed. */
	if (r == 0)
		r = ledger_work(c->ledger, take_size, c);
	if (r < 0)
		c->open = true; /* then it is looked again soon */
	atomic_store(&c->metrics->records, c->grown);
}

static bool is_idle(const struct clerk *c)
{
	return !c->open && c->grown == c->last.size;
}

static void fall_asleep(struct clerk *c)
{
	atomic_store(&c->awake, false);
	look(c);
	if (!is_idle(c))
		atomic_store(&c->awake, true);
}

static void measure_files(struct clerk *c)
{
	static const char *const suffixes[] = {
		"", "-wal", "-shm", "-key", "-gap", "-tally"};
	uint64_t sum = 0;

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		char name[PATH_MAX];
		struct stat st;

		if (snprintf(name, sizeof(name), "%s%s", c->path, suffixes[i]) <
				(int)sizeof(name) &&
			stat(name, &st) == 0)
			sum += (uint64_t)st.st_size;
	}
	atomic_store(&c->metrics->bytes, sum);
}

static void write_metrics(struct clerk *c, const struct store_time *now)
{
	if (!c->scrape || now->boot - c->metrics_boot < METRICS_NS)
		return;
	c->metrics_boot = now->boot;
	measure_files(c);

	int r = scrape_write(c->scrape, now);
	char text[128];

	if (r < 0)
		clerk_alarm(c, "metrics", strerror_r(-r, text, sizeof(text)));
	metrics_turn(c->metrics);
}

static void seal_or_beat(struct clerk *c, const struct store_time *now)
{
	int64_t since = now->boot - c->last_boot;

	if (c->grown > c->last.size && since >= c->pace.checkpoint) {
		(void)!clerk_seal(c, now); /* it has raised the alarm */
	} else if (since >= c->pace.heartbeat) {
		/* Without room for it nothing shows that we live: so it is. */
		(void)!clerk_heartbeat(c, now);
		(void)!clerk_seal(c, now);
	}
}

static void prune(struct clerk *c, const struct store_time *now)
{
	char text[128];
	int r;

	if (!c->keep || now->boot - c->prune_boot < c->pace.prune)
		return;
	c->prune_boot = now->boot;
	r = retain_run(c->ledger, now->real - c->keep);
	if (r > 0)
		clerk_notice(c); /* there is a record of it */
	if (r < 0)
		clerk_alarm(c, "retention", strerror_r(-r, text, sizeof(text)));
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* When the next turn is due if nothing happens. */
static int64_t next_turn(const struct clerk *c, const struct store_time *now)
{
	int64_t due = c->last_boot + c->pace.heartbeat;

	if (atomic_load(&c->awake))
		due = earlier(due, now->boot + c->pace.tick);
	if (c->scrape)
		due = earlier(due, c->metrics_boot + METRICS_NS);
	if (c->keep)
		due = earlier(due, c->prune_boot + c->pace.prune);
	return due;
}

static int64_t turn(struct clerk *c)
{
	struct store_time now = clerk_now(c);
	int64_t due;

	clerk_look_at_clock(c, &now);
	if (atomic_load(&c->awake))
		look(c);
	seal_or_beat(c, &now);
	if (atomic_load(&c->awake) && is_idle(c))
		fall_asleep(c);
	write_metrics(c, &now);
	prune(c, &now);
	due = next_turn(c, &now);
	due = earlier(due, anchors_tick(c->anchors, now.boot));
	due = earlier(
		due, alerts_tick(c->alerts, now.boot, &c->last, c->key.origin));
	return earlier(due, scrape_tick(c->scrape, &now));
}

static void *run(void *arg)
{
	struct clerk *c = arg;

	while (!atomic_load(&c->stop))
		rest(c, turn(c));
	return NULL;
}

/* ---- what anchors and alerts report ---- */

struct anchored {
	const char *place;
	uint64_t size;
	int64_t real;
};

static int store_anchor(struct store *s, void *arg)
{
	_cleanup_(db_stmt_free) struct db_stmt *add = NULL;
	const struct anchored *a = arg;
	int r = db_prepare(store_db(s),
		"INSERT OR REPLACE INTO anchor VALUES(?, ?, ?)", &add);

	if (r < 0)
		return r;
	db_bind_int(add, (int64_t)a->size);
	db_bind_text(add, a->place);
	db_bind_int(add, a->real);
	return db_run(add);
}

static void anchored(
	void *arg, const char *place, uint64_t size, int error, const char *why)
{
	struct clerk *c = arg;
	struct anchored a = {place, size, clerk_now(c).real};
	char text[128];

	if (error == 0) {
		error = ledger_work(c->ledger, store_anchor, &a);
		why = strerror_r(-error, text, sizeof(text));
	}
	if (error < 0)
		clerk_alarm(c, place, why);
}

static void alert_failed(void *arg, const char *place, const char *why)
{
	clerk_alarm(arg, place, why);
}

/* ---- life ---- */

static void set(int64_t *value, int64_t usual)
{
	if (*value == 0)
		*value = usual;
}

static void set_pace(struct clerk *c, const struct clerk_pace *pace)
{
	if (pace)
		c->pace = *pace;
	set(&c->pace.tick, SECOND / 4);
	set(&c->pace.checkpoint, 5 * SECOND);
	set(&c->pace.heartbeat, 60 * SECOND);
	set(&c->pace.epoch, 600 * SECOND);
	set(&c->pace.epoch_longest, 24 * 3600 * SECOND);
	set(&c->pace.prune, 60 * SECOND);
	set(&c->pace.alarm, 60 * SECOND);
	set(&c->pace.program, HOOK_SECONDS * SECOND);
	set(&c->pace.alert, ALERT_SECONDS * SECOND);
	if (c->pace.epoch_records == 0)
		c->pace.epoch_records = 100000;
}

/* What is longer than clocks count is for ever. */
static int64_t keep_ns(uint64_t seconds)
{
	int64_t ns;

	return __builtin_mul_overflow(seconds, SECOND, &ns) ? 0 : ns;
}

/* It is readable when somebody sets the clock; its time itself never comes. */
static int watch_clock(struct clerk *c)
{
	struct itimerspec never = {.it_value = {.tv_sec = INT_MAX}};

	c->clock_set =
		timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (c->clock_set < 0 ||
		timerfd_settime(c->clock_set,
			TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never,
			NULL) < 0)
		return -errno;
	return 0;
}

static int watch(struct clerk *c)
{
	struct epoll_event e = {.events = EPOLLIN};
	int r;

	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	c->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (c->epoll < 0 || c->wake < 0)
		return -errno;
	r = watch_clock(c);
	if (r == 0 && (epoll_ctl(c->epoll, EPOLL_CTL_ADD, c->wake, &e) < 0 ||
			      epoll_ctl(c->epoll, EPOLL_CTL_ADD, c->clock_set,
				      &e) < 0))
		r = -errno;
	return r;
}

static int open_places(
	struct clerk *c, const struct clerk_options *opt, struct diag *diag)
{
	const struct ledger_options *o = opt->ledger_options;
	const struct anchor_options anchors = {
		.places = o->anchors,
		.metrics = opt->metrics,
		.epoll = c->epoll,
		.program_ns = c->pace.program,
		.done = anchored,
		.arg = c,
	};
	const struct alert_options alerts = {
		.programs = o->alerts,
		.mount_point = c->mount_point,
		.image_id = &opt->mount->image_id,
		.metrics = opt->metrics,
		.epoll = c->epoll,
		.program_ns = c->pace.program,
		.quiet_ns = c->pace.alert,
		.wake = wake_for_alert,
		.failed = alert_failed,
		.arg = c,
	};
	int r = anchors_new(&anchors, &c->anchors, diag);

	if (r == 0)
		r = alerts_new(&alerts, &c->alerts, diag);
	return r < 0 ? r
		     : scrape_new(o->metrics, opt->metrics, c->epoll,
			       &c->scrape, diag);
}

int clerk_new(
	const struct clerk_options *opt, struct clerk **ret, struct diag *diag)
{
	_cleanup_(clerk_free) struct clerk *c = calloc(1, sizeof(*c));
	int r = -ENOMEM;

	if (!c)
		return diag_errno(diag, r, "ledger %s", opt->path);
	c->epoll = c->wake = c->clock_set = -1;
	c->ledger = opt->ledger;
	c->metrics = opt->metrics;
	set_pace(c, opt->pace);
	c->keep = keep_ns(opt->ledger_options->keep_seconds);
	digest_hex(&opt->mount->image_id, c->image_id);
	if (opt->mount->policy)
		digest_hex(opt->mount->policy, c->policy);
	boot_read_id(c->boot_id);
	c->path = strdup(opt->path);
	c->mount_point =
		strdup(opt->mount->mount_point ? opt->mount->mount_point : "");
	if (c->path && c->mount_point)
		r = watch(c);
	if (r < 0)
		return diag_errno(diag, r, "ledger %s", opt->path);
	r = open_places(c, opt, diag);
	if (r < 0)
		return r;
	*ret = take_ptr(c);
	return 0;
}

/* All signals go to the threads that want them. */
static int start_thread(struct clerk *c)
{
	sigset_t all, before;

	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before); /* cannot fail */

	int r = -pthread_create(&c->thread, NULL, run, c);

	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	c->running = r == 0;
	return r;
}

int clerk_begin(struct clerk *c, struct store *store, struct start *found,
	struct diag *diag)
{
	struct store_time now = clerk_now(c);

	c->store = store;
	c->started = now.boot;
	c->clock = now;
	if (found->has_last)
		c->clock = found->last; /* as if that was the last look */

	int r = clerk_begin_ledger(c, found, diag);

	if (r < 0)
		return r;
	c->begun = true;
	clerk_look_at_clock(c, &now);
	r = clerk_seal(c, &now);
	if (r < 0)
		return diag_errno(diag, r,
			"ledger %s: the first checkpoint could not be made",
			c->path);
	atomic_store(&c->awake, true);
	r = start_thread(c);
	return r < 0 ? diag_errno(diag, r, "ledger %s: a thread", c->path) : 0;
}

void clerk_stop(struct clerk *c)
{
	if (!c->running)
		return;
	atomic_store(&c->stop, true);
	wake(c);
	pthread_join(c->thread, NULL); /* cannot fail: it is ours */
	c->running = false;
}

void clerk_finish(struct clerk *c)
{
	struct store_time now = clerk_now(c);
	int64_t end = store_now().boot + c->pace.program;

	if (!c->begun)
		return;
	/* When it fails the last records are unsigned, as after a crash. */
	(void)!clerk_seal(c, &now);
	for (;;) {
		int64_t boot = store_now().boot,
			due = earlier(anchors_tick(c->anchors, boot),
				alerts_tick(c->alerts, boot, &c->last,
					c->key.origin));

		if (due == INT64_MAX || boot >= end)
			break;
		rest(c, earlier(due, end));
	}
	/* A program that failed left an alarm, which is to be signed, too; it
	 * is told only of what failed a moment ago, so not again. */
	now = clerk_now(c);
	(void)!clerk_seal(c, &now);
	measure_files(c);
	(void)!scrape_write(c->scrape, &now); /* nobody is left to tell */
}

static void close_if(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

void clerk_free(struct clerk *c)
{
	if (!c)
		return;
	assert(!c->running);
	scrape_free(c->scrape);
	alerts_free(c->alerts);
	anchors_free(c->anchors);
	if (c->has_key)
		keyfile_done(&c->key);
	close_if(c->clock_set);
	close_if(c->wake);
	close_if(c->epoll);
	free(c->mount_point);
	free(c->path);
	free(c);
}
