/* SPDX-License-Identifier: Apache-2.0 */
/* Counters and their text (OpenMetrics 1.0); see metrics.h. */
#include "fs/ledger/metrics.h"

#include <inttypes.h>
#include <string.h>

struct metrics *metrics_new(const struct ledger_mount *mount)
{
	struct metrics *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->mount_point = mount->mount_point;
	m->version = mount->version;
	m->image_id = mount->image_id;

	/* A counter that is there from the start, at 0: who computes rates
	 * then sees the first attempt, too. */
	char *image = strdup("image");

	if (!image) {
		free(m);
		return NULL;
	}
	atomic_init(&m->rules[0].name, image);
	return m;
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < METRICS_RULES; i++)
		free(atomic_load(&m->rules[i].name));
	free(m);
}

struct metrics_place *metrics_add_place(struct metrics *m, const char *name)
{
	if (m->place_count == METRICS_PLACES)
		return NULL;

	struct metrics_place *p = &m->places[m->place_count++];

	p->name = name;
	return p;
}

/* ---- counting ---- */

/* Names are only ever added, each where the first free place was: so whoever
 * meets NULL has seen all names, or sees that another was quicker. */
static metrics_count *find_rule(struct metrics *m, const char *rule)
{
	_cleanup_free_ char *fresh = NULL;

	for (size_t i = 0; i < METRICS_RULES; i++) {
		struct metrics_rule *r = &m->rules[i];
		char *name = atomic_load(&r->name);

		if (!name) {
			fresh = fresh ? fresh : strdup(rule);
			if (!fresh)
				break;
			if (atomic_compare_exchange_strong(
				    &r->name, &name, fresh))
				name = take_ptr(fresh);
		}
		if (strcmp(name, rule) == 0)
			return r->ops;
	}
	return m->other;
}

void metrics_attempt(struct metrics *m, enum ledger_op op, const char *rule)
{
	metrics_add(&find_rule(m, rule)[op], 1);
}

void metrics_wait(struct metrics *m, uint64_t ns)
{
	uint64_t longest = atomic_load(&m->wait_now);

	while (ns > longest &&
		!atomic_compare_exchange_weak(&m->wait_now, &longest, ns))
		;
}

void metrics_turn(struct metrics *m)
{
	atomic_store(&m->wait_last, atomic_exchange(&m->wait_now, 0));
}

uint64_t metrics_attempts(const struct metrics *m)
{
	uint64_t sum = 0;

	for (int op = 0; op < LEDGER_OP_COUNT; op++) {
		sum += atomic_load(&m->other[op]);
		for (size_t i = 0; i < METRICS_RULES; i++)
			sum += atomic_load(&m->rules[i].ops[op]);
	}
	return sum;
}

/* ---- the text ---- */

/* What is being printed; the first failure stays. */
struct text {
	struct buf *out;
	int error;
};

static void format_like(2, 3) say(struct text *t, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);

	int n = vsnprintf(line, sizeof(line), fmt, ap);

	va_end(ap);
	if (t->error == 0)
		t->error = n < 0 || (size_t)n >= sizeof(line)
				   ? -E2BIG
				   : buf_add(t->out, line, (size_t)n);
}

/* The value of a label: ASCII, every other byte and the backslash as \xHH, so
 * that different names stay different and none forges a line. */
static void say_label(struct text *t, const char *value)
{
	say(t, "\"");
	for (const char *p = value; *p; p++) {
		if (*p == '"')
			say(t, "\\\"");
		else if (*p >= 0x20 && *p < 0x7f && *p != '\\')
			say(t, "%c", *p);
		else
			say(t, "\\\\x%02x", (unsigned)(unsigned char)*p);
	}
	say(t, "\"");
}

static void say_head(
	struct text *t, const char *name, const char *type, const char *help)
{
	say(t, "# TYPE stele_%s %s\n# HELP stele_%s %s\n", name, type, name,
		help);
}

static void say_counter(
	struct text *t, const char *name, const char *help, uint64_t value)
{
	say_head(t, name, "counter", help);
	say(t, "stele_%s_total %" PRIu64 "\n", name, value);
}

static void say_gauge(
	struct text *t, const char *name, const char *help, uint64_t value)
{
	say_head(t, name, "gauge", help);
	say(t, "stele_%s %" PRIu64 "\n", name, value);
}

static void say_seconds(struct text *t, const char *name, uint64_t ns)
{
	say(t, "stele_%s %" PRIu64 ".%09" PRIu64 "\n", name, ns / 1000000000,
		ns % 1000000000);
}

/* A clock that was set back must not make an age of 500 years. */
static uint64_t age(int64_t now, int64_t then)
{
	return now > then ? (uint64_t)now - (uint64_t)then : 0;
}

static void say_info(struct text *t, const struct metrics *m)
{
	char hex[DIGEST_HEX_LEN + 1];

	digest_hex(&m->image_id, hex);
	say_head(t, "mount", "info", "What is mounted.");
	say(t, "stele_mount_info{image_id=\"%s\",mount_point=", hex);
	say_label(t, m->mount_point ? m->mount_point : "");
	say(t, ",version=");
	say_label(t, m->version ? m->version : "");
	say(t, "} 1\n");
}

static void say_rule(struct text *t, const char *rule, const metrics_count *ops)
{
	for (int op = 0; op < LEDGER_OP_COUNT; op++) {
		say(t, "stele_attempts_total{op=\"%s\",rule=",
			ledger_op_name((enum ledger_op)op));
		say_label(t, rule);
		say(t, "} %" PRIu64 "\n", atomic_load(&ops[op]));
	}
}

static void say_attempts(struct text *t, const struct metrics *m)
{
	bool full = true;

	say_head(t, "attempts", "counter", "Refused writes that are recorded.");
	for (size_t i = 0; i < METRICS_RULES && full; i++) {
		const char *name = atomic_load(&m->rules[i].name);

		full = name != NULL;
		if (full)
			say_rule(t, name, m->rules[i].ops);
	}
	if (full)
		say_rule(t, "(other)", m->other);
}

static void say_flood(struct text *t, const struct metrics *m)
{
	say_counter(t, "folded", "Attempts that share a record with others.",
		atomic_load(&m->folded));
	say_counter(t, "delayed",
		"Attempts whose answer was held back: too many of one process.",
		atomic_load(&m->delayed));
	say_head(t, "delayed_seconds", "counter",
		"How long answers were held back, summed up.");
	say(t, "# UNIT stele_delayed_seconds seconds\n");
	say_seconds(t, "delayed_seconds_total", atomic_load(&m->delayed_ns));
	say_counter(t, "gap_attempts",
		"Attempts that were only counted: the ledger was full.",
		atomic_load(&m->gap));
	say_counter(t, "lost_attempts",
		"Attempts that could not be recorded; answered with an error.",
		atomic_load(&m->lost));
	say_head(t, "queue_wait_seconds", "gauge",
		"The longest that an attempt waited for its commit lately.");
	say(t, "# UNIT stele_queue_wait_seconds seconds\n");

	uint64_t now = atomic_load(&m->wait_now),
		 last = atomic_load(&m->wait_last);

	say_seconds(t, "queue_wait_seconds", now > last ? now : last);
}

static void say_events(struct text *t, const struct metrics *m)
{
	say_head(t, "events", "counter", "Events in the ledger.");
	for (int kind = 0; kind < LEDGER_EVENT_COUNT; kind++)
		say(t, "stele_events_total{kind=\"%s\"} %" PRIu64 "\n",
			ledger_event_name((enum ledger_event)kind),
			atomic_load(&m->events[kind]));
	say_head(t, "alerts", "counter", "Alerts by what became of them.");
	say(t,
		"stele_alerts_total{result=\"sent\"} %" PRIu64 "\n"
		"stele_alerts_total{result=\"failed\"} %" PRIu64 "\n"
		"stele_alerts_total{result=\"suppressed\"} %" PRIu64 "\n"
		"stele_alerts_total{result=\"dropped\"} %" PRIu64 "\n",
		atomic_load(&m->alerts_sent), atomic_load(&m->alerts_failed),
		atomic_load(&m->alerts_suppressed),
		atomic_load(&m->alerts_dropped));
	say_counter(t, "clock_steps", "How often the wall clock was set.",
		atomic_load(&m->clock_steps));
}

static void say_seal(struct text *t, const struct metrics *m, int64_t now)
{
	int64_t made = atomic_load(&m->checkpoint_time);

	say_gauge(t, "records", "Records in the ledger.",
		atomic_load(&m->records));
	say_gauge(t, "ledger_bytes", "Bytes of the ledger's files.",
		atomic_load(&m->bytes));
	say_gauge(t, "key_number", "Number of the key that signs.",
		atomic_load(&m->key_number));
	say_gauge(t, "checkpoint_records",
		"Records that the last checkpoint vouches for.",
		atomic_load(&m->checkpoint_size));
	say_counter(t, "checkpoint_failures",
		"Checkpoints that could not be made.",
		atomic_load(&m->seal_failed));
	if (!made)
		return;
	say_head(t, "checkpoint_age_seconds", "gauge",
		"Since the last checkpoint.");
	say(t, "# UNIT stele_checkpoint_age_seconds seconds\n");
	say_seconds(t, "checkpoint_age_seconds", age(now, made));
}

static void say_place(struct text *t, const char *name, const char *place)
{
	say(t, "stele_%s{place=", name);
	say_label(t, place);
	say(t, "} ");
}

static void say_anchors(struct text *t, const struct metrics *m, int64_t now)
{
	if (m->place_count == 0)
		return;
	say_head(t, "anchors", "counter", "Checkpoints put in a place.");
	for (size_t i = 0; i < m->place_count; i++) {
		say_place(t, "anchors_total", m->places[i].name);
		say(t, "%" PRIu64 "\n", atomic_load(&m->places[i].done));
	}
	say_head(t, "anchor_failures", "counter",
		"Checkpoints that could not be put in a place.");
	for (size_t i = 0; i < m->place_count; i++) {
		say_place(t, "anchor_failures_total", m->places[i].name);
		say(t, "%" PRIu64 "\n", atomic_load(&m->places[i].failed));
	}
	say_head(t, "anchor_age_seconds", "gauge",
		"Since a checkpoint was last put in a place; none if never.");
	say(t, "# UNIT stele_anchor_age_seconds seconds\n");
	for (size_t i = 0; i < m->place_count; i++) {
		int64_t last = atomic_load(&m->places[i].last);
		uint64_t ns = age(now, last);

		if (!last)
			continue;
		say_place(t, "anchor_age_seconds", m->places[i].name);
		say(t, "%" PRIu64 ".%09" PRIu64 "\n", ns / 1000000000,
			ns % 1000000000);
	}
}

int metrics_print(const struct metrics *m, int64_t now, struct buf *ret)
{
	struct text t = {.out = ret};

	say_info(&t, m);
	say_attempts(&t, m);
	say_flood(&t, m);
	say_events(&t, m);
	say_seal(&t, m, now);
	say_anchors(&t, m, now);
	say(&t, "# EOF\n");
	return t.error;
}
