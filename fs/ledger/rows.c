/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that stay as they are. The order of the values in the functions below
 * is the order of the columns in schema.c; see store_internal.h. */
#include "fs/ledger/store_internal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/utsname.h>

#include "fs/base/io.h"

enum { BOOT_ID_LEN = 36, MACHINE_ID_LEN = 32 };

/* INSERT INTO table VALUES(?,?,...), as many as it has columns. */
static int prepare_add(
	struct store *s, const char *table, char letter, struct db_stmt **ret)
{
	char sql[256];
	int count = 0, len;

	(void)record_columns(letter, &count);
	len = snprintf(sql, sizeof(sql), "INSERT INTO %s VALUES(?", table);
	for (int i = 1; i < count; i++)
		len += snprintf(sql + len, sizeof(sql) - (size_t)len, ",?");
	(void)snprintf(sql + len, sizeof(sql) - (size_t)len, ")");
	return db_prepare(s->db, sql, ret);
}

int rows_prepare(struct store *s)
{
	int r = prepare_add(s, "mount", 'm', &s->add_mount);

	if (r == 0)
		r = prepare_add(s, "proc", 'p', &s->add_proc);
	if (r == 0)
		r = prepare_add(s, "node", 'n', &s->add_node);
	if (r == 0)
		r = prepare_add(s, "attempt", 'a', &s->add_attempt);
	if (r == 0)
		r = prepare_add(s, "event", 'e', &s->add_event);
	return r;
}

void rows_done(struct store *s)
{
	db_stmt_free(s->add_mount);
	db_stmt_free(s->add_proc);
	db_stmt_free(s->add_node);
	db_stmt_free(s->add_attempt);
	db_stmt_free(s->add_event);
	free(s->fresh);
}

static void put_if(struct record *r, bool given, int64_t value)
{
	if (given)
		record_int(r, value);
	else
		record_null(r);
}

/* A name; its NUL is not stored. */
static void put_name(struct record *r, const char *name)
{
	record_bytes(r, name, name ? strlen(name) : 0);
}

/* Run the statement of a row that is no leaf itself: its digest. */
static int add_row(struct store *s, struct digest *ret)
{
	int r = db_run(s->record.stmt);

	if (r == 0)
		r = record_end(&s->record);
	if (r == 0)
		hasher_run(s->hasher, s->record.bytes.data, s->record.bytes.len,
			ret);
	return r;
}

/* The same of one that is: into the tree with it. */
static int add_leaf(struct store *s)
{
	const struct buf *bytes = &s->record.bytes;
	struct digest leaf;
	int r = db_run(s->record.stmt);

	if (r == 0)
		r = record_end(&s->record);
	if (r < 0)
		return r;
	merkle_leaf(s->hasher, bytes->data, bytes->len, &leaf);
	return sealing_add(s->sealing, &leaf);
}

/* ---- mount ---- */

/* The first len bytes of a small file as text; "" when there are fewer. */
static void read_id(const char *path, size_t len, char *ret)
{
	_cleanup_close_ int fd =
		open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t n = fd < 0 ? 0 : io_read(fd, ret, len);

	ret[n == (ssize_t)len ? len : 0] = '\0';
}

/* Text of the machine's configuration: NULL instead of what is none. */
static const char *given(const char *text)
{
	return *text ? text : NULL;
}

int rows_add_mount(struct store *s, const struct ledger_mount *m)
{
	char boot_id[BOOT_ID_LEN + 1], machine_id[MACHINE_ID_LEN + 1];
	struct store_time now = store_now();
	struct record *r = &s->record;
	struct utsname host;
	int64_t last;
	int err = db_exec_int(
		s->db, "SELECT coalesce(max(id), 0) FROM mount", &last);

	if (err < 0)
		return err;
	read_id("/proc/sys/kernel/random/boot_id", BOOT_ID_LEN, boot_id);
	read_id("/etc/machine-id", MACHINE_ID_LEN, machine_id);
	if (uname(&host) < 0)
		host.nodename[0] = '\0';

	record_begin(r, s->add_mount, 'm');
	record_int(r, last + 1);
	record_bytes(r, m->image_id.bytes, DIGEST_LEN);
	record_bytes(r, m->tree_id.bytes, DIGEST_LEN);
	put_name(r, m->image_path);
	put_name(r, m->mount_point);
	put_name(r, m->options);
	if (m->policy)
		record_bytes(r, m->policy->bytes, DIGEST_LEN);
	else
		record_null(r);
	record_text(r, m->label);
	record_text(r, m->version);
	record_text(r, given(host.nodename));
	record_text(r, given(machine_id));
	record_text(r, given(boot_id));
	record_int(r, getpid());
	record_int(r, now.real);
	record_int(r, now.boot);
	err = add_row(s, &s->mount_digest);
	if (err == 0)
		s->mount = last + 1;
	return err;
}

/* ---- proc ---- */

static void put_number(struct record *r, struct proc_number n)
{
	put_if(r, n.known, n.value);
}

static void put_bytes(struct record *r, const struct proc_bytes *b)
{
	record_bytes(r, b->data, b->len);
}

static void put_ids(struct record *r, const struct proc_ids *ids)
{
	put_number(r, ids->real);
	put_number(r, ids->effective);
	put_number(r, ids->saved);
	put_number(r, ids->fs);
}

static void put_program(struct record *r, const struct proc_facts *f)
{
	put_bytes(r, &f->exe);
	put_if(r, f->has_exe_file, f->exe_dev_major);
	put_if(r, f->has_exe_file, f->exe_dev_minor);
	put_if(r, f->has_exe_file, (int64_t)f->exe_ino);
	record_bytes(
		r, f->has_exe_digest ? f->exe_digest.bytes : NULL, DIGEST_LEN);
	put_bytes(r, &f->comm);
	put_bytes(r, &f->cmdline);
	record_text(r, f->cmdline_note);
	put_bytes(r, &f->cwd);
	put_bytes(r, &f->cgroup);
	record_text(r, f->container);
	record_text(r, f->runtime);
	record_text(r, f->pod);
}

static void put_rights(struct record *r, const struct proc_facts *f)
{
	put_ids(r, &f->uid);
	put_ids(r, &f->gid);
	record_text(r, f->groups.data);
	put_number(r, f->auid);
	put_number(r, f->ses);
	put_number(r, f->umask);
	put_number(r, f->cap_eff);
	put_number(r, f->seccomp);
	put_number(r, f->no_new_privs);
	put_bytes(r, &f->lsm);
	put_number(r, f->pid_ns);
	put_number(r, f->user_ns);
	put_number(r, f->mnt_ns);
	put_number(r, f->tty);
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
	const struct proc_facts *f = &p->facts;
	struct record *r = &s->record;
	int err = grow_fresh(s);

	if (err < 0)
		return err;
	record_begin(r, s->add_proc, 'p');
	record_int(r, s->last_proc_now + 1);
	put_if(r, p->parent, p->parent ? p->parent->row : 0);
	record_int(r, s->mount);
	record_int(r, sealing_next(s->sealing)); /* its attempt comes next */
	record_int(r, f->key.tgid);
	put_if(r, f->ppid > 0, f->ppid);
	put_number(r, f->vpid);
	record_int(r, (int64_t)f->key.start_ticks);
	record_int(r, (int64_t)f->key.exec_stamp);
	record_int(r, f->start_real);
	put_program(r, f);
	put_rights(r, f);
	record_refer(r, &s->mount_digest);
	record_refer(r, p->parent ? &p->parent->digest : NULL);
	err = add_row(s, &p->digest);
	if (err < 0)
		return err;
	p->row = ++s->last_proc_now;
	sweep_new(p, sealing_next(s->sealing));
	digests_know_proc(s->digests, p->row, &p->digest);
	s->fresh[s->fresh_count++] = proc_ref(p);
	return 0;
}

/* A process goes in before the first attempt that refers to it, its ancestors
 * before it. */
int rows_add_proc(struct store *s, struct proc *p, uint64_t *bytes)
{
	int r = 0;

	while (r == 0 && !p->row) {
		struct proc *top = p;

		while (top->parent && !top->parent->row)
			top = top->parent;
		r = enter(s, top);
		*bytes += s->record.bytes.len;
	}
	return r;
}

void rows_commit_procs(struct store *s)
{
	s->last_proc = s->last_proc_now;
	while (s->fresh_count > 0) {
		struct proc *p = s->fresh[--s->fresh_count];

		/* The row has the link now; the parent may be forgotten. */
		proc_unref(take_ptr(p->parent));
		atomic_store(&p->stored, true);
		sweep_enter(&s->sweep, p);
		proc_unref(p);
	}
}

void rows_abort_procs(struct store *s)
{
	s->last_proc_now = s->last_proc;
	while (s->fresh_count > 0) {
		struct proc *p = s->fresh[--s->fresh_count];

		p->row = 0;
		proc_unref(p);
	}
}

/* ---- node ---- */

int rows_add_node(struct store *s, const struct ledger_attempt *a,
	struct digest *ret, uint64_t *bytes)
{
	const struct ledger_node *n = a->node;
	struct record *r = &s->record;
	int64_t ino = (int64_t)a->ino;
	int err = digests_node(s->digests, s->mount, ino, ret);

	if (err != -ENOENT)
		return err;
	record_begin(r, s->add_node, 'n');
	record_int(r, s->mount);
	record_int(r, ino);
	record_int(r, n->mode);
	record_int(r, n->uid);
	record_int(r, n->gid);
	record_int(r, (int64_t)n->size);
	record_bytes(r, n->has_digest ? n->digest.bytes : NULL, DIGEST_LEN);
	record_refer(r, &s->mount_digest);
	err = add_row(s, ret);
	if (err == 0)
		digests_know_node(s->digests, s->mount, ino, ret);
	*bytes += r->bytes.len;
	return err;
}

/* ---- attempt, event ---- */

void rows_put_attempt(struct record *r, const struct attempt_row *a)
{
	const struct ledger_attempt *w = a->what;
	bool size = w->has & LEDGER_HAS_SIZE, owner = w->has & LEDGER_HAS_OWNER;
	bool times = w->has & LEDGER_HAS_TIMES;

	record_int(r, a->mount);
	record_int(r, a->at.real);
	record_int(r, a->at.boot);
	record_int(r, w->op);
	record_int(r, w->error);
	record_text(r, w->rule);
	record_int(r, w->dac_denied);
	record_bytes(r, a->path, a->path_len);
	put_name(r, a->path2);
	put_if(r, a->has_ino, (int64_t)w->ino);
	put_if(r, a->has_parent_ino, (int64_t)w->ino);
	put_if(r, w->has & LEDGER_HAS_FLAGS, w->flags);
	put_if(r, w->has & LEDGER_HAS_MODE, w->mode);
	put_if(r, size, (int64_t)w->size);
	put_if(r, size, (int64_t)w->off);
	put_if(r, owner && ~w->new_uid, w->new_uid);
	put_if(r, owner && ~w->new_gid, w->new_gid);
	put_if(r, times && w->atime != INT64_MIN, w->atime);
	put_if(r, times && w->mtime != INT64_MIN, w->mtime);
	put_name(r, w->xattr);
	record_int(r, a->proc != 0);
	put_if(r, w->tid > 0, w->tid);
	record_int(r, w->uid);
	record_int(r, w->gid);
	put_if(r, a->proc, a->proc);
	record_int(r, a->count);
	put_if(r, a->count > 1, a->t_last);
	record_bytes(r, a->times, TIMES_LEN);
	record_int(r, a->targets);
}

int rows_add_attempt(struct store *s, const struct ledger_attempt *a,
	const struct store_time *at, struct proc *proc, uint64_t *bytes)
{
	const struct attempt_row row = {
		.mount = s->mount,
		.proc = proc ? proc->row : 0,
		.at = *at,
		.what = a,
		.path = a->path,
		.path2 = a->path2,
		.path_len = strlen(a->path),
		.has_ino = a->node && !a->ino_is_parent,
		.has_parent_ino = a->ino_is_parent,
		.count = 1,
		.targets = 1,
	};
	struct record *rec = &s->record;
	struct digest node;
	int r = row.has_ino ? rows_add_node(s, a, &node, bytes) : 0;

	if (r < 0)
		return r;
	sweep_use(proc, sealing_next(s->sealing));
	record_begin(rec, s->add_attempt, 'a');
	record_int(rec, sealing_next(s->sealing));
	rows_put_attempt(rec, &row);
	record_null(rec); /* names */
	record_refer(rec, &s->mount_digest);
	record_refer(rec, proc ? &proc->digest : NULL);
	record_refer(rec, row.has_ino ? &node : NULL);
	*bytes += rec->bytes.len;
	return add_leaf(s);
}

int rows_add_event(struct store *s, const struct store_event *e,
	const struct store_time *at)
{
	struct record *r = &s->record;

	record_begin(r, s->add_event, 'e');
	record_int(r, sealing_next(s->sealing));
	record_int(r, s->mount);
	record_int(r, at->real);
	record_int(r, at->boot);
	record_text(r, ledger_event_name(e->kind));
	put_name(r, e->path);
	record_text(r, e->text);
	record_int(r, e->count);
	record_refer(r, &s->mount_digest);
	return add_leaf(s);
}
