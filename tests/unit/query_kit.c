/* SPDX-License-Identifier: Apache-2.0 */
/* Ledgers made row by row; see query_kit.h. */
#include "tests/unit/query_kit.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "fs/ledger/names.h"
#include "fs/ledger/schema.h"
#include "tests/unit/unit.h"

#define COLUMNS                                                          \
	"mount_id, t_real, t_boot, op, errno, rule, dac_denied, path,"   \
	" path2, caller_visible, tid, uid, gid, proc_id, count, t_last," \
	" targets"
#define VALUES "?, ?, 0, ?, ?, ?, 0, ?, ?, 1, ?, ?, 0, ?, ?, ?, ?"

static void prepare(struct made *k, const char *sql, struct db_stmt **ret)
{
	int r = db_prepare(k->db, sql, ret);

	if (r < 0)
		print_error("%s: %s\n", sql, db_error(k->db));
	assert_int_equal(r, 0);
}

void made_open(struct made *k)
{
	assert_int_equal(db_open(k->path, 0, &k->db, NULL), 0);
	made_sql(k, "PRAGMA synchronous = OFF");
	prepare(k,
		"INSERT INTO attempt(seq, names, " COLUMNS
		") VALUES(?, ?, " VALUES ")",
		&k->attempt);
	prepare(k, "INSERT INTO fold(id, " COLUMNS ") VALUES(?, " VALUES ")",
		&k->fold);
	prepare(k,
		"INSERT INTO fold_name(fold_id, n, path, path2, parent_ino,"
		" count, t_first, t_last) VALUES(?, ?, ?, ?, 1, ?, ?, ?)",
		&k->fold_name);
	prepare(k,
		"INSERT INTO event(seq, mount_id, t_real, t_boot, kind, path,"
		" text, count) VALUES(?, ?, ?, 0, ?, ?, 'what', ?)",
		&k->event);
}

void made_close(struct made *k)
{
	db_stmt_free(take_ptr(k->attempt));
	db_stmt_free(take_ptr(k->fold));
	db_stmt_free(take_ptr(k->fold_name));
	db_stmt_free(take_ptr(k->event));
	db_close(take_ptr(k->db));
}

static void create(struct made *k)
{
	int fd = open(k->path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	struct db *db = NULL;

	assert_true(fd >= 0);
	(void)close(fd); /* nothing was written through it */
	assert_int_equal(db_open(k->path, 0, &db, NULL), 0);
	assert_int_equal(schema_create(db, k->path, NULL), 0);
	assert_int_equal(db_exec(db, "PRAGMA journal_mode = WAL"), 0);
	db_close(db);
}

int made_set_up(void **state)
{
	struct made *k = calloc(1, sizeof(*k));

	if (!k || !scratch_init(&k->scratch)) {
		free(k);
		return -1;
	}
	*state = k;
	(void)scratch_name(&k->scratch, "ledger", k->path);
	create(k);
	made_open(k);
	assert_int_equal(names_packer_new(&k->packer), 0);
	made_mount(k, 1, "boot-a");
	return 0;
}

int made_tear_down(void **state)
{
	struct made *k = *state;

	made_close(k);
	names_packer_free(k->packer);
	scratch_done(&k->scratch);
	free(k);
	return 0;
}

void made_sql(struct made *k, const char *sql)
{
	int r = db_exec(k->db, sql);

	if (r < 0)
		print_error("%s: %s\n", sql, db_error(k->db));
	assert_int_equal(r, 0);
}

static void run(struct made *k, struct db_stmt *s)
{
	int r = db_run(s);

	if (r < 0)
		print_error("inserting: %s\n", db_error(k->db));
	assert_int_equal(r, 0);
}

void made_mount(struct made *k, int64_t id, const char *boot)
{
	struct db_stmt *s = NULL;

	prepare(k,
		"INSERT INTO mount(id, image_id, boot_id, started,"
		" started_boot) VALUES(?, zeroblob(32), ?, 0, 0)",
		&s);
	db_bind_int(s, id);
	db_bind_text(s, boot);
	run(k, s);
	db_stmt_free(s);
}

static void bind_name(struct db_stmt *s, const char *name)
{
	db_bind_bytes(s, name, name ? strlen(name) : 0);
}

void made_process(struct made *k, const struct made_process *p)
{
	struct db_stmt *s = NULL;

	prepare(k,
		"INSERT INTO proc(id, parent_id, mount_id, first_seq, tgid,"
		" start_ticks, exec_stamp, comm, exe, container)"
		" VALUES(?, nullif(?, 0), ?, 1, ?, ?, 0, ?, ?, ?)",
		&s);
	db_bind_int(s, p->id);
	db_bind_int(s, p->parent);
	db_bind_int(s, p->mount ? p->mount : 1);
	db_bind_int(s, p->pid);
	db_bind_int(s, p->start);
	bind_name(s, p->comm);
	bind_name(s, p->exe);
	db_bind_text(s, p->container);
	run(k, s);
	db_stmt_free(s);
}

int64_t made_count(const struct made_record *r)
{
	int64_t count = 0;

	for (size_t i = 0; i < r->target_count; i++)
		count += r->targets[i].count;
	return count;
}

/* In the order of VALUES. Many targets lie in "/", which is true of all. */
static void bind_record(struct db_stmt *s, const struct made_record *r)
{
	bool many = r->target_count > 1;

	db_bind_int(s, r->mount ? r->mount : 1);
	db_bind_int(s, r->t_real);
	db_bind_int(s, r->op);
	db_bind_int(s, r->error ? r->error : 30);
	db_bind_text(s, r->rule ? r->rule : "image");
	bind_name(s, many ? "/" : r->targets[0].path);
	bind_name(s, many ? NULL : r->targets[0].path2);
	if (r->tid)
		db_bind_int(s, r->tid);
	else
		db_bind_null(s);
	db_bind_int(s, r->uid);
	if (r->proc)
		db_bind_int(s, r->proc);
	else
		db_bind_null(s);
	db_bind_int(s, made_count(r));
	if (r->t_last)
		db_bind_int(s, r->t_last);
	else
		db_bind_null(s);
	db_bind_int(s, (int64_t)r->target_count);
}

static void pack(struct made *k, const struct made_record *r, const void **ret,
	size_t *ret_len)
{
	names_begin(k->packer, r->t_real);
	for (size_t i = 0; i < r->target_count; i++) {
		const struct made_target *t = &r->targets[i];
		const struct names_entry e = {.path = t->path,
			.len = strlen(t->path),
			.path2 = t->path2,
			.len2 = t->path2 ? strlen(t->path2) : 0,
			.count = t->count,
			.t_first = t->first,
			.t_last = t->last};

		assert_int_equal(names_add(k->packer, &e), 0);
	}
	assert_int_equal(names_end(k->packer, ret, ret_len), 0);
}

static void add_event(struct made *k, const struct made_record *r)
{
	db_bind_int(k->event, r->seq);
	db_bind_int(k->event, r->mount ? r->mount : 1);
	db_bind_int(k->event, r->t_real);
	db_bind_text(k->event, r->kind);
	bind_name(k->event, r->target_count ? r->targets[0].path : NULL);
	db_bind_int(k->event, r->target_count ? r->targets[0].count : 1);
	run(k, k->event);
}

void made_add(struct made *k, const struct made_record *r)
{
	const void *names = NULL;
	size_t len = 0;

	if (r->kind) {
		add_event(k, r);
		return;
	}
	if (r->target_count > 1)
		pack(k, r, &names, &len);
	db_bind_int(k->attempt, r->seq);
	db_bind_bytes(k->attempt, names, r->damaged_names ? len / 2 : len);
	bind_record(k->attempt, r);
	run(k, k->attempt);
}

static void add_fold_rows(struct made *k, const struct made_record *r)
{
	db_bind_int(k->fold, r->seq);
	bind_record(k->fold, r);
	run(k, k->fold);
	for (size_t i = 0; i < r->target_count; i++) {
		const struct made_target *t = &r->targets[i];

		db_bind_int(k->fold_name, r->seq);
		db_bind_int(k->fold_name, (int64_t)i);
		bind_name(k->fold_name, t->path);
		bind_name(k->fold_name, t->path2);
		db_bind_int(k->fold_name, t->count);
		db_bind_int(k->fold_name, t->first);
		db_bind_int(k->fold_name, t->last);
		run(k, k->fold_name);
	}
}

void made_add_fold(struct made *k, const struct made_record *r)
{
	made_sql(k, "BEGIN IMMEDIATE");
	add_fold_rows(k, r);
	made_sql(k, "COMMIT");
}

void made_close_fold(struct made *k, const struct made_record *r, int64_t seq)
{
	struct made_record closed = *r;
	char sql[128];

	closed.seq = seq;
	made_sql(k, "BEGIN IMMEDIATE");
	made_add(k, &closed);
	(void)snprintf(sql, sizeof(sql),
		"DELETE FROM fold_name WHERE fold_id = %" PRId64, r->seq);
	made_sql(k, sql);
	(void)snprintf(sql, sizeof(sql), "DELETE FROM fold WHERE id = %" PRId64,
		r->seq);
	made_sql(k, sql);
	made_sql(k, "COMMIT");
}

struct query *made_query(const struct made *k)
{
	struct query *q = NULL;
	struct diag diag = {0};
	int r = query_open(k->path, &q, &diag);

	if (r < 0)
		print_error("query_open: %d %s\n", r, diag.text);
	assert_int_equal(r, 0);
	return q;
}
