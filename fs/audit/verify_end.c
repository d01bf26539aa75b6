/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After the last record: what points beyond it, and what the key file beside
 * the ledger remembers; see verify_internal.h.
 */
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>

#include "fs/audit/verify_internal.h"
#include "fs/db/db.h"

#define NOWHERE (&(struct verify_about){0})

bool verify_writer(const char *path)
{
	_cleanup_free_ char *real = realpath(path, NULL);
	char name[PATH_MAX];

	if (!real || snprintf(name, sizeof(name), "%s-lock", real) >=
			     (int)sizeof(name))
		return false;

	_cleanup_close_ int fd =
		open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 &&
	       errno == EWOULDBLOCK;
}

/* ---- the key file ---- */

int verify_keyfile(struct verify *v)
{
	struct diag why = {0};
	int r;

	if (!v->opt->keyfile)
		return 0;
	keyfile_done(&v->keyfile);
	v->keyfile = (struct keyfile){0};
	r = keyfile_read(v->opt->keyfile, &v->keyfile, &why);
	v->has_keyfile = r == 0;
	if (r == -ENOMEM)
		return r;
	if (r < 0 && r != -ENOENT)
		verify_find(v, VERIFY_NOTE, NOWHERE,
			"what the key file remembers was not compared: %s",
			why.text);
	return 0;
}

static bool same_key(const struct note_key *a, const struct note_key *b)
{
	return memcmp(a->key, b->key, SIGN_PUBLIC_LEN) == 0;
}

/* Does the key that the ledger has last fit to the key file? */
static int check_keyfile(struct verify *v)
{
	const struct keyfile *k = &v->keyfile;
	uint64_t last = v->ret->epochs - 1;
	int r = 0;

	if (!v->has_keyfile || v->ret->epochs == 0)
		return 0;
	/* A writer may have gone on to its next key since we read it. */
	if (k->number < last)
		r = verify_keyfile(v);
	if (r < 0 || !v->has_keyfile)
		return r;
	if (strcmp(k->origin, v->ret->origin) != 0)
		verify_find(v, VERIFY_FORKED, NOWHERE,
			"the key file is of the ledger %s, this is %s: it is "
			"not the ledger that was written here",
			k->origin, v->ret->origin);
	else if (k->number > last)
		verify_find(v, VERIFY_ROLLED_BACK, NOWHERE,
			"the key file has key %llu, the ledger ends with key "
			"%llu: it is older than it was",
			(unsigned long long)k->number,
			(unsigned long long)last);
	else if (!(k->number == last && same_key(&k->key, &v->key)) &&
		 !(k->has_next && k->number + 1 == last &&
			 same_key(&k->next, &v->key)))
		verify_find(v, VERIFY_FORKED, NOWHERE,
			"key %llu of the ledger is not the one in the key "
			"file: others have signed it",
			(unsigned long long)last);
	return 0;
}

/* ---- what points beyond the end ---- */

struct beyond {
	uint64_t size;
	const char *what; /* NULL: nothing inside the ledger does */
};

static void more(struct beyond *b, int64_t size, const char *what)
{
	if (size > 0 && (uint64_t)size > b->size)
		*b = (struct beyond){(uint64_t)size, what};
}

static int look_inside(struct verify *v, struct beyond *b)
{
	int64_t tile = -1, first = 0, anchor = 0;
	int r = db_exec_int(
		v->db, "SELECT coalesce(max(n), -1) FROM tile", &tile);

	if (r == 0)
		r = db_exec_int(
			v->db, "SELECT coalesce(min(n), 0) FROM tile", &first);
	if (r == 0)
		r = db_exec_int(v->db,
			"SELECT coalesce(max(size), 0) FROM anchor", &anchor);
	if (r < 0)
		return r;
	if (first < 0)
		verify_find(v, VERIFY_EDITED, NOWHERE,
			"tile %lld: put in: no tile has such a number",
			(long long)first);
	if (v->has_sealed && v->sealed <= INT64_MAX)
		more(b, (int64_t)v->sealed, "a signed checkpoint");
	more(b, anchor, "the list of anchored checkpoints");
	if (tile >= 0 && tile < INT64_MAX / MERKLE_TILE)
		more(b, (tile + 1) * MERKLE_TILE, "a tile");
	return 0;
}

static void tell_beyond(struct verify *v, uint64_t end, const struct beyond *in)
{
	const struct verify_about about = {
		.first = end + 1,
		.last = in->size,
		.has_checkpoint = v->sealed > end,
		.checkpoint = v->sealed,
	};
	const struct verify_about outside = {
		.has_checkpoint = true,
		.checkpoint = v->beyond,
	};

	if (in->what)
		verify_find(v, VERIFY_TRUNCATED, &about,
			"the ledger ends with record %llu, but %s tells of "
			"%llu: the end was cut off",
			(unsigned long long)end, in->what,
			(unsigned long long)in->size);
	if (v->beyond > end)
		verify_find(v, in->what ? VERIFY_TRUNCATED : VERIFY_ROLLED_BACK,
			&outside,
			"the ledger ends with record %llu, but %s is of size "
			"%llu: %s",
			(unsigned long long)end, v->beyond_what,
			(unsigned long long)v->beyond,
			in->what ? "the end was cut off"
				 : "it is older than it was, or was cut off "
				   "together with its checkpoints");
}

/* ---- all of it ---- */

static void check_removed(struct verify *v)
{
	uint64_t told = (uint64_t)v->pruned_to;
	uint64_t first = told < v->removed_first ? v->removed_first : told + 1;

	if (v->ret->removed == 0 || v->removed_last <= told)
		return;
	verify_find(v, VERIFY_EDITED,
		&(struct verify_about){
			.first = first,
			.last = v->removed_last,
		},
		"records %llu to %llu: removed, and not by retention, which "
		"leaves a record",
		(unsigned long long)first, (unsigned long long)v->removed_last);
}

int verify_end(struct verify *v)
{
	uint64_t end = v->tree.size;
	struct beyond inside = {.size = end};
	int r;

	verify_tree_end(v);
	check_removed(v);
	r = verify_seal_rest(v);
	if (r == 0)
		r = look_inside(v, &inside);
	if (r == 0)
		r = check_keyfile(v);
	if (r < 0)
		return r;
	tell_beyond(v, end, &inside);
	v->ret->keyfile_read = v->has_keyfile;
	return verify_unsigned_end(v);
}
