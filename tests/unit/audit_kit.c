/* SPDX-License-Identifier: Apache-2.0 */
/* A signed ledger made by hand; see audit_kit.h. */
#include "tests/unit/audit_kit.h"

#include <fcntl.h>
#include <string.h>

#include "fs/base/io.h"
#include "fs/db/db.h"
#include "fs/seal/merkle.h"

#define STEP_NS INT64_C(1000000)

static const struct ledger_mount sample_mount = {
	.image_id = {.bytes = {1, 2, 3, 255}},
	.image_path = "/images/app.stele",
	.mount_point = "/mnt",
	.options = "rw,nodev",
	.version = "1.2.3",
};

static void check(int r, const char *what, const char *why)
{
	if (r < 0)
		print_error("%s: %d %s\n", what, r, why);
	assert_true(r >= 0);
}

static void bytes_of(struct proc_bytes *b, const char *text)
{
	b->data = strdup(text);
	assert_non_null(b->data);
	b->len = strlen(text);
}

static struct proc *make_proc(int pid, struct proc *parent)
{
	struct proc *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->facts.key = (struct proc_key){pid, (uint64_t)pid * 100, 7};
	p->facts.ppid = parent ? parent->facts.key.tgid : 0;
	p->facts.start_real = INT64_C(1800000000000000000);
	bytes_of(&p->facts.exe, "/usr/bin/evil");
	bytes_of(&p->facts.comm, "evil\x1b[31m");
	bytes_of(&p->facts.cgroup, "0::/system.slice/evil.service\n");
	p->facts.uid.real = (struct proc_number){true, 1000};
	atomic_init(&p->refs, 1);
	p->parent = parent ? proc_ref(parent) : NULL;
	return p;
}

static void set_meta(struct audit_kit *k)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	char key[NOTE_KEY_MAX];

	assert_int_equal(sign_public(k->seed, k->key.key), 0);
	(void)snprintf(k->key.name, sizeof(k->key.name), "%s", AUDIT_ORIGIN);
	k->first = k->key;
	assert_int_equal(note_key_print(&k->key, key), 0);
	check(db_exec(store_db(k->store),
		      "INSERT INTO meta VALUES('origin', '" AUDIT_ORIGIN "')"),
		"meta", db_error(store_db(k->store)));
	assert_int_equal(db_prepare(store_db(k->store),
				 "INSERT INTO epoch VALUES(0, ?, 0, NULL)", &s),
		0);
	db_bind_text(s, key);
	assert_int_equal(db_run(s), 0);
}

/* An empty database; its pages keep their size. */
static void make_pages(struct audit_kit *k, const char *sql)
{
	assert_true(scratch_write(&k->scratch, "ledger", "", 0));
	if (sql)
		audit_sql(k, sql);
}

static int set_up(void **state, const char *sql)
{
	const struct store_options opt = {0};
	struct audit_kit *k = calloc(1, sizeof(*k));
	struct diag diag = {0};

	if (!k || !scratch_init(&k->scratch))
		return -1;
	(void)scratch_name(&k->scratch, "ledger", k->path);
	(void)scratch_name(&k->scratch, "ledger-key", k->keyfile);
	*state = k;
	make_pages(k, sql);
	check(store_open(k->path, &opt, &k->store, &diag), "open", diag.text);
	k->now = store_now(); /* as of the mount's row */
	for (size_t i = 0; i < ARRAY_LEN(k->procs); i++)
		k->procs[i] =
			make_proc((int)i + 100, i ? k->procs[i - 1] : NULL);
	memset(k->seed, 0x5e, sizeof(k->seed));
	set_meta(k);
	check(store_start(k->store, &sample_mount, &diag), "start", diag.text);
	return 0;
}

int audit_set_up(void **state)
{
	return set_up(state, NULL);
}

int audit_set_up_small(void **state)
{
	return set_up(state, "PRAGMA page_size = 512;"
			     "CREATE TABLE x(y);"
			     "DROP TABLE x");
}

int audit_tear_down(void **state)
{
	struct audit_kit *k = *state;

	audit_close(k);
	for (size_t i = 0; i < ARRAY_LEN(k->procs); i++)
		proc_unref(k->procs[i]);
	scratch_done(&k->scratch);
	free(k);
	return 0;
}

void audit_pass(struct audit_kit *k, int64_t seconds)
{
	k->now.real += seconds * 1000000000;
	k->now.boot += seconds * 1000000000;
}

/* Slow enough that nothing is folded. */
static void attempt(struct audit_kit *k, unsigned n)
{
	static const struct ledger_node node = {
		.mode = 0100644, .size = 12, .has_digest = true};
	uint64_t seq = store_tree(k->store)->size + 1;
	struct store_effect effect;
	char path[64];
	struct ledger_attempt a = {
		.op = n % 2 ? LEDGER_OPEN : LEDGER_MKDIR,
		.error = EPERM,
		.rule = "image",
		.path = path,
		.path2 = n % 5 ? NULL : "/else",
		.ino = 10 + n % 3,
		.node = n % 2 ? &node : NULL,
		.ino_is_parent = n % 2 == 0,
		.has = LEDGER_HAS_FLAGS,
		.flags = n,
		.tid = 100,
		.uid = 1000,
		.gid = 1000,
	};

	(void)snprintf(path, sizeof(path), "/etc/record-%llu",
		(unsigned long long)seq);
	k->now.real += STEP_NS * 10;
	k->now.boot += STEP_NS * 10;
	check(store_begin(k->store), "begin", "");
	check(store_attempt(k->store, &a, &k->now,
		      n % 4 ? k->procs[n % 3] : NULL, &effect),
		"attempt", db_error(store_db(k->store)));
	check(store_commit(k->store), "commit", db_error(store_db(k->store)));
}

void audit_attempts(struct audit_kit *k, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		attempt(k, i + 1);
}

void audit_event(struct audit_kit *k, enum ledger_event kind, const char *text,
	int count)
{
	const struct store_event e = {
		.kind = kind, .text = text, .count = count};

	k->now.real += STEP_NS;
	k->now.boot += STEP_NS;
	check(store_begin(k->store), "begin", "");
	check(store_event(k->store, &e, &k->now), "event",
		db_error(store_db(k->store)));
	check(store_commit(k->store), "commit", db_error(store_db(k->store)));
}

static void fill_note(struct audit_kit *k, enum note_kind kind, struct note *n)
{
	_cleanup_(hasher_free) struct hasher *h = hasher_new();

	*n = (struct note){.kind = kind, .size = store_tree(k->store)->size};
	(void)snprintf(n->origin, sizeof(n->origin), "%s", AUDIT_ORIGIN);
	merkle_root(store_tree(k->store), h, &n->root);
}

void audit_note(struct audit_kit *k, struct buf *ret)
{
	struct note n;

	fill_note(k, NOTE_CHECKPOINT, &n);
	assert_int_equal(note_make(&n, k->seed, ret), 0);
	assert_int_equal(buf_add(ret, "", 1), 0);
}

void audit_sign(struct audit_kit *k)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	_cleanup_buf_ struct buf text;

	buf_init(&text, NOTE_MAX + 1);
	audit_note(k, &text);
	assert_int_equal(db_prepare(store_db(k->store),
				 "INSERT INTO checkpoint VALUES(?, ?, ?)", &s),
		0);
	db_bind_int(s, (int64_t)store_tree(k->store)->size);
	db_bind_int(s, k->now.real);
	db_bind_text(s, text.data);
	assert_int_equal(db_run(s), 0);
}

void audit_next_key(struct audit_kit *k)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	_cleanup_buf_ struct buf text;
	uint8_t seed[SIGN_SEED_LEN];
	char key[NOTE_KEY_MAX];
	struct note n;

	buf_init(&text, NOTE_MAX + 1);
	fill_note(k, NOTE_NEXT_KEY, &n);
	n.number = ++k->number;
	memset(seed, 0x60 + (int)n.number, sizeof(seed));
	n.next = k->key;
	assert_int_equal(sign_public(seed, n.next.key), 0);
	assert_int_equal(note_make(&n, k->seed, &text), 0);
	assert_int_equal(buf_add(&text, "", 1), 0);
	assert_int_equal(note_key_print(&n.next, key), 0);
	assert_int_equal(db_prepare(store_db(k->store),
				 "INSERT INTO epoch VALUES(?, ?, ?, ?)", &s),
		0);
	db_bind_int(s, (int64_t)n.number);
	db_bind_text(s, key);
	db_bind_int(s, (int64_t)n.size);
	db_bind_text(s, text.data);
	assert_int_equal(db_run(s), 0);
	memcpy(k->seed, seed, sizeof(seed));
	k->key = n.next;
}

void audit_fill(struct audit_kit *k)
{
	audit_attempts(k, 300);
	audit_sign(k);
	audit_attempts(k, 99);
	audit_sign(k);
	audit_next_key(k);
	audit_attempts(k, 1);
	audit_sign(k);
	audit_next_key(k);
	audit_attempts(k, AUDIT_LAST - 402);
	audit_event(k, LEDGER_EVENT_UNMOUNT, "unmounted", 1);
	audit_sign(k);
	audit_save(k, "good");
}

void audit_close(struct audit_kit *k)
{
	if (k->store)
		store_close(take_ptr(k->store));
}

void audit_sql(struct audit_kit *k, const char *sql)
{
	_cleanup_(db_close) struct db *db = NULL;

	assert_int_equal(db_open(k->path, 0, &db, NULL), 0);
	check(db_exec(db, sql), sql, db_error(db));
}

static void copy(const char *from, const char *to)
{
	static char bytes[8 << 20];
	_cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int out =
		open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t n = io_read(in, bytes, sizeof(bytes));

	assert_in_range(n, 1, sizeof(bytes) - 1);
	assert_int_equal(io_write(out, bytes, (size_t)n), 0);
}

void audit_save(struct audit_kit *k, const char *name)
{
	char other[SCRATCH_PATH];

	audit_close(k);
	copy(k->path, scratch_name(&k->scratch, name, other));
}

void audit_restore(struct audit_kit *k, const char *name)
{
	char other[SCRATCH_PATH];

	audit_close(k);
	copy(scratch_name(&k->scratch, name, other), k->path);
}

/* ---- verifying ---- */

static void on_found(void *arg, const struct verify_finding *f)
{
	struct audit_kit *k = arg;

	assert_in_range(k->found_count, 0, AUDIT_FOUND_MAX - 1);
	(void)snprintf(
		k->text[k->found_count], sizeof(k->text[0]), "%s", f->text);
	k->found[k->found_count] = *f;
	k->found[k->found_count].text = k->text[k->found_count];
	k->found_count++;
}

int audit_verify(struct audit_kit *k, const struct verify_options *opt)
{
	const struct verify_hooks hooks = {.found = on_found, .arg = k};
	const struct verify_options none = {0};
	struct diag diag = {0};
	int r;

	k->found_count = 0;
	k->result = (struct verify_result){0};
	r = verify_ledger(
		k->path, opt ? opt : &none, &hooks, &k->result, &diag);
	if (r < 0)
		assert_true(diag.text[0] != '\0');
	return r;
}

static void print_all(const struct audit_kit *k)
{
	print_error("verdict %d\n", (int)k->result.kind);
	for (size_t i = 0; i < k->found_count; i++)
		print_error("found %d, %llu to %llu: %s\n",
			(int)k->found[i].kind,
			(unsigned long long)k->found[i].first,
			(unsigned long long)k->found[i].last, k->text[i]);
}

const struct verify_finding *audit_must_find(
	const struct audit_kit *k, enum verify_kind kind, const char *text)
{
	for (size_t i = 0; i < k->found_count; i++) {
		if (k->found[i].kind == kind && strstr(k->text[i], text))
			return &k->found[i];
	}
	print_all(k);
	fail_msg("not found: %d, %s", (int)kind, text);
	return NULL;
}

void audit_must_be(struct audit_kit *k, enum verify_kind kind)
{
	int r = audit_verify(k, NULL);

	assert_int_equal(r, 0);
	if (k->result.kind != kind)
		print_all(k);
	assert_int_equal(k->result.kind, kind);
}
