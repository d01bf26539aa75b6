/* SPDX-License-Identifier: Apache-2.0 */
/* The keys that sign a ledger; see keys.h. */
#include "fs/audit/keys.h"

#include <string.h>

int keys_first(struct db *db, char ret[NOTE_KEY_MAX])
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	const void *text;
	size_t len;
	int r = db_prepare(db, "SELECT key FROM epoch WHERE number = 0", &s);

	if (r == 0)
		r = db_next(s);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	text = db_bytes(s, 0, &len);
	if (!text || len >= NOTE_KEY_MAX || memchr(text, '\0', len))
		return -EBADMSG;
	memcpy(ret, text, len);
	ret[len] = '\0';
	return 0;
}
