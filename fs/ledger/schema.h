/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of a ledger, version 2. README.md beside this file tells users
 * what every column means; this is for the code that makes and checks them.
 *
 * A later version adds columns and tables and raises the number in
 * meta.version; it may change a ledger of an older version forward, never
 * backward. A program that meets a newer number leaves the file alone.
 */
#ifndef FS_LEDGER_SCHEMA_H
#define FS_LEDGER_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/base/diag.h"

struct db;

#define SCHEMA_VERSION 2
/* "stel", at byte 68 of the file: what file(1) and we know a ledger by. */
#define SCHEMA_APPLICATION_ID 0x7374656c

/* Make the tables in an empty database, in one transaction. */
int schema_create(
	struct db *db, const char *path, struct diag *diag) must_check;

/*
 * 0 when the database is a ledger of our version with exactly our tables;
 * -ENODATA when it is empty (a ledger may be made in it); -EBADMSG when it is
 * something else or damaged; -EOPNOTSUPP when a newer version made it.
 */
int schema_check(struct db *db, const char *path, struct diag *diag) must_check;

/*
 * Was it left by a writer that came no further than to say that it is one? It
 * has nothing but beginnings and ends of mounts: no key and no name, and so
 * nothing that was ever answered. 0 or as db.h.
 */
int schema_is_unborn(struct db *db, bool *ret) must_check;

/*
 * Look at the first bytes of a regular file without opening it as a database:
 * 0 when it is a ledger, -EBADMSG when not, -errno when it can't be read.
 * Closing the file drops the locks that SQLite holds on it in this process:
 * never call this for a ledger that is open here.
 */
int schema_probe(const char *path) must_check;

#endif
