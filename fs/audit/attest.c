/* SPDX-License-Identifier: Apache-2.0 */
/* Leaves of records that are exported; see attest.h. */
#include "fs/audit/attest.h"

#include <stdlib.h>
#include <string.h>

#include "fs/audit/reader.h"
#include "fs/db/db.h"
#include "fs/ledger/digests.h"
#include "fs/seal/note.h"

struct attest {
	struct db *db;
	struct digests *digests;
	char origin[NOTE_ORIGIN_MAX + 1];
	/* Who goes on from record to record asks for each twice. */
	int64_t last_seq; /* 0: none */
	struct digest last;
};

/* Names that are too long, or hold a NUL or a control character, are no names
 * that a writer gives. */
static bool is_name(const char *bytes, size_t len)
{
	if (len > NOTE_ORIGIN_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)bytes[i] <= ' ' || bytes[i] == 0x7f)
			return false;
	}
	return true;
}

static int read_origin(struct attest *a)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	const char *bytes;
	size_t len;
	int r = db_prepare(
		a->db, "SELECT value FROM meta WHERE key = 'origin'", &s);

	if (r == 0)
		r = db_next(s);
	if (r <= 0)
		return r;
	bytes = db_bytes(s, 0, &len);
	if (bytes && is_name(bytes, len))
		memcpy(a->origin, bytes, len);
	return 0;
}

int attest_open(const char *path, struct attest **ret, struct diag *diag)
{
	_cleanup_(attest_close) struct attest *a = calloc(1, sizeof(*a));
	int r = a ? reader_open(path, &a->db, diag)
		  : diag_set(diag, -ENOMEM, "out of memory");

	if (r < 0)
		return r;
	r = read_origin(a);
	if (r == 0)
		r = digests_new(a->db, &a->digests);
	if (r < 0)
		return diag_set(diag, r, "reading the ledger %s: %s", path,
			db_error(a->db));
	*ret = take_ptr(a);
	return 0;
}

void attest_close(struct attest *a)
{
	if (!a)
		return;
	digests_free(a->digests);
	db_close(a->db);
	free(a);
}

const char *attest_origin(const struct attest *a)
{
	return a->origin;
}

int attest_leaf(struct attest *a, int64_t seq, struct digest *ret)
{
	int r;

	if (seq < 1)
		return -ENOENT;
	if (seq == a->last_seq) {
		*ret = a->last;
		return 0;
	}
	r = digests_leaf(a->digests, seq, ret);
	if (r == 0) {
		a->last_seq = seq;
		a->last = *ret;
	}
	return r;
}
