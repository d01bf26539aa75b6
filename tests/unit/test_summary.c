/* SPDX-License-Identifier: Apache-2.0 */
/* Summaries against the plainest way to count, and what is forgotten when there
 * is too much. */
#include "tests/unit/unit.h"

#include <inttypes.h>
#include <string.h>

#include "fs/audit/groups.h"
#include "fs/audit/pairs.h"
#include "fs/audit/summary.h"
#include "tests/lib/prng.h"
#include "tests/unit/query_kit.h"

enum { RECORDS = 900, FOLDS = 4, ALL = RECORDS + FOLDS, PROCESSES = 6 };

#define HOUR INT64_C(3600000000000)
#define T0 (INT64_C(472222) * HOUR) /* an hour begins */

static const char *const comms[] = {NULL, "sh", "cp", "sh", "mv", "cp", NULL};
static const char *const paths[] = {"/a", "/b", "/a/b", "/c", "/dd", "/e e",
	"/f", "/g", "/", "/\xff", "/h", "/i"};

struct world {
	struct made *made;
	struct made_record records[ALL];
	struct made_target targets[ALL][4];
};

static void make_record(struct world *w, struct prng *p, int i)
{
	struct made_record *r = &w->records[i];

	*r = (struct made_record){
		.seq = i < RECORDS ? i + 1 : i - RECORDS + 1,
		.t_real = T0 + (int64_t)prng_below(p, 20) * (HOUR / 4),
		.op = (int64_t)prng_below(p, 4),
		.uid = (int64_t)prng_below(p, 3),
		.proc = (int64_t)prng_below(p, PROCESSES + 1),
		.rule = prng_below(p, 2) ? "image" : "policy",
		.targets = w->targets[i],
		.target_count = prng_below(p, 3) ? 1 : 2 + prng_below(p, 3),
	};
	if (r->target_count > 1)
		r->t_last = r->t_real + 9000000;
	for (size_t n = 0; n < r->target_count; n++)
		w->targets[i][n] = (struct made_target){
			.path = paths[prng_below(p, ARRAY_LEN(paths))],
			.count = 1 + (int64_t)prng_below(p, 9),
			.first = r->t_real + (int64_t)n * 1000,
			.last = r->t_last ? r->t_last - (int64_t)n * 1000
					  : r->t_real,
		};
}

static struct world *make_world(struct made *made)
{
	struct world *w = calloc(1, sizeof(*w));
	struct prng p = {31};

	assert_non_null(w);
	w->made = made;
	for (int i = 1; i <= PROCESSES; i++)
		made_process(made, &(struct made_process){
					   .id = i,
					   .pid = 100 + i / 2,
					   .start = i,
					   .comm = comms[i],
					   .exe = i % 2 ? "/bin/x" : "/bin/y",
					   .container = i == 3 ? "abc" : NULL,
				   });
	made_sql(made, "BEGIN");
	for (int i = 0; i < ALL; i++)
		make_record(w, &p, i);
	for (int i = 0; i < RECORDS; i++)
		made_add(made, &w->records[i]);
	made_sql(made, "COMMIT");
	for (int i = RECORDS; i < ALL; i++)
		made_add_fold(made, &w->records[i]);
	return w;
}

/* ---- counting plainly ---- */

/* What a target is counted under. */
static void key_of(enum summary_by by, const struct made_record *r,
	const struct made_target *t, char ret[64])
{
	const char *comm = comms[r->proc];
	const char *exe = r->proc == 0	? "?"
			  : r->proc % 2 ? "/bin/x"
					: "/bin/y";

	switch (by) {
	case SUMMARY_PATH: (void)snprintf(ret, 64, "%s", t->path); break;
	case SUMMARY_PROGRAM: (void)snprintf(ret, 64, "%s", exe); break;
	case SUMMARY_COMM:
		(void)snprintf(ret, 64, "%s", comm ? comm : "?");
		break;
	case SUMMARY_CONTAINER:
		(void)snprintf(ret, 64, "%s", r->proc == 3 ? "abc" : "?");
		break;
	case SUMMARY_UID: (void)snprintf(ret, 64, "%" PRId64, r->uid); break;
	case SUMMARY_OP:
		(void)snprintf(ret, 64, "%s", ledger_op_name((int)r->op));
		break;
	case SUMMARY_RULE: (void)snprintf(ret, 64, "%s", r->rule); break;
	case SUMMARY_HOUR:
		(void)snprintf(ret, 64, "%" PRId64, t->first / HOUR * HOUR);
		break;
	case SUMMARY_PROCESS:
		if (r->proc == 0)
			(void)snprintf(ret, 64, "?");
		else
			(void)snprintf(ret, 64, "%" PRId64 " %" PRId64,
				100 + r->proc / 2, r->proc);
		break;
	case SUMMARY_COUNT: break;
	}
}

struct plain {
	char key[64];
	int64_t count, first, last, seen, paths;
	bool has_path[ARRAY_LEN(paths)];
};

struct plain_table {
	struct plain groups[64];
	size_t count;
};

static struct plain *plain_group(struct plain_table *t, const char *key)
{
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->groups[i].key, key) == 0)
			return &t->groups[i];
	assert_true(t->count < ARRAY_LEN(t->groups));

	struct plain *g = &t->groups[t->count++];

	*g = (struct plain){
		.first = INT64_MAX, .last = INT64_MIN, .seen = INT64_MAX};
	(void)snprintf(g->key, sizeof(g->key), "%s", key);
	return g;
}

static void add_plainly(struct plain *g, const struct made_target *t)
{
	g->count += t->count;
	if (g->first > t->first)
		g->first = t->first;
	if (g->last < t->last)
		g->last = t->last;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		if (strcmp(t->path, paths[i]) != 0 || g->has_path[i])
			continue;
		g->has_path[i] = true;
		g->paths++;
	}
}

static void count_plainly(const struct world *w, enum summary_by by,
	const struct summary_options *opt, struct plain_table *ret)
{
	const char *under = opt->filter.under;

	*ret = (struct plain_table){0};
	for (int i = 0; i < ALL; i++) {
		const struct made_record *r = &w->records[i];
		int64_t end = r->t_last ? r->t_last : r->t_real;

		for (size_t n = 0; n < r->target_count; n++) {
			const struct made_target *t = &r->targets[n];
			char key[64] = "";

			if (under && strncmp(t->path, under, 2) != 0)
				continue;
			key_of(by, r, t, key);

			struct plain *g = plain_group(ret, key);

			if (g->seen > t->first)
				g->seen = t->first;
			if (end >= opt->filter.since)
				add_plainly(g, t);
		}
	}
}

/* ---- comparing ---- */

static void key_of_group(
	enum summary_by by, const struct summary_group *g, char ret[64])
{
	if (g->key.null)
		(void)snprintf(ret, 64, "?");
	else if (by == SUMMARY_PROCESS)
		(void)snprintf(ret, 64, "%" PRId64 " %" PRId64, g->key.number,
			g->proc_id);
	else if (g->key.bytes)
		(void)snprintf(ret, 64, "%.*s", (int)g->key.len, g->key.bytes);
	else
		(void)snprintf(ret, 64, "%" PRId64, g->key.number);
}

static void compare_table(const struct world *w, enum summary_by by,
	const struct summary *s, const struct summary_options *opt)
{
	const struct summary_table *t = summary_table(s, by);
	static struct plain_table want;
	size_t expected = 0;

	count_plainly(w, by, opt, &want);
	for (size_t i = 0; i < want.count; i++)
		expected += want.groups[i].count > 0 &&
			    want.groups[i].seen >= opt->new_since;
	assert_int_equal(t->distinct, expected);
	assert_int_equal(t->forgotten, 0);
	assert_int_equal(t->count, expected < opt->top ? expected : opt->top);
	for (size_t i = 0; i < t->count; i++) {
		const struct summary_group *g = &t->groups[i];
		char key[64];

		key_of_group(by, g, key);

		const struct plain *p = plain_group(&want, key);

		if (g->count != p->count)
			print_error("table %d: %s: %" PRId64 ", not %" PRId64
				    "\n",
				by, key, g->count, p->count);
		assert_int_equal(g->count, p->count);
		assert_int_equal(g->first, p->first);
		assert_int_equal(g->last, p->last);
		assert_int_equal(g->paths, p->paths);
		assert_false(g->more_paths);
		assert_true(p->seen >= opt->new_since);
		if (i > 0 && by == SUMMARY_HOUR)
			assert_true(
				t->groups[i - 1].key.number < g->key.number);
		else if (i > 0)
			assert_true(t->groups[i - 1].count >= g->count);
	}
}

static void check(struct world *w, const struct summary_options *opt)
{
	struct query *q = made_query(w->made);
	struct summary *s = NULL;
	int r = summary_new(q, opt, &s);

	if (r < 0)
		print_error("%d %s\n", r, query_error(q));
	assert_int_equal(r, 0);
	query_close(q);
	for (int by = 0; by < SUMMARY_COUNT; by++)
		compare_table(w, by, s, opt);
	summary_free(s);
}

#define EVERYTHING ((1u << SUMMARY_COUNT) - 1)

static void test_groups_hold_what_they_say(void **state)
{
	struct world *w = make_world(*state);

	check(w, &(struct summary_options){
			 .by = EVERYTHING, .top = 99, .hours = 99});
	check(w, &(struct summary_options){.by = EVERYTHING,
			 .top = 99,
			 .hours = 99,
			 .filter = {.since = T0 + 3 * HOUR}});
	/* Of a record's targets only those that pass count. */
	check(w, &(struct summary_options){.by = EVERYTHING,
			 .top = 99,
			 .hours = 99,
			 .filter = {.under = "/a"}});
	free(w);
}

static void test_new_means_not_seen_before(void **state)
{
	struct world *w = make_world(*state);
	const struct made_target late = {
		"/late", NULL, 4, T0 + 99 * HOUR, T0 + 99 * HOUR};
	const struct summary_options opt = {.by = 1u << SUMMARY_PATH,
		.top = 99,
		.filter = {.since = T0 + 4 * HOUR},
		.new_since = T0 + 98 * HOUR};
	struct query *q = made_query(*state);
	struct summary *s = NULL;

	check(w, &(struct summary_options){.by = EVERYTHING,
			 .top = 99,
			 .hours = 99,
			 .new_since = T0 + HOUR});
	made_add(*state, &(struct made_record){.seq = 5000,
				 .t_real = late.first,
				 .targets = &late,
				 .target_count = 1});
	assert_int_equal(summary_new(q, &opt, &s), 0);

	const struct summary_table *t = summary_table(s, SUMMARY_PATH);

	assert_int_equal(t->count, 1);
	assert_int_equal(t->groups[0].count, 4);
	assert_memory_equal(t->groups[0].key.bytes, "/late", 5);
	assert_int_equal(summary_table(s, SUMMARY_UID)->count, 0);
	summary_free(s);
	query_close(q);
	free(w);
}

static void test_top_and_last_hours(void **state)
{
	struct world *w = make_world(*state);
	const struct summary_options opt = {
		.by = EVERYTHING, .top = 2, .hours = 3};
	struct query *q = made_query(*state);
	struct summary *s = NULL;

	assert_int_equal(summary_new(q, &opt, &s), 0);

	const struct summary_table *t = summary_table(s, SUMMARY_PATH);

	assert_int_equal(t->count, 2);
	assert_int_equal(t->distinct, ARRAY_LEN(paths));
	assert_true(t->groups[0].count >= t->groups[1].count);
	t = summary_table(s, SUMMARY_HOUR);
	assert_int_equal(t->count, 3);
	assert_int_equal(t->groups[2].key.number, T0 + 4 * HOUR);
	assert_int_equal(t->groups[0].key.number, T0 + 2 * HOUR);
	summary_free(s);
	query_close(q);
	free(w);
}

static void test_totals(void **state)
{
	struct world *w = make_world(*state);
	const struct made_target lost = {NULL, NULL, 17, 0, 0};
	const struct summary_options opt = {.top = 1, .hours = 1};
	struct query *q = made_query(*state);
	struct summary *s = NULL;
	int64_t attempts = 0;

	for (int i = 0; i < ALL; i++)
		attempts += made_count(&w->records[i]);
	made_add(*state, &(struct made_record){.seq = 3000,
				 .kind = "lost",
				 .targets = &lost,
				 .target_count = 1});
	made_add(*state, &(struct made_record){.seq = 3001,
				 .kind = "gap",
				 .targets = &lost,
				 .target_count = 1});
	made_add(*state, &(struct made_record){.seq = 3002, .kind = "damage"});
	assert_int_equal(summary_new(q, &opt, &s), 0);

	const struct summary_totals *t = summary_totals(s);

	assert_int_equal(t->attempts, attempts);
	assert_int_equal(t->records, ALL);
	assert_int_equal(t->lost, 17);
	assert_int_equal(t->gap, 17);
	assert_int_equal(t->damage, 1);
	assert_int_equal(t->first, T0);
	assert_true(t->last > T0 + 4 * HOUR);
	summary_free(s);
	query_close(q);
	free(w);
}

/* ---- too much ---- */

static struct group *get(struct groups *g, int key)
{
	_cleanup_buf_ struct buf b;
	struct group *group = NULL;

	buf_init(&b, 64);
	assert_int_equal(buf_printf(&b, "key %d", key), 0);
	assert_int_equal(groups_get(g, &b, b.len, &group), 0);
	return group;
}

/* No count is too low by more than is said, however often some are forgotten,
 * and what is large enough is still there. */
static void test_what_is_forgotten_is_bounded(void **state)
{
	enum { KEYS = 3000, ADDED = 60000 };
	static int64_t want[KEYS];
	struct groups g = {0};
	struct prng p = {5};

	for (int i = 0; i < ADDED; i++) {
		/* A few keys are met often. */
		int key = (int)(prng_below(&p, 3) ? prng_below(&p, KEYS)
						  : prng_below(&p, 10));

		want[key]++;
		get(&g, key)->count++;
		if (g.count > 1000)
			assert_int_equal(groups_forget(&g), 0);
	}
	assert_true(g.forgotten > 0 && g.forgotten < ADDED / 20);
	assert_int_equal(g.most, 1001);
	for (int key = 0; key < KEYS; key++) {
		int64_t count = get(&g, key)->count;

		assert_true(count <= want[key]);
		assert_true(want[key] - count <= g.forgotten);
	}
	groups_done(&g);
}

static void test_pairs_count_what_is_distinct(void **state)
{
	struct pairs p = {0};

	for (uint64_t i = 0; i < 50000; i++)
		assert_int_equal(pairs_add(&p, i % 7, i / 7 * 3), 1);
	for (uint64_t i = 0; i < 50000; i++)
		assert_int_equal(pairs_add(&p, i % 7, i / 7 * 3), 0);
	assert_int_equal(p.count, 50000);
	pairs_done(&p);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, made_set_up, made_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_groups_hold_what_they_say),
		TEST(test_new_means_not_seen_before),
		TEST(test_top_and_last_hours),
		TEST(test_totals),
		cmocka_unit_test(test_what_is_forgotten_is_bounded),
		cmocka_unit_test(test_pairs_count_what_is_distinct),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
