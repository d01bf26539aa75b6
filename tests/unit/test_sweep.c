/* SPDX-License-Identifier: Apache-2.0 */
/* fs/ledger/sweep.h: a flood of processes under a limit of size. */
#include <string.h>
#include <sys/stat.h>

#include "fs/db/db.h"
#include "fs/ledger/full.h"
#include "fs/ledger/sweep.h"
#include "tests/lib/prng.h"
#include "tests/unit/audit_kit.h"

#define MIB (UINT64_C(1) << 20)
#define MAX_BYTES (16 * MIB)
#define SECOND INT64_C(1000000000)

enum {
	POOL = 64,	   /* that live at once */
	PROCESSES = 60000, /* all in all */
	BURST = 500,	   /* equal attempts at one moment */
};

struct flood {
	struct audit_kit *k;
	struct full *full; /* closed by tear_down */
	struct prng *random;
	struct proc *pool[POOL];
	int made, answered;
};

static struct flood flood;

static int tear_down(void **state)
{
	full_close(flood.full);
	for (size_t i = 0; i < POOL; i++)
		proc_unref(flood.pool[i]);
	return audit_tear_down(state);
}

static int64_t number(struct audit_kit *k, const char *sql)
{
	int64_t n = -1;

	assert_int_equal(db_exec_int(store_db(k->store), sql, &n), 0);
	return n;
}

static void bytes_of(struct proc_bytes *b, size_t len)
{
	b->data = malloc(len);
	assert_non_null(b->data);
	memset(b->data, 'x', len);
	b->len = len;
}

/* As the table of processes makes one that it has not seen. */
static struct proc *make_proc(struct flood *f, struct proc *parent)
{
	struct proc *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->facts.key = (struct proc_key){++f->made, 1, 1};
	bytes_of(&p->facts.exe, 40);
	bytes_of(&p->facts.cmdline, 700);
	atomic_init(&p->refs, 1);
	p->parent = parent ? proc_ref(parent) : NULL;
	return p;
}

/* Of somebody else's place, or of nobody, in the place of one that ends. The
 * last few live on for long. */
static struct proc *next_proc(struct flood *f)
{
	size_t at = prng_below(f->random, POOL);
	size_t parent = prng_below(f->random, POOL);
	struct proc *p;

	if (f->pool[at] && (at >= POOL - 4 || prng_below(f->random, 3) == 0))
		return f->pool[at];
	p = make_proc(f, f->pool[parent]);
	proc_unref(f->pool[at]);
	f->pool[at] = p;
	return p;
}

static void try(struct flood *f, struct proc *p, unsigned times)
{
	const struct ledger_attempt a = {
		.op = LEDGER_CREATE,
		.error = EPERM,
		.rule = "image",
		.path = "/etc/passwd",
	};
	struct audit_kit *k = f->k;
	struct store_effect effect;

	assert_int_equal(full_room(f->full), 0);
	assert_int_equal(store_begin(k->store), 0);
	for (unsigned i = 0; i < times; i++, f->answered++)
		assert_int_equal(
			store_attempt(k->store, &a, &k->now, p, &effect), 0);
	if (times == 1)
		assert_int_equal(
			store_close_folds(k->store, k->now.boot, false), 0);
	assert_int_equal(store_commit(k->store), 0);
}

static void anchor(struct flood *f)
{
	audit_sign(f->k);
	assert_int_equal(db_exec(store_db(f->k->store),
				 "INSERT INTO anchor SELECT max(size), 'x', 0"
				 " FROM checkpoint"),
		0);
}

static off_t size_of(const struct audit_kit *k, const char *suffix)
{
	char name[SCRATCH_PATH + 8];
	struct stat st;

	(void)snprintf(name, sizeof(name), "%s%s", k->path, suffix);
	assert_int_equal(stat(name, &st), 0);
	return st.st_size;
}

/* Nothing that is there refers to what is gone. */
static void check_references(struct flood *f)
{
	static const char *const dangling[] = {
		"SELECT count(*) FROM attempt WHERE proc_id NOT IN"
		" (SELECT id FROM proc)",
		"SELECT count(*) FROM fold WHERE proc_id NOT IN"
		" (SELECT id FROM proc)",
		"SELECT count(*) FROM proc WHERE parent_id NOT IN"
		" (SELECT id FROM proc)",
	};

	for (size_t i = 0; i < ARRAY_LEN(dangling); i++)
		assert_int_equal(number(f->k, dangling[i]), 0);
	for (size_t i = 0; i < POOL; i++) {
		char sql[96];

		if (!f->pool[i] || !f->pool[i]->row)
			continue;
		(void)snprintf(sql, sizeof(sql),
			"SELECT count(*) FROM proc WHERE id = %lld",
			(long long)f->pool[i]->row);
		assert_int_equal(number(f->k, sql), 1);
	}
	assert_in_range(
		size_of(f->k, "") + size_of(f->k, "-wal"), 1, MAX_BYTES);
}

static void run(struct flood *f)
{
	for (int n = 1; f->made < PROCESSES; n++) {
		f->k->now.real += SECOND / 100;
		f->k->now.boot += SECOND / 100;
		try(f, next_proc(f), n % 700 == 0 ? BURST : 1);
		if (n % 500 == 0)
			anchor(f);
		if (n % 4000 == 0)
			check_references(f);
	}
}

static void test_flood_of_processes(void **state)
{
	const struct ledger_options opt = {
		.max_bytes = MAX_BYTES, .on_full = LEDGER_ROTATE};
	struct prng random = {20261122};
	struct flood *f = &flood;
	struct audit_kit *k = *state;
	struct diag diag = {0};

	*f = (struct flood){.k = k, .random = &random};
	assert_int_equal(
		full_open(k->path, &opt, k->store, &f->full, &diag), 0);
	run(f);
	check_references(f);
	assert_int_equal(number(k, "SELECT count(*) FROM event"
				   " WHERE kind = 'gap'"),
		0);
	assert_true(number(k, "SELECT count(*) FROM event"
			      " WHERE kind = 'prune'") > 2);
	/* They came in the order of their numbers. */
	print_message("%lld rows of processes are left, of %d\n",
		(long long)number(k, "SELECT count(*) FROM proc"), f->made);
	assert_in_range(
		number(k, "SELECT count(*) FROM proc"), 1000, PROCESSES / 3);
	assert_int_equal(
		number(k, "SELECT coalesce((SELECT sum(count) FROM attempt), 0)"
			  " + coalesce((SELECT sum(count) FROM fold), 0)"
			  " + (SELECT sum(count) FROM event"
			  " WHERE kind = 'prune')"),
		f->answered);
	assert_int_equal(store_begin(k->store), 0);
	assert_int_equal(store_close_folds(k->store, k->now.boot, true), 0);
	assert_int_equal(store_commit(k->store), 0);
	audit_sign(k);
	full_close(take_ptr(f->full));
	audit_close(k);
	/* Every leaf that is left can be told anew from its rows. */
	audit_must_be(k, VERIFY_NOTE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_flood_of_processes, audit_set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
