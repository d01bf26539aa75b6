/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the first inputs of fuzz_prove into a folder: the items of proofs, as
 * a ledger would give them. corpus/prove/ holds them and what fuzzing has
 * added.
 */
#include <string.h>

#include "fs/ledger/record.h"
#include "fs/seal/proof.h"

/* The canonical bytes of a row whose columns are all small numbers. */
static int make_row(
	char table, const struct digest *refers, int count, struct buf *ret)
{
	struct record r;
	int columns, e;

	(void)record_columns(table, &columns);
	record_init(&r);
	record_begin(&r, NULL, table);
	for (int i = 0; i < columns; i++) {
		if (i == 0)
			record_int(&r, 1);
		else if (i % 3 == 0)
			record_text(&r, "text");
		else if (i % 3 == 1)
			record_bytes(&r, "\0\xff", 2);
		else
			record_null(&r);
	}
	for (int i = 0; i < count; i++)
		record_refer(&r, &refers[i]);
	e = record_end(&r);
	if (e == 0)
		e = buf_add(ret, r.bytes.data, r.bytes.len);
	record_done(&r);
	return e;
}

static int write_seed(
	const char *folder, const char *name, const struct buf *bytes)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);

	FILE *f = fopen(path, "we");

	if (!f)
		return -1;

	bool ok = fwrite(bytes->data, 1, bytes->len, f) == bytes->len;

	return fclose(f) == 0 && ok ? 0 : -1;
}

/* A row, as an item, and its digest. */
static int add(struct proof *p, enum proof_type type, struct buf *row,
	struct digest *ret)
{
	int r = digest_of(row->data, row->len, ret);

	if (r == 0)
		r = proof_add(p, type, row->data, row->len);
	return r;
}

static int seed_attempt(const char *folder, const char *name, bool rows)
{
	_cleanup_buf_ struct buf mount, parent, proc, node, attempt;
	struct digest of_mount = {{0}}, of_proc[2], of_attempt[3], unused;
	struct proof p;
	int r;

	buf_init(&mount, RECORD_MAX);
	buf_init(&parent, RECORD_MAX);
	buf_init(&proc, RECORD_MAX);
	buf_init(&node, RECORD_MAX);
	buf_init(&attempt, RECORD_MAX);
	proof_init(&p);
	r = make_row('m', NULL, 0, &mount);
	if (r == 0)
		r = digest_of(mount.data, mount.len, &of_mount);
	of_proc[0] = of_proc[1] = of_mount;
	if (r == 0)
		r = make_row('p', of_proc, 2, &parent);
	if (r == 0)
		r = digest_of(parent.data, parent.len, &of_proc[1]);
	if (r == 0)
		r = make_row('p', of_proc, 2, &proc);
	if (r == 0)
		r = make_row('n', &of_mount, 1, &node);
	of_attempt[0] = of_mount;
	if (r == 0)
		r = digest_of(proc.data, proc.len, &of_attempt[1]);
	if (r == 0)
		r = digest_of(node.data, node.len, &of_attempt[2]);
	if (r == 0)
		r = make_row('a', of_attempt, 3, &attempt);
	if (r == 0)
		r = add(&p, PROOF_RECORD, &attempt, &unused);
	if (r == 0 && rows)
		r = add(&p, PROOF_ROW, &mount, &unused);
	if (r == 0 && rows)
		r = add(&p, PROOF_ROW, &proc, &unused);
	if (r == 0 && rows)
		r = add(&p, PROOF_ROW, &parent, &unused);
	if (r == 0 && rows)
		r = add(&p, PROOF_ROW, &node, &unused);
	if (r == 0)
		r = write_seed(folder, name, &p.extra);
	proof_done(&p);
	return r;
}

static int seed_event(const char *folder)
{
	_cleanup_buf_ struct buf event;
	struct digest mount = {.bytes = {1}}, unused;
	struct proof p;
	int r;

	buf_init(&event, RECORD_MAX);
	proof_init(&p);
	r = make_row('e', &mount, 1, &event);
	if (r == 0)
		r = add(&p, PROOF_RECORD, &event, &unused);
	if (r == 0)
		r = write_seed(folder, "seed-event", &p.extra);
	proof_done(&p);
	return r;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	return seed_attempt(argv[1], "seed-attempt", true) < 0 ||
	       seed_attempt(argv[1], "seed-attempt-alone", false) < 0 ||
	       seed_event(argv[1]) < 0;
}
