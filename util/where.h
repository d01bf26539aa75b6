/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where things of a mount are kept: the state folder is $STELE_STATE, else
 * /var/lib/stele for root, else $XDG_STATE_HOME/stele, else
 * $HOME/.local/state/stele.
 *
 * The ledger of a mount point is STATE/ledgers/NAME.ledger, where NAME is the
 * absolute path escaped as systemd-escape --path does it (/mnt/app: mnt-app;
 * "/": "-"; other bytes \xHH). A NAME longer than 200 bytes is cut and ends in
 * '@' and a hash of the whole. A ledger that lives elsewhere (mount -o
 * ledger=FILE) has a symbolic link in that place.
 */
#ifndef UTIL_WHERE_H
#define UTIL_WHERE_H

#include "fs/base/diag.h"

/* All results are the caller's to free. */

/*
 * The absolute path of a mount point without symbolic links. Works when the
 * folder is gone or the daemon behind it is dead: what can't be asked is taken
 * as written. 0 or -errno.
 */
int where_mount_point(
	const char *given, char **ret, struct diag *diag) must_check;

/*
 * The folder that keeps what is written below a mount point, which need not
 * exist: custom, made absolute, or STATE/mounts/NAME, named as the ledger is.
 */
int where_upper(const char *mount_point, const char *custom, char **ret,
	struct diag *diag) must_check;

/*
 * The file of the ledger of a mount point (given in any form). -ENOENT when
 * there is none, -errno.
 */
int where_ledger(
	const char *mount_point, char **ret_path, struct diag *diag) must_check;

/*
 * The ledger that an operand means: a regular file is one itself, anything
 * else, also nothing, is a place where something is or was mounted.
 */
int where_ledger_operand(
	const char *operand, char **ret_path, struct diag *diag) must_check;

/* Where a new mount writes its ledger. */
struct where_plan {
	char *file;  /* the ledger; owned */
	char *place; /* where readers look for it; owned */
};

/*
 * Plan it; makes the folders (mode 0700) and changes nothing else, since the
 * mount may yet fail. custom: the user's own file, or NULL. -EEXIST when the
 * mount point has a ledger of its own in the place where a link to custom
 * should be (it is not hidden behind one), -errno.
 */
int where_ledger_plan(const char *mount_point, const char *custom,
	struct where_plan *ret, struct diag *diag) must_check;
void where_plan_done(struct where_plan *p);

/*
 * When the mount stands and before its ledger is opened: take away a link that
 * an earlier mount left in the place of the file. 0 or -errno.
 */
int where_ledger_clear(
	const struct where_plan *p, struct diag *diag) must_check;

/* When the ledger is open: make the link, where one is needed. 0 or -errno. */
int where_ledger_link(const struct where_plan *p, struct diag *diag) must_check;

/* The folder that ledgers are in by default; it may not exist. 0 or -errno. */
int where_ledgers(char **ret, struct diag *diag) must_check;

#endif
