/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is signed: changes of keys, checkpoints, and those from elsewhere; see
 * verify_internal.h. All are read in the order of their sizes beside the
 * records, so that each is met when the tree has its size.
 *
 * At one size a key may sign a checkpoint, hand over to the next, and that one
 * may sign, too. So whatever is of that size is tried with the key there is,
 * then the next key is taken, and so on; what no key has signed is wrong.
 */
#include <string.h>

#include "fs/audit/verify_internal.h"
#include "fs/db/db.h"

static int step(struct verify_beside *b, int column)
{
	int r = db_next(b->stmt);

	b->at_row = r > 0;
	if (r > 0)
		b->size = db_int(b->stmt, column);
	return r < 0 ? r : 0;
}

/* No ledger is larger; what says so is beyond its end in any case. */
static int64_t clamp(uint64_t size)
{
	return size < INT64_MAX ? (int64_t)size : INT64_MAX;
}

/* Columns of the statements below. */
enum { CP_SIZE, CP_NOTE };
enum { EP_NUMBER, EP_KEY, EP_SIZE, EP_NOTE };

int verify_seal_begin(struct verify *v)
{
	int r = db_prepare(v->db,
		"SELECT size, note FROM checkpoint ORDER BY size",
		&v->checkpoint.stmt);

	if (r == 0)
		r = db_prepare(v->db,
			"SELECT number, key, size, note FROM epoch"
			" ORDER BY number",
			&v->epoch.stmt);
	if (r == 0)
		r = step(&v->checkpoint, CP_SIZE);
	return r < 0 ? r : step(&v->epoch, EP_SIZE);
}

/* Text of a column; NULL when it is none or too long for a note. */
static const char *text_of(struct db_stmt *s, int column, size_t *ret_len)
{
	const char *text = db_bytes(s, column, ret_len);

	return db_type(s, column) == DB_TEXT && *ret_len <= NOTE_MAX ? text
								     : NULL;
}

/* ---- keys ---- */

static void bad_key(struct verify *v, const char *what)
{
	uint64_t number = v->ret->epochs;

	v->trusted = false;
	verify_find(v, VERIFY_NOT_SIGNED, &(struct verify_about){0},
		"key %llu: %s; what it and later keys have signed proves "
		"nothing",
		(unsigned long long)number, what);
}

static void first_key(struct verify *v)
{
	const struct note_key *want = v->opt->key;

	v->trusted = true;
	/* That it does not say its own was told; now the key says it. */
	if (!v->ret->origin[0])
		memcpy(v->ret->origin, v->key.name, sizeof(v->ret->origin));
	if (!want && note_key_print(&v->key, v->ret->key) < 0)
		v->ret->key[0] = '\0'; /* only shown */
	if (!db_is_null(v->epoch.stmt, EP_NOTE) || v->epoch.size != 0)
		bad_key(v, "the first key has no size and no note; its row was "
			   "changed");
	if (strcmp(v->key.name, v->ret->origin) != 0)
		bad_key(v, "it is of another ledger than this says to be");
	if (want && memcmp(want->key, v->key.key, SIGN_PUBLIC_LEN) != 0)
		verify_find(v, VERIFY_FORKED, &(struct verify_about){0},
			"the ledger is signed by another key than the one that "
			"was given: it is another ledger, or was written anew");
	else if (want && strcmp(want->name, v->key.name) != 0)
		verify_find(v, VERIFY_FORKED, &(struct verify_about){0},
			"the key that was given is of the ledger %s, this is "
			"%s",
			want->name, v->key.name);
}

/* Why the note does not hand over to this key, or NULL when it does. */
static const char *wrong_note(
	struct verify *v, const struct note_key *next, struct note *ret)
{
	size_t len = 0;
	const char *text = text_of(v->epoch.stmt, EP_NOTE, &len);

	if (!text)
		return "no note hands over to it: that was removed, or a mount "
		       "went on without its key (--recover)";
	if (note_parse(text, len, ret) < 0 || ret->kind != NOTE_NEXT_KEY)
		return "the note that hands over to it is malformed";
	if (ret->number != v->ret->epochs ||
		ret->size != (uint64_t)v->epoch.size ||
		strcmp(ret->origin, v->ret->origin) != 0 ||
		strcmp(ret->next.name, next->name) != 0 ||
		memcmp(ret->next.key, next->key, SIGN_PUBLIC_LEN) != 0)
		return "the note that hands over to it names another key, "
		       "number or size";
	if (!v->has_key || note_check(text, len, &v->key) < 0)
		return "the key before it has not signed it";
	return NULL;
}

static void next_key(struct verify *v, const struct note_key *next)
{
	struct note note;
	const char *wrong = wrong_note(v, next, &note);

	if (v->opt->key &&
		memcmp(v->opt->key->key, next->key, SIGN_PUBLIC_LEN) == 0)
		verify_find(v, VERIFY_NOTE, &(struct verify_about){0},
			"the key that was given is key %llu of this ledger; "
			"give its first one",
			(unsigned long long)v->ret->epochs);
	if (v->epoch.size < v->epoch_size)
		wrong = "it begins before the key before it";
	v->epoch_size = v->epoch.size;
	if (wrong)
		bad_key(v, wrong);
	else if (v->trusted && note.size == v->tree.size)
		(void)verify_tree_root(v, &note.root, true); /* kept there */
}

/* Take the next key: 0 or -errno. */
static int take_epoch(struct verify *v)
{
	struct db_stmt *s = v->epoch.stmt;
	struct note_key key;
	size_t len = 0;
	const char *text = text_of(s, EP_KEY, &len);

	if ((uint64_t)db_int(s, EP_NUMBER) != v->ret->epochs) {
		bad_key(v, "it is missing: it was removed");
		v->ret->epochs = (uint64_t)db_int(s, EP_NUMBER);
		v->has_key = false;
	}
	if (!text || note_key_parse(text, len, &key) < 0) {
		bad_key(v, "it is malformed");
		v->has_key = false;
	} else {
		bool first = v->ret->epochs == 0;

		if (!first)
			next_key(v, &key);
		v->key = key;
		v->has_key = true;
		if (first)
			first_key(v);
	}
	v->ret->epochs++;
	return step(&v->epoch, EP_SIZE);
}

/* ---- checkpoints ---- */

static void bad_checkpoint(struct verify *v, const char *what)
{
	verify_find(v, VERIFY_NOT_SIGNED,
		&(struct verify_about){
			.has_checkpoint = true,
			.checkpoint = (uint64_t)v->checkpoint.size,
		},
		"the checkpoint of size %lld %s", (long long)v->checkpoint.size,
		what);
}

/* Is it signed by the key there is? 1; 0: not by this one, and then *ret_why
 * says what is wrong with it; -ENOMEM. */
static int try_checkpoint(
	struct verify *v, struct note *ret, const char **ret_why)
{
	size_t len = 0;
	const char *text = text_of(v->checkpoint.stmt, CP_NOTE, &len);
	int r;

	if (!text || note_parse(text, len, ret) < 0 ||
		ret->kind != NOTE_CHECKPOINT) {
		*ret_why = "is malformed: it was changed";
		return 0;
	}
	if (ret->size != (uint64_t)v->checkpoint.size ||
		strcmp(ret->origin, v->ret->origin) != 0) {
		*ret_why = "has a note of another size or ledger: it was "
			   "changed";
		return 0;
	}
	r = v->has_key ? note_check(text, len, &v->key) : -ENOKEY;
	if (r == -ENOMEM)
		return r;
	*ret_why = r == -ENOKEY ? "is not signed by the key of its time"
				: "has a wrong signature: it was changed";
	return r == 0;
}

static void good_checkpoint(struct verify *v, const struct note *note)
{
	if (!v->trusted)
		return;
	v->sealed = note->size;
	v->has_sealed = true;
	if (note->size != v->tree.size)
		return; /* its records were removed, or are missing */
	v->own = true;
	v->own_root = note->root;
	if (verify_tree_root(v, &note->root, true) == VERIFY_SAME) {
		v->ret->signed_size = note->size;
		v->ret->signed_root = note->root;
		v->ret->signed_time = v->last.t_real;
	}
}

/* Consume the checkpoint at hand if the key has signed it, or if it is the last
 * that could have. 1 when it is gone, 0, -errno. */
static int take_checkpoint(struct verify *v, bool last)
{
	struct note note;
	const char *why = NULL;
	int r = try_checkpoint(v, &note, &why);

	if (r < 0 || (r == 0 && !last))
		return r;
	v->ret->checkpoints++;
	if (r > 0)
		good_checkpoint(v, &note);
	else
		bad_checkpoint(v, why);
	r = step(&v->checkpoint, CP_SIZE);
	return r < 0 ? r : 1;
}

/* ---- checkpoints from elsewhere ---- */

static void bad_expect(
	struct verify *v, const struct expect_one *e, const char *what)
{
	verify_find(v, VERIFY_FORKED,
		&(struct verify_about){
			.has_checkpoint = true,
			.checkpoint = e->size,
		},
		"the expected checkpoint of size %llu %s",
		(unsigned long long)e->size, what);
}

static void beyond(struct verify *v, uint64_t size, const char *what)
{
	if (size <= v->beyond)
		return;
	v->beyond = size;
	v->beyond_what = what;
}

/* It is signed by the right key; is it of this tree? */
static void compare_expect(struct verify *v, const struct expect_one *e)
{
	bool own = v->own && e->size == v->tree.size;

	if (e->size > v->tree.size) {
		beyond(v, e->size, "an expected checkpoint");
		return;
	}

	enum verify_match match = VERIFY_UNKNOWN;

	if (own)
		match = digest_equal(&v->own_root, &e->root) ? VERIFY_SAME
							     : VERIFY_OTHER;
	else if (e->size == v->tree.size)
		match = verify_tree_root(v, &e->root, false);
	if (match == VERIFY_OTHER)
		bad_expect(v, e,
			own ? "has another root than the one in the ledger: "
			      "there are two histories"
			    : "has another root than the records here: they "
			      "are another history");
	else if (match == VERIFY_UNKNOWN)
		verify_find(v, VERIFY_NOTE,
			&(struct verify_about){
				.has_checkpoint = true,
				.checkpoint = e->size,
			},
			"the expected checkpoint of size %llu can't be "
			"compared: records that it covers are gone or edited",
			(unsigned long long)e->size);
	else
		v->ret->expected++;
}

/* Those of one size, with the key there is; the last that could be it. */
static int take_expects(struct verify *v, int64_t size, bool last)
{
	struct expect *x = v->opt->expect;

	for (size_t i = v->expect_next; x && i < x->count; i++) {
		struct expect_one *e = &x->all[i];
		int r = -ENOKEY;

		if (clamp(e->size) != size)
			break;
		if (e->seen)
			continue;
		if (v->has_key)
			r = note_check(x->text.data + e->at, e->len, &v->key);
		if (r == -ENOMEM)
			return r;
		e->seen = r == 0 || last;
		if (r == 0)
			compare_expect(v, e);
		else if (last)
			bad_expect(v, e,
				"is not signed by a key of this ledger: it is "
				"of another one, or was changed");
	}
	while (last && x && v->expect_next < x->count &&
		clamp(x->all[v->expect_next].size) == size)
		v->expect_next++;
	return 0;
}

/* ---- the key file ---- */

/* What it remembers has no signature, but only the writer can change it. */
static void take_keyfile(struct verify *v)
{
	const struct keyfile *k = &v->keyfile;
	const struct verify_about about = {
		.has_checkpoint = true, .checkpoint = k->size};

	v->keyfile_done = true;
	if (k->size == 0)
		return; /* nothing was signed yet */
	if (k->size > v->tree.size) {
		beyond(v, k->size, "the last checkpoint in the key file");
		return;
	}
	/* It goes there after it is safe in the ledger. */
	if (k->size == v->tree.size && v->trusted && !v->own)
		verify_find(v, VERIFY_NOT_SIGNED, &about,
			"the key file remembers the checkpoint of size %llu, "
			"which is not in the ledger: checkpoints were removed",
			(unsigned long long)k->size);
	if (k->size == v->tree.size &&
		verify_tree_root(v, &k->root, false) == VERIFY_OTHER)
		verify_find(v, VERIFY_FORKED, &about,
			"the checkpoint of size %llu in the key file has "
			"another root than the records here: they are another "
			"history",
			(unsigned long long)k->size);
}

/* ---- at a size ---- */

static bool has_expect(const struct verify *v, uint64_t *ret)
{
	const struct expect *x = v->opt->expect;

	if (!x || v->expect_next >= x->count)
		return false;
	*ret = x->all[v->expect_next].size;
	return true;
}

struct nearest {
	bool any;
	int64_t size;
};

static void offer(struct nearest *n, int64_t size)
{
	if (n->any && n->size <= size)
		return;
	n->any = true;
	n->size = size;
}

/* The smallest size of what is next; sizes that can't be come first. */
static bool next_size(const struct verify *v, int64_t *ret)
{
	uint64_t expected = 0;
	struct nearest n = {0};

	if (v->checkpoint.at_row)
		offer(&n, v->checkpoint.size);
	if (v->epoch.at_row)
		offer(&n, v->epoch.size);
	if (has_expect(v, &expected))
		offer(&n, clamp(expected));
	if (v->has_keyfile && !v->keyfile_done)
		offer(&n, clamp(v->keyfile.size));
	*ret = n.size;
	return n.any;
}

static int take_size(struct verify *v, int64_t size)
{
	v->own = false;
	for (;;) {
		bool last = !v->epoch.at_row || v->epoch.size > size;
		int r = 0;

		if (v->checkpoint.at_row && v->checkpoint.size == size)
			r = take_checkpoint(v, last);
		if (r >= 0)
			r = take_expects(v, size, last);
		if (r < 0)
			return r;
		if (last)
			break;
		r = take_epoch(v);
		if (r < 0)
			return r;
	}
	/* After the ledger's own root: that one can mend the tree. */
	if (v->has_keyfile && !v->keyfile_done &&
		clamp(v->keyfile.size) == size)
		take_keyfile(v);
	return 0;
}

int verify_seal_reach(struct verify *v)
{
	int64_t size;
	int r = 0;

	while (r == 0 && next_size(v, &size) &&
		(size < 0 || (uint64_t)size <= v->tree.size))
		r = take_size(v, size);
	return r;
}

int verify_seal_rest(struct verify *v)
{
	int64_t size;
	int r = 0;

	while (r == 0 && next_size(v, &size))
		r = take_size(v, size);
	return r;
}
