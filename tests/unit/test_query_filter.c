/* SPDX-License-Identifier: Apache-2.0 */
/* Filters of readers against the plainest way to say what they mean, over
 * records, processes and filters that are made at random. */
#include "tests/unit/unit.h"

#include <inttypes.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "tests/lib/prng.h"
#include "tests/unit/query_kit.h"

/* Numbers have gaps, as after retention, so that there are more of them than
 * a reader goes through without a look at its indexes. */
enum { RECORDS = 2000, FOLDS = 6, PROCESSES = 40, GAP = 70, ROUNDS = 600 };

#define T0 INT64_C(1700000000000000000)

struct world {
	struct made *kit;
	struct prng prng;
	struct db_stmt *glob;
	struct made_process processes[PROCESSES + 1];
	struct made_record records[RECORDS + FOLDS];
	struct made_target targets[RECORDS + FOLDS][5];
	char *names[10 * (RECORDS + FOLDS)];
	size_t name_count;
	bool in_tree[PROCESSES + 1];
};

static const char *const boots[] = {"", "boot-a", "boot-a", "b007-b"};

static uint64_t below(struct world *w, uint64_t limit)
{
	return prng_below(&w->prng, limit);
}

/* ---- making it ---- */

static const char *make_name(struct world *w)
{
	static const char *const folders[] = {
		"/", "/etc/", "/etcetera/", "/var/\xc3\xbc/", "/a*b/", "/et/"};
	static const char *const names[] = {"passwd", "x[1]",
		"\xc3\xa9t\xc3\xa9", "q?", "-", "\xf0\x9f\x90\xa7", "a]b", ""};
	char *name = NULL;

	assert_true(
		asprintf(&name, "%s%s%" PRIu64,
			folders[below(w, ARRAY_LEN(folders))],
			names[below(w, ARRAY_LEN(names))], below(w, 12)) > 0);
	w->names[w->name_count++] = name;
	return name;
}

static void make_processes(struct world *w)
{
	static const char *const comms[] = {"sh", "cp", "na me"};
	static const char *const exes[] = {
		"/bin/sh", "/usr/bin/cp", "/usr/bin/\xc3\xbc", NULL};
	static const char *const containers[] = {NULL, "abc123", "abd9", "0f"};

	made_mount(w->kit, 2, boots[2]);
	made_mount(w->kit, 3, boots[3]);
	for (int i = 1; i <= PROCESSES; i++) {
		struct made_process *p = &w->processes[i];

		*p = (struct made_process){
			.id = i,
			/* A parent may also be one that is not there yet. */
			.parent =
				below(w, 4) ? (int64_t)below(w, PROCESSES) : 0,
			.mount = 1 + (int64_t)below(w, 3),
			.pid = 100 + (int64_t)below(w, 15),
			.start = (int64_t)below(w, 3),
			.comm = comms[below(w, ARRAY_LEN(comms))],
			.exe = exes[below(w, ARRAY_LEN(exes))],
			.container =
				containers[below(w, ARRAY_LEN(containers))],
		};
		made_process(w->kit, p);
	}
}

static void make_targets(struct world *w, struct made_record *r, int i)
{
	struct made_target *t = w->targets[i];

	r->targets = t;
	r->target_count = below(w, 6) || r->kind ? 1 : 2 + below(w, 4);
	for (size_t n = 0; n < r->target_count; n++)
		t[n] = (struct made_target){
			.path = make_name(w),
			.path2 = !r->kind && r->op == LEDGER_RENAME
					 ? make_name(w)
					 : NULL,
			.count = 1 + (int64_t)below(w, 5),
			.first = r->t_real,
			.last = r->t_last ? r->t_last : r->t_real,
		};
}

static void make_record(struct world *w, int i, int64_t seq)
{
	static const char *const rules[] = {"image", "policy/etc"};
	static const char *const kinds[] = {
		"damage", "lost", "mount", "heartbeat", "gap"};
	struct made_record *r = &w->records[i];

	*r = (struct made_record){
		.seq = seq,
		.mount = 1 + (int64_t)below(w, 3),
		/* Clocks go backward now and then. */
		.t_real = T0 + i * 1000000 - (int64_t)below(w, 20) * 1000000,
		.op = (int64_t)below(w, 10),
		.error = below(w, 5) ? 30 : 1,
		.tid = 100 + (int64_t)below(w, 15),
		.uid = (int64_t)below(w, 4),
		.proc = (int64_t)below(w, PROCESSES + 1),
		.rule = rules[below(w, 2)],
	};
	if (i < RECORDS && below(w, 10) == 0)
		r->kind = kinds[below(w, ARRAY_LEN(kinds))];
	if (!r->kind && below(w, 3) == 0)
		r->t_last = r->t_real + (int64_t)below(w, 50) * 1000000 + 1;
	make_targets(w, r, i);
}

static void make_world(struct world *w)
{
	int64_t seq = 0;

	make_processes(w);
	made_sql(w->kit, "BEGIN");
	for (int i = 0; i < RECORDS; i++) {
		seq += 1 + (int64_t)below(w, GAP);
		make_record(w, i, seq);
		made_add(w->kit, &w->records[i]);
	}
	made_sql(w->kit, "COMMIT");
	for (int i = 0; i < FOLDS; i++) {
		make_record(w, RECORDS + i, i + 1);
		/* What tells one from another below. */
		w->records[RECORDS + i].t_real =
			T0 + (RECORDS + i) * INT64_C(1000000);
		made_add_fold(w->kit, &w->records[RECORDS + i]);
	}
	assert_int_equal(
		db_prepare(w->kit->db, "SELECT ?1 GLOB ?2", &w->glob), 0);
}

static void forget_world(struct world *w)
{
	db_stmt_free(w->glob);
	for (size_t i = 0; i < w->name_count; i++)
		free(w->names[i]);
	free(w);
}

/* ---- what a filter means ---- */

static bool sqlite_glob(struct world *w, const char *text, const char *glob)
{
	db_bind_text(w->glob, text);
	db_bind_text(w->glob, glob);
	assert_int_equal(db_next(w->glob), 1);

	bool yes = db_int(w->glob, 0);

	db_rewind(w->glob);
	return yes;
}

static bool under(const char *folder, const char *path)
{
	size_t len = strlen(folder);

	while (len > 0 && folder[len - 1] == '/')
		len--;
	return strncmp(path, folder, len) == 0 &&
	       (path[len] == '/' || path[len] == '\0');
}

static bool target_passes(struct world *w, const struct query_filter *f,
	const struct made_target *t)
{
	bool by_glob = !f->path || sqlite_glob(w, t->path, f->path) ||
		       (t->path2 && sqlite_glob(w, t->path2, f->path));
	bool by_under = !f->under || under(f->under, t->path) ||
			(t->path2 && under(f->under, t->path2));

	return by_glob && by_under;
}

static int64_t count_passing(struct world *w, const struct query_filter *f,
	const struct made_record *r)
{
	int64_t count = 0;

	for (size_t i = 0; i < r->target_count; i++)
		if (target_passes(w, f, &r->targets[i]))
			count += r->targets[i].count;
	return count;
}

static bool same_process(
	const struct made_process *a, const struct made_process *b)
{
	return a->pid == b->pid && a->start == b->start &&
	       strcmp(boots[a->mount], boots[b->mount]) == 0;
}

/* Add who descends, or is the same, until nobody is new. */
static void find_tree(struct world *w, pid_t pid)
{
	bool more = true;

	for (int i = 1; i <= PROCESSES; i++)
		w->in_tree[i] = w->processes[i].pid == pid;
	while (more) {
		more = false;
		for (int i = 1; i <= PROCESSES; i++) {
			const struct made_process *p = &w->processes[i];
			bool in = w->in_tree[i] || w->in_tree[p->parent];

			for (int j = 1; j <= PROCESSES && !in; j++)
				in = w->in_tree[j] &&
				     same_process(p, &w->processes[j]);
			more = more || in != w->in_tree[i];
			w->in_tree[i] = in;
		}
	}
}

static bool begins_with(const char *text, const char *beginning)
{
	return text && strncmp(text, beginning, strlen(beginning)) == 0;
}

static bool process_passes(struct world *w, const struct query_filter *f,
	const struct made_record *r)
{
	const struct made_process *p = &w->processes[r->proc];

	if (f->pid && r->tid != f->pid && !(r->proc && p->pid == f->pid))
		return false;
	if (f->tree && !w->in_tree[r->proc])
		return false;
	if (f->exe && !(p->exe && sqlite_glob(w, p->exe, f->exe)))
		return false;
	if (f->comm && !(p->comm && strcmp(p->comm, f->comm) == 0))
		return false;
	return !f->container || begins_with(p->container, f->container);
}

static bool boot_passes(const struct query_filter *f, const char *boot)
{
	if (f->boot_id)
		return strcmp(f->boot_id, "b007") == 0
			       ? *boot == 'b' && boot[1] == '0'
			       : strcmp(boot, "boot-a") == 0;
	return f->boot == 0    ? strcmp(boot, "b007-b") == 0
	       : f->boot == -1 ? strcmp(boot, "boot-a") == 0
			       : false;
}

static bool event_passes(
	const struct query_filter *f, const struct made_record *r)
{
	bool of_process = f->pid || f->tree || f->exe || f->comm ||
			  f->container || f->rule || f->error || f->has_uid;
	enum ledger_event kind;

	if (!f->ops && !f->events)
		return !of_process;
	assert_int_equal(ledger_event_parse(r->kind, &kind), 0);
	return f->events >> kind & 1;
}

static bool passes(struct world *w, const struct query_filter *f,
	const struct made_record *r)
{
	int64_t end = r->t_last ? r->t_last : r->t_real;

	if (f->since && end < f->since)
		return false;
	if (f->until && r->t_real > f->until)
		return false;
	if (f->has_boot && !boot_passes(f, boots[r->mount]))
		return false;
	if ((f->path || f->under) && count_passing(w, f, r) == 0)
		return false;
	if (r->kind)
		return event_passes(f, r);
	if ((f->ops || f->events) && !(f->ops >> r->op & 1))
		return false;
	if ((f->has_uid && r->uid != f->uid) ||
		(f->error && r->error != f->error) ||
		(f->rule && strcmp(r->rule, f->rule) != 0))
		return false;
	return process_passes(w, f, r);
}

/* ---- making filters ---- */

static bool now_and_then(struct world *w)
{
	return below(w, 5) == 0;
}

static void choose_paths(struct world *w, struct query_filter *f)
{
	static const char *const globs[] = {"*", "/etc/*", "*passwd*", "*[0-3]",
		"/etc/passwd1", "/nothing/*", "*x[[]1]*", "/a[*]b/*",
		"*\xc3\xa9*", "?etc?*", "/[^e]*", "*[]]b*", "/*/q[?]1",
		"*[\xc3\xa0-\xc3\xbf]/*", "/et*d1*", "", "*1", "[/]var*7"};
	static const char *const folders[] = {"/", "/etc", "/etc/", "/et",
		"/var/\xc3\xbc", "/a*b", "/etc/-1"};

	if (below(w, 3) == 0)
		f->path = globs[below(w, ARRAY_LEN(globs))];
	if (below(w, 4) == 0)
		f->under = folders[below(w, ARRAY_LEN(folders))];
}

static void choose_processes(struct world *w, struct query_filter *f)
{
	static const char *const exes[] = {
		"*", "/bin/*", "*cp", "/usr/bin/\xc3\xbc", "/none"};
	static const char *const comms[] = {"sh", "cp", "s"};
	static const char *const containers[] = {"a", "abc", "abc123", "ff"};

	if (now_and_then(w))
		f->pid = 100 + (pid_t)below(w, 16);
	if (now_and_then(w)) {
		f->tree = 100 + (pid_t)below(w, 16);
		find_tree(w, f->tree);
	}
	if (now_and_then(w))
		f->exe = exes[below(w, ARRAY_LEN(exes))];
	if (now_and_then(w))
		f->comm = comms[below(w, ARRAY_LEN(comms))];
	if (now_and_then(w))
		f->container = containers[below(w, ARRAY_LEN(containers))];
}

static struct query_filter choose_filter(struct world *w)
{
	static const char *const rules[] = {"image", "policy/etc", "pol"};
	static const char *const boot_ids[] = {"b007", "boot"};
	struct query_filter f = {0};

	choose_paths(w, &f);
	choose_processes(w, &f);
	if (now_and_then(w))
		f.since = T0 + (int64_t)below(w, RECORDS + 200) * 1000000;
	if (now_and_then(w))
		f.until = T0 + (int64_t)below(w, RECORDS + 200) * 1000000;
	if (now_and_then(w))
		f.ops = below(w, 1 << 10);
	if (now_and_then(w))
		f.events = (unsigned)below(w, 1 << LEDGER_EVENT_COUNT);
	if (now_and_then(w)) {
		f.has_uid = true;
		f.uid = (uid_t)below(w, 5);
	}
	if (now_and_then(w))
		f.error = below(w, 2) ? 30 : 1;
	if (now_and_then(w))
		f.rule = rules[below(w, ARRAY_LEN(rules))];
	if (now_and_then(w)) {
		f.has_boot = true;
		f.boot = -(int64_t)below(w, 3);
		if (now_and_then(w))
			f.boot_id = boot_ids[below(w, 2)];
	}
	f.closed = now_and_then(w);
	return f;
}

/* ---- asking ---- */

static const struct made_record *record_of(
	struct world *w, const struct query_row *row)
{
	const struct query_cell *seq = &row->cell[QUERY_SEQ];

	for (int i = seq->null ? RECORDS : 0; i < RECORDS + FOLDS; i++)
		if (seq->null ? w->records[i].t_real ==
					row->cell[QUERY_T_REAL].number
			      : w->records[i].seq == seq->number)
			return &w->records[i];
	fail_msg("a record that there is not");
	return NULL;
}

static int add_target(void *arg, const struct query_target *t)
{
	*(int64_t *)arg += t->count;
	return 0;
}

struct answer {
	const struct made_record *records[RECORDS + FOLDS];
	size_t count;
};

static void ask(struct world *w, struct query *q, const struct query_filter *f,
	enum query_order order, int64_t last, struct answer *ret)
{
	const struct query_row *row;
	int r = query_start(q, f, order, last);

	ret->count = 0;
	while (r >= 0 && (r = query_next(q, &row)) > 0) {
		const struct made_record *record = record_of(w, row);
		int64_t count = 0;

		assert_true(ret->count < RECORDS + FOLDS);
		ret->records[ret->count++] = record;
		if (record->kind)
			continue;
		assert_int_equal(query_targets(q, row, add_target, &count), 0);
		assert_int_equal(count, count_passing(w, f, record));
		assert_int_equal(
			row->cell[QUERY_COUNT].number, made_count(record));
	}
	if (r < 0)
		print_error("%d %s\n", r, query_error(q));
	assert_int_equal(r, 0);
}

static void say(const struct query_filter *f, size_t got, size_t want)
{
	print_error("%zu records, not %zu, for: path %s under %s exe %s comm %s"
		    " container %s rule %s since %" PRId64 " until %" PRId64
		    " ops %" PRIx64 " events %x pid %d tree %d error %d"
		    " uid %d boot %d %" PRId64 " %s closed %d\n",
		got, want, f->path, f->under, f->exe, f->comm, f->container,
		f->rule, f->since, f->until, f->ops, f->events, f->pid, f->tree,
		f->error, f->has_uid ? (int)f->uid : -1, f->has_boot, f->boot,
		f->boot_id, f->closed);
}

static void compare(const struct query_filter *f, const struct answer *got,
	const struct made_record *const *want, size_t count, bool backward)
{
	bool same = got->count == count;

	for (size_t i = 0; same && i < count; i++)
		same = got->records[i] == want[backward ? count - 1 - i : i];
	if (!same)
		say(f, got->count, count);
	assert_true(same);
}

static void try_filter(struct world *w, struct query *q)
{
	static struct answer got, want;
	struct query_filter f = choose_filter(w);

	want.count = 0;
	for (int i = 0; i < RECORDS + FOLDS; i++)
		if ((i < RECORDS || !f.closed) && passes(w, &f, &w->records[i]))
			want.records[want.count++] = &w->records[i];
	ask(w, q, &f, QUERY_FORWARD, -1, &got);
	compare(&f, &got, want.records, want.count, false);
	ask(w, q, &f, QUERY_BACKWARD, -1, &got);
	compare(&f, &got, want.records, want.count, true);

	size_t last = below(w, want.count + 3);
	size_t from = last < want.count ? want.count - last : 0;

	ask(w, q, &f, QUERY_FORWARD, (int64_t)last, &got);
	compare(&f, &got, want.records + from, want.count - from, false);
	ask(w, q, &f, QUERY_BACKWARD, (int64_t)last, &got);
	compare(&f, &got, want.records + from, want.count - from, true);
}

static void test_any_filter_gives_what_it_says(void **state)
{
	const uint64_t seed = 20261122;
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	print_message("seed %" PRIu64 "\n", seed);
	w->kit = *state;
	w->prng.state = seed;
	make_world(w);

	struct query *q = made_query(w->kit);

	for (int i = 0; i < ROUNDS; i++)
		try_filter(w, q);
	query_close(q);
	forget_world(w);
}

/* ---- so many that a reader goes through all of them instead ---- */

static void test_a_pattern_that_most_paths_match(void **state)
{
	const struct query_filter f = {
		.path = "/f*", .has_uid = true, .uid = 7};
	struct made *k = *state;
	const struct query_row *row;
	int64_t count = 0;
	int r;

	made_sql(k,
		"INSERT INTO attempt(seq, mount_id, t_real, t_boot, op,"
		" errno, rule, dac_denied, path, caller_visible, uid, gid,"
		" count, targets) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
		" SELECT i + 1 FROM n WHERE i < 270000) SELECT i, 1, i, 0, 0,"
		" 30, 'image', 0, CAST('/f' || i AS BLOB), 1,"
		" CASE i % 1000 WHEN 0 THEN 7 ELSE 0 END, 0, 1, 1 FROM n");

	struct query *q = made_query(k);

	assert_int_equal(query_start(q, &f, QUERY_FORWARD, -1), 0);
	while ((r = query_next(q, &row)) > 0)
		assert_int_equal(row->cell[QUERY_SEQ].number, ++count * 1000);
	assert_int_equal(r, 0);
	assert_int_equal(count, 270);
	query_close(q);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, made_set_up, made_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_any_filter_gives_what_it_says),
		TEST(test_a_pattern_that_most_paths_match),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
