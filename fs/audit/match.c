/* SPDX-License-Identifier: Apache-2.0 */
/* Records against a filter; see match.h. */
#include "fs/audit/match.h"

#include <inttypes.h>
#include <string.h>

#include "fs/audit/glob.h"
#include "fs/audit/processes.h"

int match_init(struct match *m, const struct query_filter *filter)
{
	const struct query_filter *f = filter;

	*m = (struct match){
		.filter = *f,
		.by_path = f->path || f->under,
		.by_process = f->exe || f->comm || f->container || f->tree,
	};
	if (f->path)
		glob_init(&m->path, f->path);
	/* "/etc/" and "/etc" are the same folder; "/" holds everything. */
	m->under_len = f->under ? strlen(f->under) : 0;
	while (m->under_len > 0 && f->under[m->under_len - 1] == '/')
		m->under_len--;
	return names_reader_new(&m->names);
}

static void forget_ids(struct match *m)
{
	ids_done(&m->procs);
	ids_done(&m->pids);
	ids_done(&m->mounts);
}

void match_done(struct match *m)
{
	forget_ids(m);
	names_reader_free(m->names);
	*m = (struct match){0};
}

/* ---- processes and mounts ---- */

static void keep_common(struct ids *s, const struct ids *other)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->count; i++)
		if (ids_has(other, s->items[i]))
			s->items[kept++] = s->items[i];
	s->count = kept;
}

static int look_up_processes(struct match *m, struct db *db)
{
	const struct query_filter *f = &m->filter;
	struct ids like = {0};
	int r;

	if (!f->tree)
		return processes_like(db, f, &m->procs);
	r = processes_of_tree(db, f->tree, &m->procs);
	if (r == 0 && (f->exe || f->comm || f->container)) {
		r = processes_like(db, f, &like);
		keep_common(&m->procs, &like);
	}
	ids_done(&like);
	return r;
}

int match_look_up(struct match *m, struct db *db)
{
	const struct query_filter *f = &m->filter;
	int r = 0;

	forget_ids(m);
	if (m->by_process)
		r = look_up_processes(m, db);
	if (r == 0 && f->pid)
		r = processes_of_pid(db, f->pid, &m->pids);
	if (r == 0 && f->has_boot)
		r = processes_mounts(db, f, &m->mounts);
	return r;
}

/* ---- what SQLite compares ---- */

/* Columns of the statements. */
enum {
	SEQ,
	T_REAL,
	MOUNT,
	TID,
	PROC,
	OP,
	PATH,
	PATH2,
	NAMES,
};

/* For each table its name, its number, and what it has of these columns. What
 * is long is read only where paths are asked for. */
static const struct {
	const char *name, *seq, *who, *what;
} tables[QUERY_TABLES] = {
	[QUERY_ATTEMPT] = {"attempt", "seq", "tid, proc_id",
		"op, path, path2, names"},
	[QUERY_FOLD] = {"fold", "id", "tid, proc_id", "op, path, path2, NULL"},
	[QUERY_EVENT] = {"event", "seq", "NULL, NULL",
		"NULL, path, NULL, NULL"},
};

static bool of_process(const struct query_filter *f)
{
	return f->pid || f->tree || f->exe || f->comm || f->container ||
	       f->rule || f->error || f->has_uid;
}

/* Kinds of events that pass, also such as we do not know: all bits. */
static unsigned events_of(const struct query_filter *f)
{
	if (!f->ops && !f->events)
		return of_process(f) ? 0 : ~0u;
	return f->events;
}

bool match_wants(const struct match *m, enum query_table table)
{
	const struct query_filter *f = &m->filter;

	/* Nobody, or no such boot, is known. */
	if (f->has_boot && m->mounts.count == 0)
		return false;
	if (table == QUERY_EVENT)
		return events_of(f) != 0;
	if (m->by_process && m->procs.count == 0)
		return false;
	if (table == QUERY_FOLD && f->closed)
		return false;
	return f->ops || !f->events;
}

static int add_attempt_conditions(struct buf *sql, const struct query_filter *f)
{
	int r = 0;

	if (f->since)
		r = buf_printf(sql, " AND coalesce(t_last, t_real) >= %" PRId64,
			f->since);
	if (r == 0 && f->ops && f->ops != UINT64_MAX)
		r = buf_printf(
			sql, " AND (%" PRId64 " >> op) & 1", (int64_t)f->ops);
	if (r == 0 && f->has_uid)
		r = buf_printf(sql, " AND uid = %u", f->uid);
	if (r == 0 && f->error)
		r = buf_printf(sql, " AND errno = %d", f->error);
	if (r == 0 && f->rule)
		r = buf_printf(sql, " AND rule = ?3");
	return r;
}

static int add_event_conditions(struct buf *sql, const struct query_filter *f)
{
	unsigned events = events_of(f);
	int r = 0;

	if (f->since)
		r = buf_printf(sql, " AND t_real >= %" PRId64, f->since);
	if (r < 0 || events == ~0u)
		return r;
	r = buf_printf(sql, " AND kind IN (NULL");
	for (int i = 0; r == 0 && i < LEDGER_EVENT_COUNT; i++)
		if (events >> i & 1)
			r = buf_printf(sql, ", '%s'", ledger_event_name(i));
	return r < 0 ? r : buf_printf(sql, ")");
}

static int add_select(
	struct buf *sql, const struct match *m, enum query_table table)
{
	const char *seq = tables[table].seq;

	return buf_printf(sql,
		"SELECT %s, t_real, mount_id, %s, %s FROM %s NOT INDEXED"
		" WHERE %s > ?1 AND %s < ?2",
		seq, tables[table].who,
		m->by_path ? tables[table].what : "NULL, NULL, NULL, NULL",
		tables[table].name, seq, seq);
}

int match_prepare(const struct match *m, struct db *db, enum query_table table,
	enum query_order order, struct db_stmt **ret)
{
	const struct query_filter *f = &m->filter;
	_cleanup_buf_ struct buf sql;
	int r;

	buf_init(&sql, QUERY_SQL_MAX);
	r = add_select(&sql, m, table);
	if (r == 0 && f->until)
		r = buf_printf(&sql, " AND t_real <= %" PRId64, f->until);
	if (r == 0)
		r = table == QUERY_EVENT ? add_event_conditions(&sql, f)
					 : add_attempt_conditions(&sql, f);
	if (r == 0)
		r = buf_printf(&sql, " ORDER BY %s %s", tables[table].seq,
			order == QUERY_FORWARD ? "ASC" : "DESC");
	if (r == 0)
		r = buf_add(&sql, "", 1);
	return r < 0 ? r : db_prepare(db, sql.data, ret);
}

void match_bind(const struct match *m, enum query_table table,
	struct db_stmt *s, int64_t after, int64_t before)
{
	db_bind_int(s, after);
	db_bind_int(s, before);
	if (m->filter.rule && table != QUERY_EVENT)
		db_bind_text(s, m->filter.rule);
}

int64_t match_seq(struct db_stmt *s)
{
	return db_int(s, SEQ);
}

/* ---- targets ---- */

static bool is_under(const struct match *m, const char *path, size_t len)
{
	size_t want = m->under_len;

	return len >= want && memcmp(path, m->filter.under, want) == 0 &&
	       (len == want || path[want] == '/');
}

bool match_target(const struct match *m, const char *path, size_t len,
	const char *path2, size_t len2)
{
	const struct query_filter *f = &m->filter;

	if (f->under && !is_under(m, path, len) &&
		!(path2 && is_under(m, path2, len2)))
		return false;
	return !f->path || glob_match(&m->path, path, len) ||
	       (path2 && glob_match(&m->path, path2, len2));
}

static bool is_under_half(const struct match *m)
{
	return !m->filter.path || m->under_len > m->path.prefix;
}

struct match_bytes match_bytes(const struct match *m)
{
	if (is_under_half(m))
		return (struct match_bytes){m->filter.under, m->filter.under,
			m->under_len, m->under_len};
	return (struct match_bytes){
		m->path.text, m->path.run, m->path.prefix, m->path.run_len};
}

bool match_half(const struct match *m, const char *path, size_t len)
{
	return is_under_half(m) ? is_under(m, path, len)
				: glob_match(&m->path, path, len);
}

static int look_at_name(void *arg, const struct names_entry *e)
{
	const struct match *m = arg;

	return match_target(m, e->path, e->len, e->path2, e->len2);
}

/* All targets lie in the folder that is the path of their record, so it need
 * not be unpacked when nothing there can pass. Second paths are elsewhere. */
static bool may_pass(const struct match *m, const struct match_names *n)
{
	static const uint64_t two_paths = UINT64_C(1) << LEDGER_SYMLINK |
					  UINT64_C(1) << LEDGER_LINK |
					  UINT64_C(1) << LEDGER_RENAME;
	struct match_bytes want = match_bytes(m);
	size_t len = want.prefix_len < n->len ? want.prefix_len : n->len;

	if (n->op < 0 || n->op > 63 || two_paths >> n->op & 1)
		return true;
	return len == 0 || memcmp(n->path, want.prefix, len) == 0;
}

int match_malformed(struct match *m, int64_t seq)
{
	return diag_set(&m->diag, -EBADMSG,
		"the names in record %" PRId64 " are malformed: the ledger is "
		"damaged; `stele log verify` says more",
		seq);
}

int match_names(struct match *m, const struct match_names *n)
{
	int r;

	if (!may_pass(m, n))
		return 0;
	r = names_read(
		m->names, n->names, n->names_len, n->t_real, look_at_name, m);
	return r == -EBADMSG ? match_malformed(m, n->seq) : r;
}

static int match_path(struct match *m, struct db_stmt *s)
{
	struct match_names n = {
		.seq = db_int(s, SEQ),
		.t_real = db_int(s, T_REAL),
		.op = db_int(s, OP),
	};
	size_t len2 = 0;
	const char *path2 = db_bytes(s, PATH2, &len2);

	n.path = db_bytes(s, PATH, &n.len);
	n.names = db_bytes(s, NAMES, &n.names_len);
	if (!n.path)
		return 0; /* an event that is of no path */
	if (n.names)
		return match_names(m, &n);
	return match_target(m, n.path, n.len, path2, len2);
}

/* ---- rows ---- */

static bool match_process(const struct match *m, struct db_stmt *s)
{
	const struct query_filter *f = &m->filter;
	bool known = !db_is_null(s, PROC);
	int64_t proc = db_int(s, PROC);

	if (m->by_process && !(known && ids_has(&m->procs, proc)))
		return false;
	return !f->pid || (known && ids_has(&m->pids, proc)) ||
	       db_int(s, TID) == f->pid;
}

int match_row(struct match *m, struct db_stmt *s, enum query_table table)
{
	if (m->filter.has_boot && !ids_has(&m->mounts, db_int(s, MOUNT)))
		return 0;
	if (table != QUERY_EVENT && !match_process(m, s))
		return 0;
	if (!m->by_path || table == QUERY_FOLD)
		return 1;
	return match_path(m, s);
}
