/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at a ledger before going on with it; see start.h. */
#include "fs/ledger/start.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>

#include "fs/base/boot.h"
#include "fs/db/db.h"
#include "fs/ledger/digests.h"
#include "fs/ledger/schema.h"
#include "fs/ledger/sealing.h"
#include "fs/ledger/start_tail.h"

/* What a check works with. */
struct check {
	const char *path;
	struct start *s;
	struct db *db;
	struct digests *digests;
	struct sealing *tree;
	int64_t recovered; /* number of the last record of a recovery */
};

const char *start_word(enum start_kind kind)
{
	static const char *const words[] = {
		[START_NEW] = "new",
		[START_FINE] = "fine",
		[START_CRASH] = "crash",
		[START_LOST] = "lost",
		[START_NO_KEY] = "no key",
		[START_OTHER_KEY] = "other key",
		[START_CUT] = "cut",
		[START_ROLLED_BACK] = "rolled back",
		[START_EDITED] = "edited",
	};

	return words[kind];
}

/* Note what was found; the first fault is the one that is told. */
static void format_like(3, 4)
	find(struct check *c, enum start_kind kind, const char *fmt, ...)
{
	va_list ap;

	if (c->s->kind > START_CRASH)
		return;
	c->s->kind = kind;
	va_start(ap, fmt);
	(void)vsnprintf(c->s->text, sizeof(c->s->text), fmt, ap);
	va_end(ap);
}

static bool is_fault(const struct check *c)
{
	return c->s->kind > START_CRASH;
}

static int sql_failed(struct check *c, int r, struct diag *diag)
{
	return r < 0 ? diag_set(diag, r, "ledger %s: %s", c->path,
			       db_error(c->db))
		     : 0;
}

/* ---- what the ledger says of itself ---- */

static int take_text(struct db_stmt *s, int column, char *ret, size_t room)
{
	size_t len;
	const char *text = db_bytes(s, column, &len);

	if (!text || len >= room || memchr(text, '\0', len))
		return -EBADMSG;
	memcpy(ret, text, len);
	ret[len] = '\0';
	return 0;
}

/* 1 when the row was there, 0 when not. */
static int read_origin(struct check *c)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	int r = db_prepare(
		c->db, "SELECT value FROM meta WHERE key = 'origin'", &s);

	if (r == 0)
		r = db_next(s);
	if (r <= 0)
		return r;
	r = take_text(s, 0, c->s->origin, sizeof(c->s->origin));
	if (r == 0 && !note_is_origin(c->s->origin))
		r = -EBADMSG;
	if (r < 0)
		c->s->origin[0] = '\0';
	return r < 0 ? r : 1;
}

static int read_epoch_row(struct db_stmt *s, struct start *ret)
{
	char text[NOTE_KEY_MAX];
	int r = take_text(s, 1, text, sizeof(text));

	if (r == 0)
		r = note_key_parse(text, strlen(text), &ret->epoch_key);
	if (r < 0)
		return r;
	ret->epoch = db_int(s, 0);
	ret->epoch_size = (uint64_t)db_int(s, 2);
	return 1;
}

static int read_epoch(struct check *c)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	int r = db_prepare(c->db,
		"SELECT number, key, size FROM epoch"
		" ORDER BY number DESC LIMIT 1",
		&s);

	c->s->epoch = -1;
	if (r == 0)
		r = db_next(s);
	return r <= 0 ? r : read_epoch_row(s, c->s);
}

/* The public key that signs checkpoints of this size: that of the last epoch
 * that began before it. 1, 0 when there is none, -errno. */
static int read_key_of(struct check *c, uint64_t size, struct note_key *ret)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	char text[NOTE_KEY_MAX];
	int r = db_prepare(c->db,
		"SELECT key FROM epoch WHERE size < ?"
		" ORDER BY number DESC LIMIT 1",
		&s);

	if (r < 0)
		return r;
	db_bind_int(s, (int64_t)size);
	r = db_next(s);
	if (r <= 0)
		return r;
	r = take_text(s, 0, text, sizeof(text));
	if (r == 0)
		r = note_key_parse(text, strlen(text), ret);
	return r < 0 ? r : 1;
}

static int read_last_time(struct check *c)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	char boot[64], now[BOOT_ID_ROOM];
	int r = db_prepare(c->db,
		"SELECT r.t_real, r.t_boot, m.boot_id FROM"
		" (SELECT * FROM (SELECT seq, mount_id, t_real, t_boot"
		" FROM attempt ORDER BY seq DESC LIMIT 1)"
		" UNION ALL SELECT * FROM (SELECT seq, mount_id, t_real,"
		" t_boot FROM event ORDER BY seq DESC LIMIT 1)) AS r"
		" JOIN mount AS m ON m.id = r.mount_id"
		" ORDER BY r.seq DESC LIMIT 1",
		&s);

	if (r == 0)
		r = db_next(s);
	if (r <= 0)
		return r;
	boot_read_id(now);
	if (*now && take_text(s, 2, boot, sizeof(boot)) == 0 &&
		strcmp(boot, now) == 0) {
		c->s->has_last = true;
		c->s->last = (struct store_time){db_int(s, 0), db_int(s, 1)};
	}
	return 0;
}

/* ---- the key ---- */

int start_key_path(const char *path, char *ret, size_t room)
{
	int n = snprintf(ret, room, "%s-key", path);

	return n < 0 || (size_t)n >= room ? -ENAMETOOLONG : 0;
}

/* A missing or malformed file is a finding; one that others can read or that
 * can't be read is an error. */
static int read_key(struct check *c, struct diag *diag)
{
	char path[PATH_MAX];
	int r = start_key_path(c->path, path, sizeof(path));

	if (r < 0)
		return diag_errno(diag, r, "ledger %s", c->path);
	r = keyfile_read(path, &c->s->key, diag);
	c->s->has_key = r == 0;
	if (r == -EBADMSG)
		find(c, START_NO_KEY, "its key file %s is damaged", path);
	return r == -ENOENT || r == -EBADMSG ? 0 : r;
}

/* The note that made the key file's next key the one is in the ledger. */
static bool was_handed_over(const struct start *s)
{
	return s->key.has_next && s->epoch == (int64_t)s->key.number + 1 &&
	       memcmp(s->key.next.key, s->epoch_key.key, SIGN_PUBLIC_LEN) == 0;
}

static void check_key(struct check *c)
{
	struct start *s = c->s;
	int64_t number = (int64_t)s->key.number;
	bool same =
		memcmp(s->key.key.key, s->epoch_key.key, SIGN_PUBLIC_LEN) == 0;

	if (!s->has_key)
		find(c, START_NO_KEY, "its key file %s-key is missing",
			c->path);
	else if (*s->origin && strcmp(s->key.origin, s->origin) != 0)
		find(c, START_OTHER_KEY,
			"its key file is that of another ledger, %s",
			s->key.origin);
	else if (number < s->epoch && !was_handed_over(s))
		find(c, START_OTHER_KEY,
			"its key file is an old one: it has key %" PRId64
			", the ledger ends with key %" PRId64,
			number, s->epoch);
	else if (number == s->epoch && !same)
		find(c, START_OTHER_KEY,
			"its key file has another key than the ledger");
	else
		s->key_fits = true;
	if (number > s->epoch && s->key_fits)
		find(c, START_ROLLED_BACK,
			"it is an older copy: it ends with key %" PRId64
			", its key file has key %" PRId64,
			s->epoch, number);
}

/* ---- the newest checkpoint ---- */

static int check_signature(struct check *c, uint64_t size)
{
	struct start *s = c->s;
	size_t len = strlen(s->note);
	struct note note;
	struct note_key key;

	if (note_parse(s->note, len, &note) < 0 ||
		note.kind != NOTE_CHECKPOINT || note.size != size ||
		strcmp(note.origin, s->origin) != 0) {
		find(c, START_EDITED,
			"its newest checkpoint, of record %" PRIu64
			", is not one of this ledger",
			size);
		return 0;
	}

	int r = read_key_of(c, size, &key);

	if (r > 0)
		r = note_check(s->note, len, &key);
	else if (r == 0)
		r = -ENOKEY;
	if (r == -EBADMSG || r == -ENOKEY) {
		find(c, START_EDITED,
			"its newest checkpoint, of record %" PRIu64
			", is not signed by the key of its time",
			size);
		return 0;
	}
	s->signed_size = size;
	s->signed_root = note.root;
	return r;
}

static int read_checkpoint(struct check *c)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	int r = db_prepare(c->db,
		"SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1",
		&s);

	if (r == 0)
		r = db_next(s);
	if (r <= 0)
		return r;

	int64_t size = db_int(s, 0);

	if (size <= 0 || take_text(s, 1, c->s->note, sizeof(c->s->note)) < 0) {
		find(c, START_EDITED, "its newest checkpoint is none");
		return 0;
	}
	return check_signature(c, (uint64_t)size);
}

/* ---- the tree ---- */

/* Is it the tree that was signed? -ENODATA: retention has removed what it
 * takes to say. */
static int check_root(struct check *c, uint64_t size, const struct digest *want)
{
	struct digest root;
	int r = sealing_root_at(c->tree, size, &root);

	if (r == 0 && !digest_equal(&root, want))
		find(c, START_EDITED,
			"records up to number %" PRIu64
			" are not those that were signed",
			size);
	return r == -ENODATA ? 0 : r;
}

static int check_tree(struct check *c)
{
	struct start *s = c->s;
	bool remembers = s->key_fits && s->key.size > 0;

	if (s->signed_size > s->size) {
		find(c, START_CUT,
			"%" PRIu64 " records are missing at its end: %" PRIu64
			" were signed, %" PRIu64 " are there",
			s->signed_size - s->size, s->signed_size, s->size);
		return 0;
	}
	if (s->signed_size > 0) {
		int r = check_root(c, s->signed_size, &s->signed_root);

		if (r < 0)
			return r;
	}
	if (!remembers)
		return 0;
	if (s->key.size > s->signed_size) {
		/* What the key file remembers was in the ledger before. */
		find(c, START_ROLLED_BACK,
			"it is an older copy, or was cut: it is signed up to "
			"record %" PRIu64 ", its key file knows of %" PRIu64,
			s->signed_size, s->key.size);
		s->signed_size = s->key.size;
		s->signed_root = s->key.root;
		return 0;
	}
	return check_root(c, s->key.size, &s->key.root);
}

static int check_end(struct check *c)
{
	const struct start_tail tail = {c->s->size, (uint64_t)c->recovered};
	uint64_t bad;
	bool to_the_end;
	int r = start_tail_check(c->db, c->digests, &tail, &bad);

	if (r != -EBADMSG)
		return r;
	r = start_tail_is_gone(c->db, bad, &to_the_end);
	if (r < 0)
		return r;
	if (to_the_end)
		find(c, START_CUT,
			"its records from number %" PRIu64 " on are missing",
			bad);
	else
		find(c, START_EDITED,
			"record %" PRIu64 " was changed or removed", bad);
	return 0;
}

static int load_tree(struct check *c, int64_t mend, struct diag *diag)
{
	struct hasher *h = NULL;
	int r = digests_new(c->db, &c->digests);

	if (r == 0)
		r = sealing_new(c->db, &c->tree);
	if (r < 0)
		return diag_errno(diag, r, "ledger %s", c->path);
	r = sealing_load(c->tree, c->digests, mend, diag);
	if (r < 0)
		return r;
	sealing_commit(c->tree);
	h = hasher_new();
	if (!h)
		return diag_errno(diag, -ENOMEM, "ledger %s", c->path);
	c->s->size = sealing_tree(c->tree)->size;
	merkle_root(sealing_tree(c->tree), h, &c->s->root);
	hasher_free(h);
	return 0;
}

static void drop_tree(struct check *c)
{
	sealing_free(take_ptr(c->tree));
	digests_free(take_ptr(c->digests));
}

/* A tree that has a hole is a finding; to go on, the hole is mended. */
static int find_tree(struct check *c, struct diag *diag)
{
	struct diag why = {0};
	int r = start_tail_recovered(c->db, &c->recovered);

	if (r < 0)
		return sql_failed(c, r, diag);
	r = load_tree(c, c->recovered, &why);
	if (r == -EBADMSG) {
		find(c, START_EDITED, "%s", why.text);
		drop_tree(c);
		r = load_tree(c, SEALING_MEND_ALL, &why);
	}
	if (r < 0)
		(void)diag_set(diag, r,
			"ledger %s: %s; it can't be gone on with: give another "
			"--ledger",
			c->path, why.text);
	return r;
}

/* ---- all of it ---- */

/* Nothing was answered yet. A key file that has signed something had a ledger;
 * one that has not is of a creation that was cut short. */
static void check_new(struct check *c)
{
	struct start *s = c->s;

	if (is_fault(c) || !s->has_key)
		return;
	if (s->key.size > 0 || s->key.number > 0)
		find(c, START_LOST,
			"the ledger of the key file %s-key is gone: %s, which "
			"had %" PRIu64 " signed records",
			c->path, s->key.origin, s->key.size);
}

/* What the ledger says, in the order in which it is worth believing. */
static int look(struct check *c, struct diag *diag)
{
	int r = read_origin(c);

	if (r == -EBADMSG || r == 0)
		find(c, START_EDITED, "it does not say who signs it");
	if (r >= 0 || r == -EBADMSG)
		r = read_epoch(c);
	if (r == -EBADMSG || r == 0)
		find(c, START_EDITED, "it has no list of keys");
	if (r < 0 && r != -EBADMSG)
		return sql_failed(c, r, diag);
	check_key(c);
	r = read_checkpoint(c);
	if (r < 0)
		return sql_failed(c, r, diag);
	r = find_tree(c, diag);
	if (r < 0)
		return r;
	r = check_tree(c);
	if (r == 0)
		r = check_end(c);
	if (r == 0)
		r = read_last_time(c);
	if (r < 0)
		return sql_failed(c, r, diag);
	if (c->s->size > c->s->signed_size)
		find(c, START_CRASH,
			"the last %" PRIu64
			" records were not signed: the writer ended early",
			c->s->size - c->s->signed_size);
	return 0;
}

static int check_all(struct check *c, struct diag *diag)
{
	bool unborn = true;
	int r = schema_check(c->db, c->path, diag);

	if (r < 0 && r != -ENODATA)
		return r;
	if (r == 0) {
		r = schema_is_unborn(c->db, &unborn);
		if (r < 0)
			return sql_failed(c, r, diag);
	}
	c->s->epoch = -1;
	c->s->kind = unborn ? START_NEW : START_FINE;
	r = read_key(c, diag);
	if (r < 0)
		return r;
	if (unborn) {
		check_new(c);
		return 0;
	}
	return look(c, diag);
}

static int refuse(const struct check *c, struct diag *diag)
{
	return diag_set(diag, -EBADMSG,
		"ledger %s: %s; look at it with stele log verify %s, then go "
		"on with --recover, which is recorded, or give another "
		"--ledger",
		c->path, c->s->text, c->path);
}

int start_check(
	const char *path, bool recover, struct start *ret, struct diag *diag)
{
	_cleanup_(db_close) struct db *db = NULL;
	struct check c = {.path = path, .s = ret};
	int r;

	*ret = (struct start){.epoch = -1};
	r = db_open(path, 0, &db, diag);
	if (r < 0)
		return r;
	c.db = db;
	/* Finding the tree may make tiles again; they are not kept. */
	r = db_exec(db, "BEGIN");
	r = r < 0 ? sql_failed(&c, r, diag) : check_all(&c, diag);
	ret->mend = is_fault(&c) ? SEALING_MEND_ALL : c.recovered;
	drop_tree(&c);
	db_rollback(db);
	if (r == 0 && is_fault(&c) && !recover)
		r = refuse(&c, diag);
	if (r < 0)
		start_done(ret);
	return r;
}

void start_done(struct start *s)
{
	if (s->has_key)
		keyfile_done(&s->key);
	s->has_key = false;
}
