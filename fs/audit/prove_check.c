/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checking the proof of a record, see prove.h. The tree vouches for the bytes
 * of the record; those end in the digests of the rows that it refers to, and
 * these in others. So rows are taken in the order in which digests lead to
 * them, and what no digest leads to is refused.
 */
#include <string.h>

#include "fs/audit/prove.h"
#include "fs/ledger/record.h"

enum { DIGESTS_MAX = 3 };

struct check {
	struct proved *proved;
	struct hasher *hasher;
	struct diag *diag;
};

static int refuse(struct check *c, const char *why)
{
	return diag_set(c->diag, -EBADMSG, "the proof does not hold: %s", why);
}

/* The digests behind the columns of a row, in the order of record.h. */
static int digests_of(const struct prove_row *row, struct digest *ret,
	bool ret_is[DIGESTS_MAX])
{
	static const char expected[][2] = {
		{'m', 0}, {'p', 2}, {'n', 1}, {'a', 3}, {'e', 1}};
	struct record_value v;
	size_t at = 0;
	int columns, r, count = 0, want = -1;

	for (size_t i = 0; i < ARRAY_LEN(expected); i++)
		want = expected[i][0] == row->table ? expected[i][1] : want;
	if (want < 0 || !record_columns(row->table, &columns))
		return -EBADMSG;
	for (int i = 0; i < columns; i++) {
		if (record_next(&row->bytes, &at, &v) <= 0)
			return -EBADMSG;
	}
	while ((r = record_next(&row->bytes, &at, &v)) > 0) {
		if (count == want ||
			(v.type != 'N' &&
				(v.type != 'B' || v.len != DIGEST_LEN)))
			return -EBADMSG;
		ret_is[count] = v.type == 'B';
		if (ret_is[count])
			memcpy(ret[count].bytes, v.bytes, DIGEST_LEN);
		count++;
	}
	return r < 0 || count != want ? -EBADMSG : want;
}

static struct prove_row row_of(const struct proof_item *item)
{
	return (struct prove_row){
		.table = item->len > 0 ? item->bytes[0] : '\0',
		.bytes = {.data = (char *)(uintptr_t)item->bytes,
			.len = item->len},
	};
}

/* Is this row the one that a digest of one of these rows means? */
static bool leads_to(
	struct check *c, const struct prove_row *from, struct prove_row *row)
{
	static const char tables[][4] = {
		"am", "ap", "an", "em", "pm", "pp", "nm"};
	struct digest is, to[DIGESTS_MAX];
	bool has[DIGESTS_MAX];
	int n = 0, count = digests_of(from, to, has);

	hasher_run(c->hasher, row->bytes.data, row->bytes.len, &is);
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		if (tables[i][0] != from->table)
			continue;
		if (n < count && has[n] && tables[i][1] == row->table &&
			digest_equal(&to[n], &is)) {
			row->ancestor =
				from->table == 'p' ? from->ancestor + 1 : 0;
			return true;
		}
		n++;
	}
	return false;
}

static int add_row(struct check *c, struct prove_row row)
{
	struct proved *p = c->proved;
	struct digest to[DIGESTS_MAX];
	bool has[DIGESTS_MAX];

	if (p->count == PROVE_ROWS_MAX)
		return refuse(c, "it has more rows than a record can have");
	for (size_t i = 0; i < p->count; i++) {
		if (!leads_to(c, &p->rows[i], &row))
			continue;
		if (digests_of(&row, to, has) < 0)
			return refuse(c, "one of its rows is none");
		p->rows[p->count++] = row;
		return 0;
	}
	return refuse(c, "it has a row that the record does not lead to");
}

static int add_record(struct check *c, struct prove_row row)
{
	struct proved *p = c->proved;
	struct digest to[DIGESTS_MAX];
	bool has[DIGESTS_MAX];
	struct record_value seq;
	size_t at = 0;

	if ((row.table != 'a' && row.table != 'e') ||
		digests_of(&row, to, has) < 0)
		return refuse(c, "what it proves is no record");
	if (record_next(&row.bytes, &at, &seq) <= 0 || seq.type != 'I' ||
		seq.number <= 0 || (uint64_t)seq.number != p->proof.index + 1)
		return refuse(c, "the record has another number than the leaf");
	p->seq = (uint64_t)seq.number;
	p->rows[p->count++] = row;
	return 0;
}

static int take_items(struct check *c)
{
	struct proved *p = c->proved;
	struct proof_item item;
	size_t at = 0;
	int r;

	while ((r = proof_next(&p->proof, &at, &item)) > 0) {
		r = 0;
		if (item.type == PROOF_RECORD)
			r = add_record(c, row_of(&item));
		else if (item.type == PROOF_ROW)
			r = add_row(c, row_of(&item));
		if (r < 0)
			return r;
	}
	if (r < 0 || p->count == 0)
		return refuse(c, "it holds no record");
	return 0;
}

int prove_check(const void *text, size_t len, const struct note_key *key,
	struct proved *ret, struct diag *diag)
{
	_cleanup_(hasher_free) struct hasher *h = hasher_new();
	struct proved p = {0};
	struct check c = {.proved = &p, .hasher = h, .diag = diag};
	int r;

	if (!h)
		return diag_errno(diag, -ENOMEM, "checking the proof");
	r = proof_parse(text, len, &p.proof, diag);
	if (r < 0)
		return r;
	r = proof_check(&p.proof, key, &p.checkpoint, diag);
	if (r == 0)
		r = take_items(&c);
	if (r < 0) {
		proved_done(&p);
		return r;
	}
	*ret = p;
	return 0;
}

void proved_done(struct proved *p)
{
	proof_done(&p->proof);
	p->count = 0;
}
