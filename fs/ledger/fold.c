/* SPDX-License-Identifier: Apache-2.0 */
/* Open folds in memory; see fold.h. */
#include "fs/ledger/fold.h"

#include <assert.h>
#include <string.h>

#include "fs/ledger/names.h"

enum {
	INDEX = 2 * NAMES_MAX, /* slots; a power of two */
	NUMBERS_MAX = 70,      /* bytes of a packed target beside its paths */
};

/* A time that is to be set and is so near to the attempt's means "now". */
#define NOW_NS INT64_C(1000000000)

_Static_assert(NAMES_MAX < UINT16_MAX, "numbers of targets have 16 bits");

/* ---- keys ---- */

static uint64_t hash_of_text(const char *text)
{
	return text ? checksum(text, strlen(text)) : 0;
}

/* "Now" is another number each time, and still the same wish. */
static int64_t wanted_time(int64_t time, int64_t now)
{
	return time > now - NOW_NS && time < now + NOW_NS ? INT64_MAX : time;
}

void fold_key_of(const struct ledger_attempt *a, const struct store_time *at,
	int64_t proc_id, struct fold_key *ret)
{
	bool size = a->has & LEDGER_HAS_SIZE;
	bool owner = a->has & LEDGER_HAS_OWNER;
	bool times = a->has & LEDGER_HAS_TIMES;

	*ret = (struct fold_key){
		.numbers = {proc_id, a->tid, a->op, a->error, a->dac_denied,
			a->has, a->has & LEDGER_HAS_FLAGS ? a->flags : 0,
			a->has & LEDGER_HAS_MODE ? a->mode : 0,
			size ? (int64_t)a->size : 0, size ? (int64_t)a->off : 0,
			owner ? a->new_uid : 0, owner ? a->new_gid : 0,
			times ? wanted_time(a->atime, at->real) : 0,
			times ? wanted_time(a->mtime, at->real) : 0, a->uid,
			a->gid},
		.rule = a->rule,
		.xattr = a->xattr,
	};

	const uint64_t parts[] = {checksum(ret->numbers, sizeof(ret->numbers)),
		hash_of_text(a->rule), hash_of_text(a->xattr)};

	ret->hash = checksum(parts, sizeof(parts));
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_key(const struct fold_key *a, const struct fold_key *b)
{
	return a->hash == b->hash &&
	       memcmp(a->numbers, b->numbers, sizeof(a->numbers)) == 0 &&
	       same_text(a->rule, b->rule) && same_text(a->xattr, b->xattr);
}

struct fold *folds_find(const struct folds *fs, const struct fold_key *key)
{
	for (unsigned i = 0; i < fs->count; i++) {
		if (same_key(&fs->open[i]->key, key))
			return fs->open[i];
	}
	return NULL;
}

/* Newest first in its set; so no two kinds can keep pushing each other out. */
bool folds_met(struct folds *fs, const struct fold_key *key)
{
	uint64_t *set = fs->seen[key->hash % ARRAY_LEN(fs->seen)];
	size_t at = 0;

	while (at < FOLD_SET - 1 && set[at] != key->hash)
		at++;

	bool met = set[at] == key->hash;

	memmove(set + 1, set, at * sizeof(*set));
	set[0] = key->hash;
	return met;
}

/* ---- targets ---- */

const char *fold_path(const struct fold *f, uint32_t n, size_t *ret_len)
{
	const char *path = f->text.data + f->targets[n].path;

	*ret_len = strlen(path);
	return path;
}

const char *fold_path2(const struct fold *f, uint32_t n)
{
	const struct fold_target *t = &f->targets[n];

	return t->has_path2 ? f->text.data + t->path2 : NULL;
}

const char *fold_place(const struct fold *f, size_t *ret_len)
{
	if (f->now.targets > 1 && !f->now.common) {
		*ret_len = 1;
		return "/";
	}
	*ret_len = f->now.common;
	return f->text.data;
}

static bool is_end(char c)
{
	return c == '/' || c == '\0';
}

/* How much of a folder's path leads to another path as well. */
static size_t common_with(const char *folder, size_t len, const char *path)
{
	size_t same = 0;

	while (same < len && path[same] == folder[same])
		same++; /* ends with path, whose NUL no folder has */
	while (same > 0 && !(is_end(folder[same]) && is_end(path[same])))
		same--;
	return same;
}

static uint64_t hash_of_target(const struct ledger_attempt *a)
{
	const uint64_t parts[] = {hash_of_text(a->path), hash_of_text(a->path2),
		a->ino, a->ino_is_parent};

	return checksum(parts, sizeof(parts));
}

static bool is_target(const struct fold *f, uint32_t n, uint64_t hash,
	const struct ledger_attempt *a)
{
	const struct fold_target *t = &f->targets[n];

	return t->hash == hash && t->ino == a->ino &&
	       t->ino_is_parent == a->ino_is_parent &&
	       strcmp(f->text.data + t->path, a->path) == 0 &&
	       same_text(fold_path2(f, n), a->path2);
}

/* The slot of a target in the index, or the free one where it would go. */
static uint16_t *slot_of(
	const struct fold *f, uint64_t hash, const struct ledger_attempt *a)
{
	size_t i = hash % INDEX;

	/* Half of the slots are free, at least. */
	while (f->index[i] && !is_target(f, f->index[i] - 1u, hash, a))
		i = (i + 1) % INDEX;
	return &f->index[i];
}

static struct fold_target *find_target(
	struct fold *f, uint64_t hash, const struct ledger_attempt *a)
{
	uint32_t n = 0;

	if (f->index) {
		n = *slot_of(f, hash, a);
		return n ? &f->targets[n - 1] : NULL;
	}
	while (n < f->now.targets && !is_target(f, n, hash, a))
		n++;
	return n < f->now.targets ? &f->targets[n] : NULL;
}

/* Enter a target that is not in the index, by its number. */
static void index_target(struct fold *f, uint32_t n)
{
	size_t i = f->targets[n].hash % INDEX;

	while (f->index[i])
		i = (i + 1) % INDEX;
	f->index[i] = (uint16_t)(n + 1);
}

static void index_again(struct fold *f)
{
	if (!f->index)
		return;
	memset(f->index, 0, INDEX * sizeof(*f->index));
	for (uint32_t n = 0; n < f->now.targets; n++)
		index_target(f, n);
}

/* Room for one more target, and an index from the second one on. */
static int grow_targets(struct fold *f)
{
	if (f->now.targets == f->capacity) {
		uint32_t capacity = f->capacity ? f->capacity * 4 : 1;
		struct fold_target *more =
			reallocarray(f->targets, capacity, sizeof(*f->targets));

		if (!more)
			return -ENOMEM;
		f->targets = more;
		f->capacity = capacity;
	}
	if (f->now.targets && !f->index) {
		f->index = calloc(INDEX, sizeof(*f->index));
		if (!f->index)
			return -ENOMEM;
		index_again(f);
	}
	return 0;
}

static int add_text(struct fold *f, const char *text, size_t *ret)
{
	*ret = f->text.len;
	return text ? buf_add(&f->text, text, strlen(text) + 1) : 0;
}

/* Without counting the attempt. */
static int add_target(struct fold *f, uint64_t hash,
	const struct ledger_attempt *a, const struct store_time *at)
{
	struct fold_target t = {.hash = hash,
		.ino = a->ino,
		.has_path2 = a->path2,
		.ino_is_parent = a->ino_is_parent,
		.t_first = at->real};
	int r = grow_targets(f);

	if (r == 0)
		r = add_text(f, a->path, &t.path);
	if (r == 0)
		r = add_text(f, a->path2, &t.path2);
	if (r < 0) {
		f->text.len = f->now.text_len;
		return r;
	}
	f->now.common = f->now.targets ? common_with(f->text.data,
						 f->now.common, a->path)
				       : strlen(a->path);
	f->now.text_len = f->text.len;
	f->targets[f->now.targets++] = t;
	if (f->index)
		index_target(f, f->now.targets - 1);
	return 0;
}

/* One more attempt on a target; what is committed of it is kept. */
static void count_target(
	struct fold *f, struct fold_target *t, const struct store_time *at)
{
	uint32_t n = (uint32_t)(t - f->targets);

	if (n < f->was.targets && !t->dirty) {
		t->dirty = true;
		t->count_was = t->count;
		t->t_last_was = t->t_last;
		t->next_dirty = f->dirty;
		f->dirty = n + 1;
	}
	t->count++;
	t->t_last = at->real;
}

/* ---- the life of a fold ---- */

static size_t bytes_of(const struct fold *f)
{
	return f->now.text_len + f->now.targets * sizeof(*f->targets);
}

static void fold_free(struct fold *f)
{
	if (!f)
		return;
	free(f->rule);
	free(f->xattr);
	free(f->targets);
	free(f->index);
	buf_done(&f->text);
	proc_unref(f->proc);
	free(f);
}

DEFINE_CLEANUP(fold_free, struct fold *);

/* Before a change of what is committed. */
static void touch(struct folds *fs, struct fold *f)
{
	if (f->touched)
		return;
	f->touched = true;
	f->was = f->now;
	f->next_touched = fs->touched;
	fs->touched = f;
}

static uint64_t since(int64_t from, int64_t to)
{
	return to > from ? (uint64_t)(to - from) : 0;
}

int folds_add(struct folds *fs, struct fold *f, const struct ledger_attempt *a,
	const struct store_time *at, bool *ret_new)
{
	uint64_t hash = hash_of_target(a);
	struct fold_target *t = find_target(f, hash, a);
	size_t before = bytes_of(f);

	touch(fs, f);
	*ret_new = !t;
	if (!t) {
		int r = add_target(f, hash, a, at);

		if (r < 0)
			return r;
		t = &f->targets[f->now.targets - 1];
	}
	count_target(f, t, at);
	f->now.count++;
	f->now.t_last = at->real;
	f->now.last_boot = at->boot;
	times_add(&f->now.times, since(f->first.boot, at->boot));
	fs->bytes += bytes_of(f) - before;
	return 0;
}

static int fold_new(const struct fold_key *key, const struct ledger_attempt *a,
	const struct store_time *at, struct fold **ret)
{
	_cleanup_(fold_free) struct fold *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	buf_init(&f->text, NAMES_RAW_MAX);
	f->rule = strdup(a->rule);
	f->xattr = a->xattr ? strdup(a->xattr) : NULL;
	if (!f->rule || (a->xattr && !f->xattr))
		return -ENOMEM;
	f->key = *key;
	f->key.rule = f->rule;
	f->key.xattr = f->xattr;
	f->what = *a;
	f->what.rule = f->rule;
	f->what.xattr = f->xattr;
	f->what.path = f->what.path2 = NULL;
	f->what.node = NULL;
	f->has_node = a->node && !a->ino_is_parent;
	f->proc_id = key->numbers[0];
	f->first = *at;
	times_init(&f->now.times);
	*ret = take_ptr(f);
	return 0;
}

int folds_open(struct folds *fs, const struct fold_key *key,
	const struct ledger_attempt *a, const struct store_time *at,
	struct fold **ret)
{
	_cleanup_(fold_free) struct fold *f = NULL;
	bool is_new;
	int r = fold_new(key, a, at, &f);

	assert(fs->count < FOLD_MAX);
	if (r < 0)
		return r;
	f->id = ++fs->last_id;
	/* From here on it is touched, so that an abort frees it. */
	touch(fs, f);
	fs->open[fs->count++] = *ret = f;
	return folds_add(fs, take_ptr(f), a, at, &is_new);
}

bool fold_repeats(const struct fold *f, const struct ledger_attempt *a)
{
	return f->now.targets == 1 && is_target(f, 0, hash_of_target(a), a);
}

unsigned folds_slot(struct folds *fs, struct fold *f)
{
	unsigned i = 0;

	if (f->slot)
		return f->slot - 1;
	/* There are as many as folds that are open, and none is kept longer
	 * than its fold. */
	while (fs->slots[i])
		i++;
	fs->slots[i] = true;
	f->slot = i + 1;
	return i;
}

bool fold_takes(const struct fold *f, const struct ledger_attempt *a,
	const struct store_time *at)
{
	size_t more = strlen(a->path) + (a->path2 ? strlen(a->path2) : 0) + 2;

	return at->boot - f->now.last_boot <= FOLD_IDLE_NS &&
	       at->boot - f->first.boot <= FOLD_AGE_NS &&
	       f->now.targets < NAMES_MAX &&
	       f->now.text_len + more + (f->now.targets + 1) * NUMBERS_MAX <=
		       NAMES_RAW_MAX;
}

static void leave(struct folds *fs, const struct fold *f)
{
	unsigned i = 0;

	while (fs->open[i] != f)
		i++;
	fs->open[i] = fs->open[--fs->count];
	fs->bytes -= bytes_of(f);
}

void folds_close(struct folds *fs, struct fold *f)
{
	touch(fs, f);
	leave(fs, f);
	f->closed = true;
}

struct fold *folds_oldest(const struct folds *fs)
{
	struct fold *oldest = NULL;

	for (unsigned i = 0; i < fs->count; i++) {
		struct fold *f = fs->open[i];

		if (!oldest || f->now.last_boot < oldest->now.last_boot)
			oldest = f;
	}
	return oldest;
}

struct fold *folds_due(const struct folds *fs, int64_t boot)
{
	for (unsigned i = 0; i < fs->count; i++) {
		struct fold *f = fs->open[i];

		if (boot - f->now.last_boot > FOLD_IDLE_NS ||
			boot - f->first.boot > FOLD_AGE_NS)
			return f;
	}
	return NULL;
}

/* ---- transactions ---- */

/* Forget which targets changed, or undo it. */
static void end_dirty(struct fold *f, bool undo)
{
	while (f->dirty) {
		struct fold_target *t = &f->targets[f->dirty - 1];

		if (undo) {
			t->count = t->count_was;
			t->t_last = t->t_last_was;
		}
		t->dirty = false;
		f->dirty = t->next_dirty;
	}
}

static struct fold *take_touched(struct folds *fs)
{
	struct fold *f = fs->touched;

	if (f) {
		fs->touched = f->next_touched;
		f->touched = false;
	}
	return f;
}

void folds_commit(struct folds *fs)
{
	struct fold *f;

	while ((f = take_touched(fs))) {
		if (f->closed) {
			if (f->slot)
				fs->slots[f->slot - 1] = false;
			fold_free(f);
			continue;
		}
		end_dirty(f, false);
		f->stored = true;
		f->rows = f->now.targets > 1 ? f->now.targets : 0;
	}
}

static void restore(struct folds *fs, struct fold *f)
{
	end_dirty(f, true);
	if (!f->closed)
		fs->bytes -= bytes_of(f);
	else
		fs->open[fs->count++] = f;
	f->closed = false;
	f->now = f->was;
	f->text.len = f->now.text_len;
	index_again(f);
	fs->bytes += bytes_of(f);
}

void folds_abort(struct folds *fs)
{
	struct fold *kept = NULL, *f;

	/* New ones go first: they may have the places of what was closed. */
	while ((f = take_touched(fs))) {
		if (f->stored) {
			f->next_touched = kept;
			kept = f;
			continue;
		}
		if (!f->closed)
			leave(fs, f);
		fold_free(f);
	}
	for (; kept; kept = f) {
		f = kept->next_touched;
		restore(fs, kept);
	}
}

void folds_done(struct folds *fs)
{
	assert(!fs->touched);
	while (fs->count > 0)
		fold_free(fs->open[--fs->count]);
}
