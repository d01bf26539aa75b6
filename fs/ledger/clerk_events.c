/* SPDX-License-Identifier: Apache-2.0 */
/* What the clerk records of its own accord; texts are JSON. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "fs/base/base64.h"
#include "fs/base/json.h"
#include "fs/ledger/clerk_internal.h"
#include "fs/ledger/work.h"

#define SECOND INT64_C(1000000000)

struct own_event {
	const struct clerk *clerk;
	enum ledger_event kind;
	const char *text;
};

static int store_own(struct store *s, void *arg)
{
	const struct own_event *e = arg;
	const struct store_event event = {
		.kind = e->kind, .text = e->text, .count = 1};
	struct store_time now = clerk_now(e->clerk);

	return store_event(s, &event, &now);
}

/* As work, and not as others' events: what of ours can't be recorded is no loss
 * to tell of. */
static int record(
	struct clerk *c, enum ledger_event kind, const struct buf *text)
{
	struct own_event e = {c, kind, text->data};
	int r = ledger_work(c->ledger, store_own, &e);

	if (r == 0)
		metrics_add(&c->metrics->events[kind], 1);
	return r;
}

/* End the object, and make it a string. */
static int end(struct json *j)
{
	int r = json_end(j);

	return r < 0 ? r : buf_add(j->out, "", 1);
}

/* ---- alarms ---- */

/* Its entry; of others that of the oldest. */
static struct clerk_alarm *find_alarm(struct clerk *c, const char *place)
{
	struct clerk_alarm *oldest = c->alarms;

	for (size_t i = 0; i < ARRAY_LEN(c->alarms); i++) {
		struct clerk_alarm *a = &c->alarms[i];

		if (a->place && strcmp(a->place, place) == 0)
			return a;
		if (a->boot < oldest->boot)
			oldest = a;
	}
	*oldest = (struct clerk_alarm){0};
	return oldest;
}

void clerk_alarm(struct clerk *c, const char *place, const char *why)
{
	_cleanup_buf_ struct buf text = {.max = CLERK_TEXT_MAX};
	struct clerk_alarm *a = find_alarm(c, place);
	struct json j;
	int64_t now = clerk_now(c).boot;

	if (a->place && now - a->boot < c->pace.alarm)
		return;
	json_begin(&j, &text);
	json_text(&j, "place", place);
	json_text(&j, "error", why);
	/* What can't be recorded either shows in the metrics. */
	if (end(&j) == 0 && record(c, LEDGER_EVENT_ALARM, &text) == 0)
		*a = (struct clerk_alarm){place, now};
}

/* ---- signs of life ---- */

static int64_t count(const metrics_count *n)
{
	return (int64_t)atomic_load(n);
}

int clerk_heartbeat(struct clerk *c, const struct store_time *now)
{
	const struct metrics *m = c->metrics;
	_cleanup_buf_ struct buf text = {.max = CLERK_TEXT_MAX};
	struct json j;

	json_begin(&j, &text);
	json_int(&j, "answered", (int64_t)metrics_attempts(m));
	json_int(&j, "delayed", count(&m->delayed));
	json_int(&j, "gaps", count(&m->gap));
	json_int(&j, "lost", count(&m->lost));
	json_text(&j, "image_id", c->image_id);
	json_text(&j, "policy_digest", *c->policy ? c->policy : NULL);
	json_text(&j, "boot_id", *c->boot_id ? c->boot_id : NULL);
	json_int(&j, "uptime_seconds", (now->boot - c->started) / SECOND);

	int r = end(&j);

	return r < 0 ? r : record(c, LEDGER_EVENT_HEARTBEAT, &text);
}

/* ---- the clock ---- */

static void add_time(struct json *j, const char *name, int64_t ns)
{
	time_t sec = (time_t)(ns / SECOND);
	struct tm tm;
	char text[48];

	if (gmtime_r(&sec, &tm) &&
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		json_text(j, name, text);
	else
		json_none(j, name);
}

/*
 * The wall clock less the one that nobody can set changes by what the wall
 * clock was set. A clock that is only slewed goes at most a tenth wrong (what
 * chrony does at its fastest), which is no step. 0: it was not set.
 */
static int64_t jump_of(
	const struct store_time *before, const struct store_time *now)
{
	int64_t passed = now->boot - before->boot,
		jump = now->real - before->real - passed,
		slewed = SECOND + (passed > 0 ? passed / 8 : 0);

	return jump > slewed || jump < -slewed ? jump : 0;
}

void clerk_look_at_clock(struct clerk *c, const struct store_time *now)
{
	_cleanup_buf_ struct buf text = {.max = CLERK_TEXT_MAX};
	/* Seen twice: a thread can be held up between the two clocks. */
	struct store_time again = jump_of(&c->clock, now) ? clerk_now(c) : *now;
	int64_t jump = jump_of(&c->clock, &again);
	struct json j;

	if (!jump) {
		c->clock = again;
		return;
	}
	json_begin(&j, &text);
	add_time(&j, "expected", again.real - jump);
	add_time(&j, "found", again.real);
	json_int(&j, "jump_ns", jump);
	/* If there is no room for it, the next look finds it again. */
	if (end(&j) < 0 || record(c, LEDGER_EVENT_CLOCK, &text) < 0)
		return;
	metrics_add(&c->metrics->clock_steps, 1);
	c->clock = again;
}

/* ---- recovery ---- */

static void add_root(struct json *j, const char *name, const struct digest *d)
{
	char text[BASE64_LEN(DIGEST_LEN) + 1];

	base64_write(d->bytes, DIGEST_LEN, text);
	text[sizeof(text) - 1] = '\0';
	json_text(j, name, text);
}

int clerk_recovery_text(const struct start *f, struct buf *ret)
{
	struct json j;

	json_begin(&j, ret);
	json_text(&j, "what", start_word(f->kind));
	json_text(&j, "found", f->text);
	json_int(&j, "signed_size", (int64_t)f->signed_size);
	if (f->signed_size > 0)
		add_root(&j, "signed_root", &f->signed_root);
	json_int(&j, "size", (int64_t)f->size);
	if (f->size > 0)
		add_root(&j, "root", &f->root);
	if (f->has_key) {
		json_text(&j, "key_origin", f->key.origin);
		json_int(&j, "key_number", (int64_t)f->key.number);
	}
	/* Of a crash it is where it belongs, in the ledger. */
	if (f->note[0] && f->kind != START_CRASH)
		json_text(&j, "checkpoint", f->note);
	return end(&j);
}
