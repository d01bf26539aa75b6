/* SPDX-License-Identifier: Apache-2.0 */
/* What readers give of records that stand for many attempts, also while these
 * are still being counted, and closed under their eyes. */
#include "tests/unit/unit.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "fs/ledger/names.h"
#include "tests/lib/prng.h"
#include "tests/unit/query_kit.h"

static const struct query_filter everything;

static void same_bytes(const struct query_cell *c, const char *want)
{
	assert_false(c->null);
	assert_int_equal(c->len, strlen(want));
	assert_memory_equal(c->bytes, want, c->len);
}

/* ---- one at a time ---- */

static const struct made_target two[] = {
	{"/etc/ssl/a", NULL, 3, 1000, 4000},
	{"/etc/sslb", "/second", 2, 2000, 9000},
};
static const struct made_target one[] = {{"/bin/x", "/bin/y", 7, 5000, 8000}};

static void add_three(struct made *k)
{
	made_add(k, &(struct made_record){
			    .seq = 1, .targets = one, .target_count = 1});
	made_add_fold(k, &(struct made_record){.seq = 7,
				 .t_real = 1000,
				 .t_last = 9000,
				 .op = LEDGER_RENAME,
				 .targets = two,
				 .target_count = 2});
	made_add_fold(k, &(struct made_record){.seq = 9,
				 .t_real = 5000,
				 .t_last = 8000,
				 .targets = one,
				 .target_count = 1});
}

struct targets {
	int count;
	int64_t attempts;
	char paths[256];
};

static int note_target(void *arg, const struct query_target *t)
{
	struct targets *to = arg;
	size_t len = strlen(to->paths);

	to->count++;
	to->attempts += t->count;
	(void)snprintf(to->paths + len, sizeof(to->paths) - len,
		"%.*s>%.*s@%" PRId64 "-%" PRId64 " ", (int)t->path.len,
		t->path.bytes, (int)t->path2.len, t->path2.bytes, t->first,
		t->last);
	return 0;
}

static void test_open_records_come_last_and_as_if_closed(void **state)
{
	const struct query_row *row;
	struct targets got = {0};

	add_three(*state);

	struct query *q = made_query(*state);

	assert_int_equal(query_start(q, &everything, QUERY_FORWARD, -1), 0);
	assert_int_equal(query_next(q, &row), 1);
	assert_int_equal(row->cell[QUERY_SEQ].number, 1);

	assert_int_equal(query_next(q, &row), 1);
	assert_true(row->cell[QUERY_SEQ].null);
	assert_int_equal(row->cell[QUERY_COUNT].number, 5);
	assert_int_equal(row->cell[QUERY_TARGETS].number, 2);
	assert_int_equal(row->cell[QUERY_T_LAST].number, 9000);
	same_bytes(&row->cell[QUERY_PATH], "/etc");
	assert_true(row->cell[QUERY_PATH2].null);
	assert_int_equal(query_targets(q, row, note_target, &got), 0);
	assert_string_equal(got.paths, "/etc/ssl/a>@1000-4000 "
				       "/etc/sslb>/second@2000-9000 ");

	assert_int_equal(query_next(q, &row), 1);
	assert_true(row->cell[QUERY_SEQ].null);
	same_bytes(&row->cell[QUERY_PATH], "/bin/x");
	same_bytes(&row->cell[QUERY_PATH2], "/bin/y");
	got = (struct targets){0};
	assert_int_equal(query_targets(q, row, note_target, &got), 0);
	assert_string_equal(got.paths, "/bin/x>/bin/y@5000-8000 ");
	assert_int_equal(query_next(q, &row), 0);
	assert_int_equal(query_next(q, &row), 0);
	query_close(q);
}

/* Numbers in the order they come; 0: still being counted. */
static void expect(struct query *q, const struct query_filter *f,
	enum query_order order, int64_t last, const char *want)
{
	const struct query_row *row;
	char got[128] = "";
	int r;

	assert_int_equal(query_start(q, f, order, last), 0);
	while ((r = query_next(q, &row)) > 0) {
		size_t len = strlen(got);

		(void)snprintf(got + len, sizeof(got) - len,
			"%" PRId64 ":%" PRId64 " ", row->cell[QUERY_SEQ].number,
			row->cell[QUERY_COUNT].number);
	}
	assert_int_equal(r, 0);
	assert_string_equal(got, want);
}

static void test_open_records_are_the_newest(void **state)
{
	const struct query_filter closed = {.closed = true};
	const struct query_filter second = {.path = "/second"};
	const struct query_filter folder = {.path = "/etc"};

	add_three(*state);

	struct query *q = made_query(*state);

	expect(q, &everything, QUERY_FORWARD, -1, "1:7 0:5 0:7 ");
	expect(q, &everything, QUERY_BACKWARD, -1, "0:7 0:5 1:7 ");
	expect(q, &everything, QUERY_FORWARD, 1, "0:7 ");
	expect(q, &everything, QUERY_BACKWARD, 2, "0:7 0:5 ");
	expect(q, &everything, QUERY_FORWARD, 3, "1:7 0:5 0:7 ");
	expect(q, &everything, QUERY_FORWARD, 0, "");
	expect(q, &closed, QUERY_FORWARD, -1, "1:7 ");
	expect(q, &second, QUERY_FORWARD, -1, "0:5 ");
	/* The folder of all is nobody's target. */
	expect(q, &folder, QUERY_FORWARD, -1, "");
	query_close(q);
}

static int stop_at_once(void *arg, const struct query_target *t)
{
	return ++*(int *)arg == 1 ? 42 : -EIO;
}

static void test_targets_are_those_of_the_filter(void **state)
{
	const struct query_filter f = {.path = "*b", .under = "/etc"};
	const struct query_row *row;
	struct targets got = {0};
	int calls = 0;

	made_add(*state, &(struct made_record){.seq = 5,
				 .t_real = 1000,
				 .targets = two,
				 .target_count = 2});

	struct query *q = made_query(*state);

	assert_int_equal(query_start(q, &f, QUERY_FORWARD, -1), 0);
	assert_int_equal(query_next(q, &row), 1);
	assert_int_equal(query_targets(q, row, note_target, &got), 0);
	assert_string_equal(got.paths, "/etc/sslb>/second@2000-9000 ");
	assert_int_equal(query_targets(q, row, stop_at_once, &calls), 42);
	assert_int_equal(calls, 1);
	query_close(q);
}

/* ---- while they are written ---- */

enum { ATTEMPTS = 12000, OPEN_MAX = 5, OPEN_TARGETS = 60 };

/*
 * Each attempt has a path of its own, a number, given in the order of the
 * transactions: so at each moment a ledger holds 1 to N.
 */
struct writer {
	struct made *kit;
	struct prng prng;
	struct db_stmt *grow;
	int64_t seq, attempts;
	atomic_llong committed;
	atomic_bool done;
	struct open_fold {
		bool used;
		struct made_record record;
		struct made_target targets[OPEN_TARGETS];
	} open[OPEN_MAX];
	char paths[ATTEMPTS + 1][8];
};

static struct made_target next_target(struct writer *w)
{
	char *path = w->paths[++w->attempts];

	(void)snprintf(path, 8, "/%d", (int)w->attempts);
	return (struct made_target){path, NULL, 1, w->attempts, w->attempts};
}

static void begin_fold(struct writer *w, struct open_fold *o, int64_t id)
{
	o->used = true;
	o->targets[0] = next_target(w);
	/* The number is that of an earlier one: it tells nothing. */
	o->record = (struct made_record){.seq = id,
		.t_real = w->attempts,
		.targets = o->targets,
		.target_count = 1};
	made_add_fold(w->kit, &o->record);
}

static void grow_fold(struct writer *w, struct open_fold *o)
{
	size_t n = o->record.target_count++;
	struct made_target *t = &o->targets[n];
	struct db_stmt *s = w->kit->fold_name;

	*t = next_target(w);
	made_sql(w->kit, "BEGIN IMMEDIATE");
	db_bind_int(w->grow, o->record.seq);
	assert_int_equal(db_run(w->grow), 0);
	db_bind_int(s, o->record.seq);
	db_bind_int(s, (int64_t)n);
	db_bind_bytes(s, t->path, strlen(t->path));
	db_bind_null(s);
	db_bind_int(s, 1);
	db_bind_int(s, t->first);
	db_bind_int(s, t->last);
	assert_int_equal(db_run(s), 0);
	made_sql(w->kit, "COMMIT");
}

static void close_fold(struct writer *w, struct open_fold *o)
{
	made_close_fold(w->kit, &o->record, ++w->seq);
	o->used = false;
}

static void write_something(struct writer *w)
{
	uint64_t which = prng_below(&w->prng, OPEN_MAX);
	struct open_fold *o = &w->open[which];
	struct made_target t;

	if (prng_below(&w->prng, 8) == 0) {
		t = next_target(w);
		made_add(w->kit, &(struct made_record){.seq = ++w->seq,
					 .targets = &t,
					 .target_count = 1});
	} else if (!o->used) {
		begin_fold(w, o, (int64_t)which + 1);
	} else if (o->record.target_count == OPEN_TARGETS ||
		   prng_below(&w->prng, 10) == 0) {
		close_fold(w, o);
	} else {
		grow_fold(w, o);
	}
}

static void *write_all(void *arg)
{
	struct writer *w = arg;

	while (w->attempts < ATTEMPTS) {
		write_something(w);
		atomic_store(&w->committed, w->attempts);
	}
	for (int i = 0; i < OPEN_MAX; i++)
		if (w->open[i].used)
			close_fold(w, &w->open[i]);
	atomic_store(&w->done, true);
	return NULL;
}

static struct writer *begin_writing(struct made *k, pthread_t *ret)
{
	struct writer *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->kit = k;
	w->prng.state = 99;
	assert_int_equal(db_prepare(k->db,
				 "UPDATE fold SET count = count + 1,"
				 " targets = targets + 1 WHERE id = ?",
				 &w->grow),
		0);
	assert_int_equal(pthread_create(ret, NULL, write_all, w), 0);
	return w;
}

static void end_writing(struct writer *w, pthread_t thread)
{
	assert_int_equal(pthread_join(thread, NULL), 0);
	db_stmt_free(w->grow);
	free(w);
}

struct seen {
	uint8_t times[ATTEMPTS + 1];
	int64_t attempts, highest;
};

static int see(void *arg, const struct query_target *t)
{
	struct seen *s = arg;
	int64_t number = 0;

	for (size_t i = 1; i < t->path.len; i++)
		number = number * 10 + (t->path.bytes[i] - '0');
	assert_in_range(number, 1, ATTEMPTS);
	if (s->times[number]++)
		fail_msg("attempt %" PRId64 " twice", number);
	s->attempts += t->count;
	if (s->highest < number)
		s->highest = number;
	return 0;
}

static void see_all(struct query *q, struct seen *s)
{
	const struct query_row *row;
	int r;

	while ((r = query_next(q, &row)) > 0)
		assert_int_equal(query_targets(q, row, see, s), 0);
	if (r < 0)
		print_error("%d %s\n", r, query_error(q));
	assert_int_equal(r, 0);
}

static void test_an_answer_misses_nothing_and_doubles_nothing(void **state)
{
	pthread_t thread;
	struct query *q = made_query(*state);
	struct writer *w = begin_writing(*state, &thread);
	static struct seen s;
	int answers = 0;
	bool done;

	do {
		int64_t before = atomic_load(&w->committed);
		enum query_order order =
			answers++ % 2 ? QUERY_BACKWARD : QUERY_FORWARD;

		done = atomic_load(&w->done);
		s = (struct seen){0};
		assert_int_equal(query_start(q, &everything, order, -1), 0);
		see_all(q, &s);
		/* 1 to N, each once; nothing that was there is missing. */
		assert_int_equal(s.attempts, s.highest);
		assert_true(s.highest >= before);
	} while (!done);
	print_message("%d answers\n", answers);
	assert_true(answers > 2);
	assert_int_equal(s.attempts, ATTEMPTS);
	query_close(q);
	end_writing(w, thread);
}

static void test_who_follows_sees_each_attempt_once(void **state)
{
	const struct query_filter closed = {.closed = true};
	pthread_t thread;
	struct query *q = made_query(*state);
	struct writer *w = begin_writing(*state, &thread);
	static struct seen s;
	bool done;
	int r;

	s = (struct seen){0};
	assert_int_equal(query_start(q, &closed, QUERY_FORWARD, -1), 0);
	see_all(q, &s);
	do {
		done = atomic_load(&w->done);
		r = query_more(q);
		if (r > 0)
			see_all(q, &s);
		assert_true(r >= 0);
	} while (!done);
	assert_int_equal(s.attempts, ATTEMPTS);
	query_close(q);
	end_writing(w, thread);
}

/* ---- ledgers that no mount wrote ---- */

static int run(struct query *q, const struct query_filter *f)
{
	const struct query_row *row;
	struct targets t = {0};
	int r = query_start(q, f, QUERY_FORWARD, -1);

	while (r >= 0 && (r = query_next(q, &row)) > 0)
		r = query_targets(q, row, note_target, &t);
	return r;
}

static void test_malformed_names_are_said_with_their_record(void **state)
{
	const struct query_filter by_path = {.path = "*x*"};
	struct made *k = *state;

	add_three(k);
	/* Far apart, so that one filter goes by the index of names. */
	made_add(k, &(struct made_record){.seq = 123456,
			    .targets = two,
			    .target_count = 2,
			    .damaged_names = true});

	struct query *q = made_query(k);

	assert_int_equal(run(q, &everything), -EBADMSG);
	assert_non_null(strstr(query_error(q), "record 123456 "));
	assert_int_equal(run(q, &by_path), -EBADMSG);
	assert_non_null(strstr(query_error(q), "record 123456 "));
	query_close(q);
}

static void test_more_than_an_open_record_may_hold(void **state)
{
	struct made *k = *state;

	add_three(k);
	made_sql(k,
		"INSERT INTO fold_name(fold_id, n, path, count, t_first,"
		" t_last) WITH RECURSIVE c(i) AS (SELECT 10 UNION ALL SELECT"
		" i + 1 FROM c WHERE i < 6000) SELECT 7, i, x'2f', 1, 0, 0"
		" FROM c");

	struct query *q = made_query(k);

	assert_int_equal(run(q, &everything), -EBADMSG);
	assert_non_null(strstr(query_error(q), "open record 7 "));
	made_sql(k, "DELETE FROM fold_name WHERE n >= 4096");
	assert_int_equal(run(q, &everything), 0);
	made_sql(k, "UPDATE fold_name SET count = 0 WHERE n = 20");
	assert_int_equal(run(q, &everything), -EBADMSG);
	query_close(q);
}

static void test_more_open_records_than_there_may_be(void **state)
{
	struct made *k = *state;

	add_three(k);
	made_sql(k, "INSERT INTO fold SELECT i, mount_id, t_real, t_boot, op,"
		    " errno, rule, dac_denied, path, path2, ino, parent_ino,"
		    " flags, mode, size, off, new_uid, new_gid, atime, mtime,"
		    " xattr, caller_visible, tid, uid, gid, proc_id, count,"
		    " t_last, times, targets FROM fold, (WITH RECURSIVE c(i) AS"
		    " (SELECT 100 UNION ALL SELECT i + 1 FROM c WHERE i < 5000)"
		    " SELECT i FROM c) WHERE id = 9");

	struct query *q = made_query(k);

	assert_int_equal(run(q, &everything), -E2BIG);
	assert_non_null(strstr(query_error(q), "open records"));
	/* These have no targets of their own: the row says it. */
	made_sql(k, "DELETE FROM fold WHERE id > 100");
	assert_int_equal(run(q, &everything), 0);
	expect(q, &(struct query_filter){.path = "/bin/y"}, QUERY_FORWARD, -1,
		"1:7 0:7 0:7 ");
	query_close(q);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, made_set_up, made_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_open_records_come_last_and_as_if_closed),
		TEST(test_open_records_are_the_newest),
		TEST(test_targets_are_those_of_the_filter),
		TEST(test_an_answer_misses_nothing_and_doubles_nothing),
		TEST(test_who_follows_sees_each_attempt_once),
		TEST(test_malformed_names_are_said_with_their_record),
		TEST(test_more_than_an_open_record_may_hold),
		TEST(test_more_open_records_than_there_may_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
