/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of the ledger; see store.h. The order of the values in the functions
 * below is the order of the columns in schema.c. */
#include "fs/ledger/store.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "fs/base/io.h"
#include "fs/db/db.h"
#include "fs/ledger/schema.h"

enum { BOOT_ID_LEN = 36 };

struct store {
	struct db *db;
	struct db_stmt *begin, *commit, *attempt, *event, *proc;
	int64_t mount;		  /* row of this mount */
	int64_t seq, row;	  /* last ones that are committed */
	int64_t seq_now, row_now; /* last ones of the open transaction */
	struct proc **fresh; /* references to the processes it has entered */
	size_t fresh_count, fresh_cap;
};

static int64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t); /* cannot fail for these clocks */
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct store_time store_now(void)
{
	return (struct store_time){
		clock_ns(CLOCK_REALTIME), clock_ns(CLOCK_BOOTTIME)};
}

/* ---- opening ---- */

static int sql_failed(
	struct store *s, int r, const char *path, struct diag *diag)
{
	return diag_set(diag, r, "ledger %s: %s", path, db_error(s->db));
}

/*
 * WAL: one write(2) a commit, and readers are never in the way. NORMAL: that
 * write is all that a commit does, so what is committed survives our death but
 * a power failure may take the last ones; FULL adds an fsync. A checkpoint
 * every 32 MiB instead of 4: it moves each page once, however often the log has
 * it, and small commits write the same page again and again.
 */
static int configure(
	struct store *s, bool fsync, const char *path, struct diag *diag)
{
	_cleanup_(db_stmt_free) struct db_stmt *mode = NULL;
	size_t len;
	int r = db_prepare(s->db, "PRAGMA journal_mode = WAL", &mode);

	if (r == 0)
		r = db_next(mode);
	if (r < 0)
		return sql_failed(s, r, path, diag);

	const char *got = r ? db_bytes(mode, 0, &len) : NULL;

	if (!got || len != 3 || memcmp(got, "wal", 3) != 0)
		return diag_set(diag, -EOPNOTSUPP,
			"ledger %s: its filesystem has no shared memory "
			"mappings, which the log needs; give a file on a local "
			"disk",
			path);
	db_rewind(mode);
	r = db_exec(s->db, fsync ? "PRAGMA synchronous = FULL"
				 : "PRAGMA synchronous = NORMAL");
	if (r == 0)
		r = db_exec(s->db, "PRAGMA wal_autocheckpoint = 8192;"
				   "PRAGMA journal_size_limit = 67108864;"
				   "PRAGMA temp_store = MEMORY");
	return r < 0 ? sql_failed(s, r, path, diag) : 0;
}

static int load_numbers(struct store *s)
{
	int r = db_exec_int(s->db,
		"SELECT max(coalesce((SELECT max(seq) FROM attempt), 0),"
		" coalesce((SELECT max(seq) FROM event), 0))",
		&s->seq);

	return r < 0 ? r
		     : db_exec_int(s->db,
			       "SELECT coalesce(max(id), 0) FROM proc",
			       &s->row);
}

static int prepare(struct store *s)
{
	const struct {
		struct db_stmt **ret;
		const char *sql;
	} all[] = {
		{&s->begin, "BEGIN IMMEDIATE"},
		{&s->commit, "COMMIT"},
		{&s->attempt, "INSERT INTO attempt VALUES("
			      "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,"
			      "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"},
		{&s->event, "INSERT INTO event VALUES(?,?,?,?,?,?,?,?)"},
		{&s->proc, "INSERT INTO proc VALUES("
			   "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,"
			   "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"},
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(all); i++)
		r = db_prepare(s->db, all[i].sql, all[i].ret);
	return r;
}

/* The machine's current boot; "" when the kernel doesn't say. */
static void read_boot_id(char ret[BOOT_ID_LEN + 1])
{
	_cleanup_close_ int fd =
		open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : io_read(fd, ret, BOOT_ID_LEN);

	ret[n == BOOT_ID_LEN ? n : 0] = '\0';
}

static void bind_string(struct db_stmt *s, const char *text)
{
	db_bind_bytes(s, text, text ? strlen(text) : 0);
}

static int add_mount(struct store *s, const struct ledger_mount *m)
{
	_cleanup_(db_stmt_free) struct db_stmt *add = NULL;
	struct store_time now = store_now();
	char boot_id[BOOT_ID_LEN + 1];
	int r = db_prepare(s->db,
		"INSERT INTO mount VALUES(NULL,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
		&add);

	if (r < 0)
		return r;
	read_boot_id(boot_id);
	db_bind_bytes(add, m->image_id.bytes, DIGEST_LEN);
	db_bind_bytes(add, m->tree_id.bytes, DIGEST_LEN);
	bind_string(add, m->image_path);
	bind_string(add, m->mount_point);
	bind_string(add, m->options);
	db_bind_null(add);
	db_bind_text(add, m->label);
	db_bind_text(add, m->version);
	db_bind_null(add);
	db_bind_null(add);
	db_bind_text(add, *boot_id ? boot_id : NULL);
	db_bind_int(add, getpid());
	db_bind_int(add, now.real);
	db_bind_int(add, now.boot);
	r = db_run(add);
	return r < 0 ? r
		     : db_exec_int(
			       s->db, "SELECT last_insert_rowid()", &s->mount);
}

int store_open(const char *path, const struct ledger_mount *mount, bool fsync,
	struct store **ret, struct diag *diag)
{
	_cleanup_(store_close) struct store *s = calloc(1, sizeof(*s));

	if (!s)
		return diag_errno(diag, -ENOMEM, "ledger %s", path);

	int r = db_open(path, 0, &s->db, diag);

	if (r == 0)
		r = schema_check(s->db, path, diag);
	if (r == -ENODATA)
		r = schema_create(s->db, path, diag);
	/* After the tables: so they, and what tells a ledger from another
	 * file, are in the file itself and not only in its log. */
	if (r == 0)
		r = configure(s, fsync, path, diag);
	if (r < 0)
		return r;
	r = load_numbers(s);
	if (r == 0)
		r = prepare(s);
	if (r == 0)
		r = add_mount(s, mount);
	if (r < 0)
		return sql_failed(s, r, path, diag);
	*ret = take_ptr(s);
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	assert(s->fresh_count == 0);
	db_stmt_free(s->begin);
	db_stmt_free(s->commit);
	db_stmt_free(s->attempt);
	db_stmt_free(s->event);
	db_stmt_free(s->proc);
	db_close(s->db);
	free(s->fresh);
	free(s);
}

/* ---- rows ---- */

static void bind_if(struct db_stmt *s, bool given, int64_t value)
{
	if (given)
		db_bind_int(s, value);
	else
		db_bind_null(s);
}

static void bind_number(struct db_stmt *s, struct proc_number n)
{
	bind_if(s, n.known, n.value);
}

static void bind_ids(struct db_stmt *s, const struct proc_ids *ids)
{
	bind_number(s, ids->real);
	bind_number(s, ids->effective);
	bind_number(s, ids->saved);
	bind_number(s, ids->fs);
}

static void bind_facts(struct db_stmt *s, const struct proc_facts *f)
{
	db_bind_int(s, f->key.tgid);
	bind_if(s, f->ppid > 0, f->ppid);
	db_bind_null(s);
	db_bind_int(s, (int64_t)f->key.start_ticks);
	db_bind_int(s, (int64_t)f->key.exec_stamp);
	db_bind_int(s, f->start_real);
	db_bind_bytes(s, f->exe.data, f->exe.len);
	bind_if(s, f->has_exe_file, f->exe_dev_major);
	bind_if(s, f->has_exe_file, f->exe_dev_minor);
	bind_if(s, f->has_exe_file, (int64_t)f->exe_ino);
	db_bind_bytes(
		s, f->has_exe_digest ? f->exe_digest.bytes : NULL, DIGEST_LEN);
	db_bind_bytes(s, f->comm.data, f->comm.len);
	db_bind_bytes(s, f->cmdline.data, f->cmdline.len);
	db_bind_text(s, f->cmdline_note);
	db_bind_bytes(s, f->cwd.data, f->cwd.len);
	db_bind_bytes(s, f->cgroup.data, f->cgroup.len);
	db_bind_null(s);
	db_bind_null(s);
	db_bind_null(s);
	bind_ids(s, &f->uid);
	bind_ids(s, &f->gid);
	db_bind_text(s, f->groups.data);
	bind_number(s, f->auid);
	bind_number(s, f->ses);
	db_bind_null(s);
	bind_number(s, f->cap_eff);
	db_bind_null(s);
	db_bind_null(s);
	db_bind_null(s);
	bind_number(s, f->pid_ns);
	bind_number(s, f->user_ns);
	bind_number(s, f->mnt_ns);
	bind_number(s, f->tty);
}

/* Room for one more fresh process. A batch and a bounded line of ancestors
 * each is the most there can be. */
static int grow_fresh(struct store *s)
{
	if (s->fresh_count < s->fresh_cap)
		return 0;

	size_t cap = s->fresh_cap ? s->fresh_cap * 2 : 64;
	struct proc **more = reallocarray(s->fresh, cap, sizeof(struct proc *));

	if (!more)
		return -ENOMEM;
	s->fresh = more;
	s->fresh_cap = cap;
	return 0;
}

/* Enter one process whose parent is entered, or has none. */
static int enter(struct store *s, struct proc *p)
{
	int r = grow_fresh(s);

	if (r < 0)
		return r;
	db_bind_int(s->proc, s->row_now + 1);
	bind_if(s->proc, p->parent, p->parent ? p->parent->row : 0);
	db_bind_int(s->proc, s->mount);
	db_bind_int(s->proc, s->seq_now + 1); /* the attempt comes next */
	bind_facts(s->proc, &p->facts);
	r = db_run(s->proc);
	if (r < 0)
		return r;
	p->row = ++s->row_now;
	s->fresh[s->fresh_count++] = proc_ref(p);
	return 0;
}

/* A process goes in before the first attempt that refers to it, its ancestors
 * before it. */
static int enter_line(struct store *s, struct proc *p)
{
	int r = 0;

	while (r == 0 && !p->row) {
		struct proc *top = p;

		while (top->parent && !top->parent->row)
			top = top->parent;
		r = enter(s, top);
	}
	return r;
}

int store_attempt(struct store *s, const struct ledger_attempt *a,
	const struct store_time *at, struct proc *proc)
{
	struct db_stmt *add = s->attempt;
	int r = proc ? enter_line(s, proc) : 0;

	if (r < 0)
		return r;
	db_bind_int(add, s->seq_now + 1);
	db_bind_int(add, s->mount);
	db_bind_int(add, at->real);
	db_bind_int(add, at->boot);
	db_bind_int(add, a->op);
	db_bind_int(add, a->error);
	db_bind_text(add, a->rule);
	db_bind_int(add, a->dac_denied);
	bind_string(add, a->path);
	bind_string(add, a->path2);
	bind_if(add, !a->ino_is_parent, (int64_t)a->ino);
	bind_if(add, a->ino_is_parent, (int64_t)a->ino);
	bind_if(add, a->has & LEDGER_HAS_FLAGS, a->flags);
	bind_if(add, a->has & LEDGER_HAS_MODE, a->mode);
	bind_if(add, a->has & LEDGER_HAS_SIZE, (int64_t)a->size);
	bind_if(add, a->has & LEDGER_HAS_SIZE, (int64_t)a->off);
	bind_if(add, a->has & LEDGER_HAS_OWNER && ~a->new_uid, a->new_uid);
	bind_if(add, a->has & LEDGER_HAS_OWNER && ~a->new_gid, a->new_gid);
	bind_if(add, a->has & LEDGER_HAS_TIMES && a->atime != INT64_MIN,
		a->atime);
	bind_if(add, a->has & LEDGER_HAS_TIMES && a->mtime != INT64_MIN,
		a->mtime);
	bind_string(add, a->xattr);
	db_bind_int(add, proc != NULL);
	bind_if(add, a->tid > 0, a->tid);
	db_bind_int(add, a->uid);
	db_bind_int(add, a->gid);
	bind_if(add, proc, proc ? proc->row : 0);
	db_bind_int(add, 1);
	db_bind_null(add);
	db_bind_null(add);
	db_bind_int(add, 1);
	db_bind_null(add);
	r = db_run(add);
	if (r == 0)
		s->seq_now++;
	return r;
}

int store_event(struct store *s, const struct store_event *e,
	const struct store_time *at)
{
	db_bind_int(s->event, s->seq_now + 1);
	db_bind_int(s->event, s->mount);
	db_bind_int(s->event, at->real);
	db_bind_int(s->event, at->boot);
	db_bind_text(s->event, ledger_event_name(e->kind));
	bind_string(s->event, e->path);
	db_bind_text(s->event, e->text);
	db_bind_int(s->event, e->count);

	int r = db_run(s->event);

	if (r == 0)
		s->seq_now++;
	return r;
}

/* ---- transactions ---- */

int store_begin(struct store *s)
{
	assert(s->fresh_count == 0);
	s->seq_now = s->seq;
	s->row_now = s->row;
	return db_run(s->begin);
}

int store_commit(struct store *s)
{
	int r = db_run(s->commit);

	if (r < 0)
		return r;
	s->seq = s->seq_now;
	s->row = s->row_now;
	while (s->fresh_count > 0) {
		struct proc *p = s->fresh[--s->fresh_count];

		/* The row has the link now; the parent may be forgotten. */
		proc_unref(take_ptr(p->parent));
		atomic_store(&p->stored, true);
		proc_unref(p);
	}
	return 0;
}

void store_abort(struct store *s)
{
	db_rollback(s->db);
	while (s->fresh_count > 0) {
		struct proc *p = s->fresh[--s->fresh_count];

		p->row = 0;
		proc_unref(p);
	}
}

int store_reclaim(struct store *s)
{
	int64_t busy = 1;
	int r = db_exec_int(s->db, "PRAGMA wal_checkpoint(RESTART)", &busy);

	if (r == 0 && busy)
		r = -EBUSY;
	return r;
}
