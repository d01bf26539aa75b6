/* SPDX-License-Identifier: Apache-2.0 */
/* The keys that sign a ledger; see keys.h. */
#include "fs/audit/keys.h"

int keys_read(struct db *db, int64_t number, struct note_key *ret)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	const char *text;
	size_t len = 0;
	int r = db_prepare(db,
		"SELECT key FROM epoch WHERE number = coalesce(nullif(?, -1),"
		" (SELECT max(number) FROM epoch))",
		&s);

	if (r < 0)
		return r;
	db_bind_int(s, number);
	r = db_next(s);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	text = db_bytes(s, 0, &len);
	return text ? note_key_parse(text, len, ret) : -EBADMSG;
}
