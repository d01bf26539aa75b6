/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Going on with a ledger: the keys it has, gets, or gets instead of those that
 * are gone, and the record of what was found.
 *
 * A ledger that did not verify and is gone on with all the same begins a new
 * epoch where its tree ends. Its note is signed by the key before, if that is
 * there; else it has none (as key 0), and only the RECOVERY record says why.
 * Checkpoints of records that are gone, and what tells where they were
 * anchored, leave the tables, since other records will have these numbers; the
 * newest of them is part of that record.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/random.h>
#include <sys/utsname.h>

#include "fs/db/db.h"
#include "fs/ledger/clerk_internal.h"
#include "fs/ledger/work.h"

/* ---- the name of the log ---- */

/* HOST/stele/16 digits: two ledgers of the same machine differ, and so do two
 * machines of the same name. */
static int make_origin(char ret[NOTE_ORIGIN_MAX + 1])
{
	struct utsname host = {0};
	uint64_t number;

	if (uname(&host) < 0 || !host.nodename[0])
		(void)snprintf(host.nodename, sizeof(host.nodename), "host");
	for (char *p = host.nodename; *p; p++) {
		bool plain = (*p >= 'a' && *p <= 'z') ||
			     (*p >= 'A' && *p <= 'Z') ||
			     (*p >= '0' && *p <= '9') || *p == '.' ||
			     *p == '-' || *p == '_';

		if (!plain)
			*p = '-';
	}
	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return -EIO;
	(void)snprintf(ret, NOTE_ORIGIN_MAX + 1, "%s/stele/%016" PRIx64,
		host.nodename, number);
	return 0;
}

static int set_origin(struct store *s, const char *origin)
{
	_cleanup_(db_stmt_free) struct db_stmt *add = NULL;
	int r = db_prepare(store_db(s),
		"INSERT OR REPLACE INTO meta VALUES('origin', ?)", &add);

	if (r < 0)
		return r;
	db_bind_text(add, origin);
	return db_run(add);
}

/* ---- key files ---- */

/* Never overwrite a secret that may be somebody's. */
static int set_aside(const char *path, struct diag *diag)
{
	char aside[PATH_MAX];

	if (snprintf(aside, sizeof(aside), "%s.old", path) >=
		(int)sizeof(aside))
		return diag_errno(diag, -ENAMETOOLONG, "key file %s", path);
	if (renameat2(AT_FDCWD, path, AT_FDCWD, aside, RENAME_NOREPLACE) == 0 ||
		errno == ENOENT)
		return 0;
	return diag_errno(diag, -errno,
		"moving the key file %s away to %s; move it yourself", path,
		aside);
}

static int make_key(struct clerk *c, const char *origin, struct diag *diag)
{
	char path[PATH_MAX];
	int r = start_key_path(c->path, path, sizeof(path));

	if (r < 0)
		return diag_errno(diag, r, "ledger %s", c->path);
	r = set_aside(path, diag);
	if (r == 0)
		r = keyfile_create(path, origin, &c->key, diag);
	c->has_key = r == 0;
	return r;
}

static void take_key(struct clerk *c, struct start *found)
{
	c->key = found->key;
	sign_forget(&found->key, sizeof(found->key));
	c->has_key = true;
	found->has_key = false;
}

/* ---- what is written ---- */

struct beginning {
	struct clerk *clerk;
	const struct start *found;
	const char *text; /* of a RECOVERY event, or NULL */
	bool origin;	  /* it gets one */
	bool epoch;	  /* the key begins one, without a note */
	bool mend;	  /* checkpoints that are too large go */
};

static int drop_beyond(struct store *s, const char *sql, uint64_t size)
{
	_cleanup_(db_stmt_free) struct db_stmt *drop = NULL;
	int r = db_prepare(store_db(s), sql, &drop);

	if (r < 0)
		return r;
	db_bind_int(drop, (int64_t)size);
	return db_run(drop);
}

static int mend(struct store *s, uint64_t size)
{
	int r = drop_beyond(s, "DELETE FROM checkpoint WHERE size > ?", size);

	return r < 0 ? r
		     : drop_beyond(
			       s, "DELETE FROM anchor WHERE size > ?", size);
}

static int write_beginning(struct store *s, void *arg)
{
	const struct beginning *b = arg;
	struct clerk *c = b->clerk;
	struct store_time now = clerk_now(c);
	struct store_event e = {
		.kind = LEDGER_EVENT_RECOVERY, .text = b->text, .count = 1};
	struct clerk_epoch epoch = {.number = c->key.number,
		.key = &c->key.key,
		.size = b->found->size};
	int r = 0;

	if (b->origin)
		r = set_origin(s, c->key.origin);
	if (r == 0 && b->mend)
		r = mend(s, b->found->size);
	if (r == 0 && b->epoch)
		r = clerk_add_epoch(s, &epoch);
	return r == 0 && b->text ? store_event(s, &e, &now) : r;
}

static int write_and_sync(struct clerk *c, struct beginning *b)
{
	int r = ledger_work(c->ledger, write_beginning, b);

	return r < 0 ? r : store_sync(c->store);
}

/* ---- the ways to begin ---- */

static int begin_new(struct clerk *c, struct start *found, const char *text,
	struct diag *diag)
{
	struct beginning b = {.clerk = c,
		.found = found,
		.text = text,
		.origin = true,
		.epoch = true};
	char origin[NOTE_ORIGIN_MAX + 1];
	int r;

	if (found->kind == START_NEW && found->has_key) {
		/* Made by one of us who then died. */
		take_key(c, found);
		r = 0;
	} else {
		r = make_origin(origin);
		if (r == 0)
			r = make_key(c, origin, diag);
	}
	clerk_epoch_began(c, 0);
	return r < 0 ? r : write_and_sync(c, &b);
}

static int begin_fine(struct clerk *c, struct start *found, const char *text,
	struct diag *diag)
{
	struct beginning b = {.clerk = c, .found = found, .text = text};
	int r = 0;

	take_key(c, found);
	if (c->key.has_next && found->epoch == (int64_t)c->key.number + 1)
		r = keyfile_advance(&c->key, diag);
	c->last.size = found->signed_size;
	c->last.root = found->signed_root;
	clerk_epoch_began(c, found->epoch_size);
	return r == 0 && text ? write_and_sync(c, &b) : r;
}

/* The key is good, but the ledger is not. */
static int begin_mended(struct clerk *c, struct start *found, const char *text)
{
	struct beginning b = {.clerk = c,
		.found = found,
		.text = text,
		.origin = !found->origin[0],
		.mend = true};
	struct alert_checkpoint at = {found->size, found->root};

	take_key(c, found);
	return clerk_hand_over(c, &at, write_beginning, &b);
}

/* The next number, so that numbers keep telling which key came later. */
static int begin_without_key(struct clerk *c, struct start *found,
	const char *text, struct diag *diag)
{
	struct beginning b = {.clerk = c,
		.found = found,
		.text = text,
		.origin = !found->origin[0],
		.epoch = true,
		.mend = true};
	int r = found->origin[0] ? 0 : make_origin(found->origin);

	if (r == 0)
		r = make_key(c, found->origin, diag);
	if (r == 0 && found->epoch >= 0) {
		c->key.number = (uint64_t)found->epoch;
		r = keyfile_prepare(&c->key, diag);
		if (r == 0)
			r = keyfile_advance(&c->key, diag);
	}
	clerk_epoch_began(c, found->size);
	return r < 0 ? r : write_and_sync(c, &b);
}

static int begin(struct clerk *c, struct start *found, const char *text,
	struct diag *diag)
{
	switch (found->kind) {
	case START_NEW:
	case START_LOST: return begin_new(c, found, text, diag);
	case START_FINE:
	case START_CRASH: return begin_fine(c, found, text, diag);
	default:
		return found->key_fits
			       ? begin_mended(c, found, text)
			       : begin_without_key(c, found, text, diag);
	}
}

int clerk_begin_ledger(struct clerk *c, struct start *found, struct diag *diag)
{
	_cleanup_buf_ struct buf text = {.max = CLERK_TEXT_MAX};
	bool tell = found->text[0] != '\0';
	struct diag why = {0};
	int r = 0;

	if (tell)
		r = clerk_recovery_text(found, &text);
	if (r == 0)
		r = begin(c, found, tell ? text.data : NULL, &why);
	if (r < 0)
		return why.text[0] ? diag_set(diag, r, "ledger %s: %s", c->path,
					     why.text)
				   : diag_errno(diag, r, "ledger %s", c->path);
	if (tell)
		metrics_add(&c->metrics->events[LEDGER_EVENT_RECOVERY], 1);
	return 0;
}
