/* SPDX-License-Identifier: Apache-2.0 */
/* Ledgers with a quick clerk; see clerk_kit.h. */
#include "tests/unit/clerk_kit.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fs/base/io.h"
#include "fs/db/db.h"
#include "fs/ledger/digests.h"
#include "fs/seal/merkle.h"
#include "tests/unit/unit.h"

const struct clerk_pace quick = {
	.tick = 2 * MS,
	.checkpoint = 4 * MS,
};

struct ledger *clerk_kit_open(
	const char *path, const struct ledger_options *opt)
{
	struct ledger *l = NULL;
	struct diag diag = {0};
	int r = ledger_open(path, &kit_mount, opt, &l, &diag);

	if (r < 0)
		print_error("ledger_open: %d %s\n", r, diag.text);
	assert_int_equal(r, 0);
	return l;
}

void clerk_kit_refused(const char *path, const char *word)
{
	struct ledger_options opt = {.pace = &quick};
	struct ledger *l = NULL;
	struct diag diag = {0};
	int r = ledger_open(path, &kit_mount, &opt, &l, &diag);
	char text[4096];

	if (r != -EBADMSG || !strstr(diag.text, word))
		print_error("%d '%s' has '%s'?\n", r, diag.text, word);
	assert_int_equal(r, -EBADMSG);
	assert_non_null(strstr(diag.text, word));
	assert_non_null(strstr(diag.text, "--recover"));
	assert_null(l);

	opt.recover = true;
	l = clerk_kit_open(path, &opt);
	clerk_kit_try(l, 3);
	ledger_close(l);
	clerk_kit_event(path, "recovery", text);
	assert_non_null(strstr(text, word));
	/* From here on it needs no pardon. */
	opt.recover = false;
	l = clerk_kit_open(path, &opt);
	clerk_kit_try(l, 300);
	ledger_close(l);
	ledger_close(clerk_kit_open(path, &opt));
	print_message(
		"-- verify after %s: %d\n", word, (int)clerk_kit_verify(path));
}

void clerk_kit_try(struct ledger *l, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct ledger_attempt a =
			kit_unlike(LEDGER_CREATE, "/some/where", i);

		kit_try(l, &a);
	}
}

void clerk_kit_wait(const char *path, const char *sql, int64_t want)
{
	const struct timespec moment = {.tv_nsec = MS};
	time_t end = time(NULL) + 60;

	while (kit_number(path, sql) < want) {
		if (time(NULL) > end)
			fail_msg("waited a minute for %s >= %lld", sql,
				(long long)want);
		(void)nanosleep(&moment, NULL);
	}
}

/* ---- what is signed ---- */

struct looker {
	struct db *db;
	struct digests *digests;
	struct hasher *hasher;
	struct merkle tree;
};

static struct db_stmt *prepare(struct db *db, const char *sql)
{
	struct db_stmt *s = NULL;

	assert_int_equal(db_prepare(db, sql, &s), 0);
	return s;
}

static const char *text_of(struct db_stmt *s, int column, size_t *ret_len)
{
	const char *text = db_bytes(s, column, ret_len);

	assert_non_null(text);
	return text;
}

static void parse_key(struct db_stmt *s, int column, struct note_key *ret)
{
	size_t len;
	const char *text = text_of(s, column, &len);

	assert_int_equal(note_key_parse(text, len, ret), 0);
}

/* Records up to this number, hashed from their rows. */
static void grow_to(struct looker *k, uint64_t size)
{
	struct digest leaf;

	while (k->tree.size < size) {
		assert_int_equal(digests_leaf(k->digests,
					 (int64_t)k->tree.size + 1, &leaf),
			0);
		merkle_add(&k->tree, k->hasher, &leaf);
	}
}

static void check_note(struct looker *k, struct db_stmt *s, int column,
	const struct note_key *key, uint64_t size, struct note *ret)
{
	struct digest root;
	size_t len;
	const char *text = text_of(s, column, &len);

	assert_int_equal(note_parse(text, len, ret), 0);
	assert_int_equal(note_check(text, len, key), 0);
	assert_int_equal(ret->size, size);
	grow_to(k, size);
	merkle_root(&k->tree, k->hasher, &root);
	assert_memory_equal(&root, &ret->root, sizeof(root));
}

/* Checkpoints of one epoch: (after, until]. */
static void check_epoch(struct looker *k, const struct note_key *key,
	int64_t after, int64_t until)
{
	struct db_stmt *s =
		prepare(k->db, "SELECT size, note FROM checkpoint"
			       " WHERE size > ? AND size <= ? ORDER BY size");
	struct note note;

	db_bind_int(s, after);
	db_bind_int(s, until);
	while (db_next(s) > 0) {
		check_note(k, s, 1, key, (uint64_t)db_int(s, 0), &note);
		assert_int_equal(note.kind, NOTE_CHECKPOINT);
	}
	db_stmt_free(s);
}

static void check_epochs(struct looker *k)
{
	struct db_stmt *s =
		prepare(k->db, "SELECT number, key, size, note, coalesce("
			       "lead(size) OVER (ORDER BY number), 1 << 62)"
			       " FROM epoch ORDER BY number");
	struct note_key key = {0}, before;
	int64_t number = 0;
	struct note note;

	for (; db_next(s) > 0; number++) {
		before = key;
		parse_key(s, 1, &key);
		assert_int_equal(db_int(s, 0), number);
		if (number == 0) {
			assert_int_equal(db_int(s, 2), 0);
			assert_true(db_is_null(s, 3));
		} else {
			check_note(k, s, 3, &before, (uint64_t)db_int(s, 2),
				&note);
			assert_int_equal(note.kind, NOTE_NEXT_KEY);
			assert_int_equal(note.number, number);
			assert_memory_equal(
				note.next.key, key.key, sizeof(key.key));
		}
		check_epoch(k, &key, db_int(s, 2), db_int(s, 4));
	}
	assert_true(number > 0);
	db_stmt_free(s);
}

static void check_keyfile(const struct looker *k, const char *path)
{
	char name[PATH_MAX];
	struct keyfile key;
	struct digest root;

	(void)snprintf(name, sizeof(name), "%s-key", path);
	assert_int_equal(keyfile_read(name, &key, NULL), 0);
	merkle_root(&k->tree, k->hasher, &root);
	assert_int_equal(key.size, k->tree.size);
	assert_memory_equal(&key.root, &root, sizeof(root));
	keyfile_done(&key);
}

void clerk_kit_sealed(const char *path)
{
	struct looker k = {.hasher = hasher_new()};

	assert_non_null(k.hasher);
	assert_int_equal(db_open(path, DB_READ_ONLY, &k.db, NULL), 0);
	assert_int_equal(digests_new(k.db, &k.digests), 0);
	check_epochs(&k);
	assert_int_equal(k.tree.size,
		kit_number(path, "SELECT max((SELECT max(seq) FROM event),"
				 " coalesce((SELECT max(seq) FROM attempt),"
				 " 0))"));
	check_keyfile(&k, path);
	assert_int_equal(clerk_kit_verify(path), VERIFY_NOTE);
	digests_free(k.digests);
	db_close(k.db);
	hasher_free(k.hasher);
}

static void tell(void *arg, const struct verify_finding *f)
{
	const char *path = arg;

	if (f->kind > VERIFY_CRASHED)
		print_message("%s: %s\n", path, f->text);
}

enum verify_kind clerk_kit_verify(const char *path)
{
	char key[PATH_MAX], name[PATH_MAX];
	const struct verify_options opt = {.keyfile = key};
	const struct verify_hooks hooks = {.found = tell, .arg = name};
	struct verify_result result = {0};
	struct diag diag = {0};
	int r;

	(void)snprintf(key, sizeof(key), "%s-key", path);
	(void)snprintf(name, sizeof(name), "%s", path);
	r = verify_ledger(path, &opt, &hooks, &result, &diag);
	if (r < 0)
		fail_msg("verify: %d %s", r, diag.text);
	return result.kind;
}

void clerk_kit_event(const char *path, const char *kind, char ret[4096])
{
	struct db *db = NULL;
	struct db_stmt *s;
	const char *text;
	size_t len;

	assert_int_equal(db_open(path, DB_READ_ONLY, &db, NULL), 0);
	s = prepare(db, "SELECT text FROM event WHERE kind = ?"
			" ORDER BY seq DESC LIMIT 1");
	db_bind_text(s, kind);
	assert_int_equal(db_next(s), 1);
	text = text_of(s, 0, &len);
	assert_true(len < 4096);
	memcpy(ret, text, len);
	ret[len] = '\0';
	db_stmt_free(s);
	db_close(db);
}

/* ---- copies ---- */

void clerk_kit_copy_file(const char *from, const char *to)
{
	static char bytes[1 << 20];
	int in = open(from, O_RDONLY | O_CLOEXEC), out;
	ssize_t n;

	(void)unlink(to);
	if (in < 0)
		return; /* not every ledger has all files */
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(out >= 0);
	while ((n = io_read(in, bytes, sizeof(bytes))) > 0)
		assert_int_equal(io_write(out, bytes, (size_t)n), 0);
	assert_int_equal(n, 0);
	(void)close(in);
	(void)close(out);
}

void clerk_kit_copy(const char *from, const char *to)
{
	static const char *const suffixes[] = {"", "-wal", "-key", "-tally"};

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		char a[PATH_MAX], b[PATH_MAX];

		(void)snprintf(a, sizeof(a), "%s%s", from, suffixes[i]);
		(void)snprintf(b, sizeof(b), "%s%s", to, suffixes[i]);
		clerk_kit_copy_file(a, b);
	}
}
