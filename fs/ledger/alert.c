/* SPDX-License-Identifier: Apache-2.0 */
/* Telling programs of attempts; see alert.h. */
#include "fs/ledger/alert.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "fs/base/base64.h"
#include "fs/base/json.h"
#include "fs/ledger/hook.h"

enum {
	ALERT_MAX = 256 << 10, /* bytes of one; two paths of 4096 bytes, each
				* escaped and in base64, are 60 K */
	SETS = 256,
	WAYS = 4,
};

/* What was told of one rule and process. */
struct quiet {
	uint64_t key;
	int64_t until; /* CLOCK_BOOTTIME, ns; 0: free */
	uint64_t suppressed;
};

/* An alert that waits: a JSON object that lacks its last values. */
struct waiting {
	struct buf text;
	uint64_t suppressed;
	struct waiting *next;
};

struct alerts {
	const char *const *programs;
	struct metrics *metrics;
	const char *mount_point;
	char image_id[DIGEST_HEX_LEN + 1];
	int64_t quiet_ns;
	void (*wake)(void *arg);
	void (*failed)(void *arg, const char *place, const char *why);
	void *arg;
	uint64_t salt; /* nobody outside knows which keys collide */

	/* The thread of alerts_tick. */
	struct hook hook;
	struct buf running; /* what the program is told; empty: nothing */
	size_t program;	    /* which one is told */
	atomic_int child;   /* its process; 0: none. Read by all threads */

	pthread_mutex_t lock; /* protects what follows */
	struct quiet quiet[SETS][WAYS];
	struct waiting *head, *tail;
	size_t count;
	uint64_t dropped; /* since the last alert that was told */
};

static const char *path_of(const char *program)
{
	return strncmp(program, "exec:/", 6) == 0 ? program + 5 : NULL;
}

/* ---- how often ---- */

static uint64_t key_of(const struct alerts *a, const struct alert_attempt *x)
{
	struct {
		uint64_t salt, rule, tgid, start, exec;
	} k = {.salt = a->salt,
		.rule = checksum(x->attempt->rule, strlen(x->attempt->rule))};

	if (x->proc) {
		k.tgid = (uint64_t)x->proc->facts.key.tgid;
		k.start = x->proc->facts.key.start_ticks;
		k.exec = x->proc->facts.key.exec_stamp;
	}
	return checksum(&k, sizeof(k));
}

/* Its place in the table; of others the one that is over soonest gives way. */
static struct quiet *find_quiet(struct alerts *a, uint64_t key)
{
	struct quiet *set = a->quiet[key % SETS], *oldest = set;

	for (int i = 0; i < WAYS; i++) {
		if (set[i].key == key)
			return &set[i];
		if (set[i].until < oldest->until)
			oldest = &set[i];
	}
	*oldest = (struct quiet){.key = key};
	return oldest;
}

/* Shall this one be told? If so, how many before it were not. */
static bool admit(
	struct alerts *a, const struct alert_attempt *x, uint64_t *suppressed)
{
	uint64_t key = key_of(a, x);

	pthread_mutex_lock(&a->lock);

	struct quiet *q = find_quiet(a, key);

	bool yes = x->at.boot >= q->until;

	if (yes) {
		*suppressed = q->suppressed;
		q->suppressed = 0;
		q->until = x->at.boot + a->quiet_ns;
	} else {
		q->suppressed++;
	}
	pthread_mutex_unlock(&a->lock);
	if (!yes)
		metrics_add(&a->metrics->alerts_suppressed, 1);
	return yes;
}

/* ---- what is told ---- */

static void add_time(struct json *j, int64_t ns)
{
	time_t sec = (time_t)(ns / 1000000000);
	char day[32], text[64];
	struct tm tm;

	if (!gmtime_r(&sec, &tm) ||
		strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
		json_none(j, "time");
		return;
	}
	(void)snprintf(
		text, sizeof(text), "%s.%09" PRId64 "Z", day, ns % 1000000000);
	json_text(j, "time", text);
}

static void add_process(struct json *j, const struct proc *p)
{
	static const struct proc_facts none = {0};
	const struct proc_facts *f = p ? &p->facts : &none;

	if (p)
		json_int(j, "pid", f->key.tgid);
	else
		json_none(j, "pid");
	json_bytes(j, "comm", f->comm.data, f->comm.len);
	json_bytes(j, "exe", f->exe.data, f->exe.len);
	json_text(j, "container", f->container);
}

/* All but what is known only when it is told. The object stays open. */
static int describe(
	const struct alerts *a, const struct alert_attempt *x, struct buf *ret)
{
	const struct ledger_attempt *t = x->attempt;
	struct json j;

	json_begin(&j, ret);
	if (x->seq)
		json_int(&j, "seq", x->seq);
	else
		json_none(&j, "seq");
	add_time(&j, x->at.real);
	json_text(&j, "op", ledger_op_name(t->op));
	json_text(&j, "path", t->path);
	json_text(&j, "path2", t->path2);
	json_int(&j, "errno", t->error);
	json_text(&j, "rule", t->rule);
	json_int(&j, "uid", t->uid);
	json_int(&j, "gid", t->gid);
	if (t->tid > 0)
		json_int(&j, "tid", t->tid);
	else
		json_none(&j, "tid");
	add_process(&j, x->proc);
	json_text(&j, "mount_point", a->mount_point);
	json_text(&j, "image_id", a->image_id);
	return j.error;
}

static void drop(struct alerts *a)
{
	pthread_mutex_lock(&a->lock);
	a->dropped++;
	pthread_mutex_unlock(&a->lock);
	metrics_add(&a->metrics->alerts_dropped, 1);
}

/* False when there is no room. */
static bool enqueue(struct alerts *a, struct waiting *w)
{

	pthread_mutex_lock(&a->lock);

	bool room = a->count < ALERT_QUEUE;
	if (room) {
		if (a->tail)
			a->tail->next = w;
		else
			a->head = w;
		a->tail = w;
		a->count++;
	}
	pthread_mutex_unlock(&a->lock);
	return room;
}

static void waiting_free(struct waiting *w)
{
	buf_done(&w->text);
	free(w);
}
DEFINE_CLEANUP(waiting_free, struct waiting *);

/* A program that tries to write when it is told would be told of that, and so
 * on for ever. */
static bool is_our_doing(struct alerts *a, const struct proc *p)
{
	int child = atomic_load(&a->child);

	return p && child &&
	       (p->facts.key.tgid == child || p->facts.ppid == child);
}

void alerts_offer(struct alerts *a, const struct alert_attempt *x)
{
	uint64_t suppressed;

	if (!a || is_our_doing(a, x->proc) || !admit(a, x, &suppressed))
		return;

	_cleanup_(waiting_free) struct waiting *w = calloc(1, sizeof(*w));

	if (!w) {
		drop(a);
		return;
	}
	w->suppressed = suppressed;
	buf_init(&w->text, ALERT_MAX);
	if (describe(a, x, &w->text) < 0 || !enqueue(a, w)) {
		drop(a);
		return;
	}
	(void)take_ptr(w); /* the queue's */
	a->wake(a->arg);
}

/* ---- telling ---- */

static int complete(struct buf *text, const struct waiting *w, uint64_t dropped,
	const struct alert_checkpoint *last, const char *origin)
{
	struct json j = {.out = text, .more = true};
	char root[BASE64_LEN(DIGEST_LEN) + 1] = "";

	json_text(&j, "origin", origin);
	json_int(&j, "suppressed", (int64_t)w->suppressed);
	json_int(&j, "dropped", (int64_t)dropped);
	if (last->size) {
		base64_write(last->root.bytes, DIGEST_LEN, root);
		json_open(&j, "checkpoint");
		json_int(&j, "size", (int64_t)last->size);
		json_text(&j, "root", root);
		json_close(&j);
	} else {
		json_none(&j, "checkpoint");
	}

	int r = json_end(&j);

	return r < 0 ? r : buf_add(text, "\n", 1);
}

/* Take the next alert, if there is one, as the one that is told. */
static bool take_next(struct alerts *a, const struct alert_checkpoint *last,
	const char *origin)
{
	pthread_mutex_lock(&a->lock);

	struct waiting *w = a->head;
	uint64_t dropped = w ? a->dropped : 0;

	if (w) {
		a->head = w->next;
		if (!a->head)
			a->tail = NULL;
		a->count--;
		a->dropped = 0;
	}
	pthread_mutex_unlock(&a->lock);
	if (!w)
		return false;
	buf_done(&a->running);
	if (complete(&w->text, w, dropped, last, origin) < 0) {
		drop(a);
	} else {
		a->running = w->text;
		w->text = (struct buf){0};
		a->program = 0;
	}
	waiting_free(w);
	return true;
}

static void ended(struct alerts *a, int r, const char *why)
{
	char text[128];

	metrics_add(
		r < 0 ? &a->metrics->alerts_failed : &a->metrics->alerts_sent,
		1);
	if (r < 0)
		a->failed(a->arg, a->programs[a->program],
			why && *why ? why : strerror_r(-r, text, sizeof(text)));
	if (!a->programs[++a->program])
		buf_done(&a->running);
}

int64_t alerts_tick(struct alerts *a, int64_t boot_ns,
	const struct alert_checkpoint *last, const char *origin)
{
	if (!a)
		return INT64_MAX;
	for (;;) {
		struct diag diag = {0};
		int r = a->hook.pid ? hook_tick(&a->hook, boot_ns, &diag) : 0;

		if (r == 1)
			return a->hook.deadline;
		if (atomic_exchange(&a->child, 0))
			ended(a, r, diag.text);
		if (a->running.len == 0 && !take_next(a, last, origin))
			return INT64_MAX;
		if (a->running.len == 0)
			continue; /* it could not be told */
		r = hook_start(&a->hook, path_of(a->programs[a->program]),
			a->running.data, a->running.len);
		if (r < 0)
			ended(a, r, NULL);
		else
			atomic_store(&a->child, a->hook.pid);
	}
}

/* ---- making ---- */

static int check_programs(const char *const *programs, struct diag *diag)
{
	for (size_t i = 0; programs[i]; i++) {
		const char *path = path_of(programs[i]);

		if (!path)
			return diag_set(diag, -EINVAL,
				"alert %s: give exec:PATH, a path from /",
				programs[i]);
		if (access(path, X_OK) < 0)
			return diag_errno(
				diag, -errno, "alert %s", programs[i]);
	}
	return 0;
}

int alerts_new(
	const struct alert_options *opt, struct alerts **ret, struct diag *diag)
{
	if (!opt->programs || !opt->programs[0]) {
		*ret = NULL;
		return 0;
	}

	int r = check_programs(opt->programs, diag);

	if (r < 0)
		return r;

	struct alerts *a = calloc(1, sizeof(*a));

	if (!a)
		return diag_errno(diag, -ENOMEM, "alerts");
	a->programs = opt->programs;
	a->metrics = opt->metrics;
	a->mount_point = opt->mount_point;
	digest_hex(opt->image_id, a->image_id);
	a->quiet_ns = opt->quiet_ns ? opt->quiet_ns
				    : (int64_t)ALERT_SECONDS * 1000000000;
	a->wake = opt->wake;
	a->failed = opt->failed;
	a->arg = opt->arg;
	hook_init(&a->hook, opt->epoll, opt->program_ns);
	pthread_mutex_init(&a->lock, NULL); /* cannot fail on Linux */
	/* Without it keys collide as anybody can compute: alerts could be
	 * kept quiet, records not. */
	(void)!getrandom(&a->salt, sizeof(a->salt), GRND_NONBLOCK);
	*ret = a;
	return 0;
}

void alerts_free(struct alerts *a)
{
	if (!a)
		return;
	hook_done(&a->hook);
	buf_done(&a->running);
	while (a->head) {
		struct waiting *w = a->head;

		a->head = w->next;
		waiting_free(w);
	}
	pthread_mutex_destroy(&a->lock);
	free(a);
}
