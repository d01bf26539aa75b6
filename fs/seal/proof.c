/* SPDX-License-Identifier: Apache-2.0 */
/* Proofs that a record is in a ledger; see proof.h. */
#include "fs/seal/proof.h"

#include <inttypes.h>
#include <string.h>

#include "fs/seal/text.h"

#define HEADER "c2sp.org/tlog-proof@v1"
#define ITEM_HEAD 5 /* a letter, four bytes of length */

void proof_init(struct proof *p)
{
	p->index = 0;
	buf_init(&p->extra, PROOF_EXTRA_MAX);
	buf_init(&p->path, MERKLE_LEVELS * sizeof(struct digest));
	buf_init(&p->note, NOTE_MAX);
}

void proof_done(struct proof *p)
{
	buf_done(&p->extra);
	buf_done(&p->path);
	buf_done(&p->note);
}

#define _cleanup_proof_ __attribute__((cleanup(proof_done)))

int proof_add(
	struct proof *p, enum proof_type type, const void *bytes, size_t len)
{
	const uint8_t head[ITEM_HEAD] = {(uint8_t)type, (uint8_t)(len >> 24),
		(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};
	size_t before = p->extra.len;
	int r;

	if (len > PROOF_EXTRA_MAX)
		return -E2BIG;
	r = buf_add(&p->extra, head, sizeof(head));
	if (r == 0)
		r = buf_add(&p->extra, bytes, len);
	if (r < 0)
		p->extra.len = before;
	return r;
}

int proof_next(const struct proof *p, size_t *at, struct proof_item *ret)
{
	size_t left = p->extra.len - *at, len;
	const uint8_t *head;

	if (left == 0)
		return 0;
	head = (const uint8_t *)p->extra.data + *at;
	if (left < ITEM_HEAD ||
		(head[0] != PROOF_RECORD && head[0] != PROOF_ROW &&
			head[0] != PROOF_KEY))
		return -EBADMSG;
	/* The record is the first, and the only one. */
	if ((head[0] == PROOF_RECORD) != (*at == 0))
		return -EBADMSG;
	len = (size_t)head[1] << 24 | (size_t)head[2] << 16 |
	      (size_t)head[3] << 8 | head[4];
	if (len > left - ITEM_HEAD)
		return -EBADMSG;
	*ret = (struct proof_item){
		head[0], (const char *)head + ITEM_HEAD, len};
	*at += ITEM_HEAD + len;
	return 1;
}

static int check_items(const struct proof *p)
{
	struct proof_item item;
	size_t at = 0;
	int r;

	do
		r = proof_next(p, &at, &item);
	while (r > 0);
	return r;
}

/* Read the checkpoint, and hold the index against it. */
static int read_head(const struct proof *p, struct note *ret)
{
	int r = note_parse(p->note.data, p->note.len, ret);

	if (r == 0 && (ret->kind != NOTE_CHECKPOINT || p->index >= ret->size))
		r = -EBADMSG;
	return r;
}

static int add_base64_line(
	struct buf *ret, const char *name, const void *data, size_t len)
{
	int r = buf_add(ret, name, strlen(name));

	if (r == 0)
		r = base64_add(ret, data, len);
	return r == 0 ? buf_add(ret, "\n", 1) : r;
}

static int add_lines(const struct proof *p, struct buf *ret)
{
	int r = buf_printf(ret, HEADER "\n");

	if (r == 0 && p->extra.len > 0)
		r = add_base64_line(ret, "extra ", p->extra.data, p->extra.len);
	if (r == 0)
		r = buf_printf(ret, "index %" PRIu64 "\n", p->index);
	for (size_t at = 0; r == 0 && at < p->path.len; at += DIGEST_LEN)
		r = add_base64_line(ret, "", p->path.data + at, DIGEST_LEN);
	if (r == 0)
		r = buf_add(ret, "\n", 1);
	return r == 0 ? buf_add(ret, p->note.data, p->note.len) : r;
}

int proof_make(const struct proof *p, struct buf *ret)
{
	size_t before = ret->len;
	struct note head;
	int r = check_items(p);

	if (r == 0)
		r = read_head(p, &head);
	if (p->path.len % DIGEST_LEN != 0 ||
		p->path.len > MERKLE_LEVELS * DIGEST_LEN)
		r = -EBADMSG;
	if (r < 0)
		return r == -EBADMSG ? -EINVAL : r;
	r = add_lines(p, ret);
	if (r < 0)
		ret->len = before;
	return r;
}

/* The line that is being read, for who has to be told. */
struct reader {
	struct text rest;
	struct text line;
	size_t number;
	struct diag *diag;
};

static int wrong(const struct reader *r, const char *why)
{
	return diag_set(
		r->diag, -EBADMSG, "line %zu of the proof %s", r->number, why);
}

static int next_line(struct reader *r)
{
	r->number++;
	return text_line(&r->rest, &r->line) ? 0 : wrong(r, "is missing");
}

static int read_extra(struct reader *r, struct proof *p)
{
	int e;

	if (!text_skip(&r->line, "extra "))
		return 0;
	e = r->line.len == 0 ? -EBADMSG
			     : base64_parse(r->line.at, r->line.len, &p->extra);
	if (e == 0)
		e = check_items(p);
	if (e == -E2BIG)
		return wrong(r, "is too long");
	if (e == -EBADMSG)
		return wrong(r, "does not hold a record of a ledger");
	return e < 0 ? e : next_line(r);
}

static int read_path(struct reader *r, struct proof *p)
{
	struct digest d;
	int e;

	for (;;) {
		e = next_line(r);
		if (e < 0 || r->line.len == 0)
			return e;
		if (!text_bytes(r->line, &d, sizeof(d)))
			return wrong(r, "is not the base64 of a hash");
		e = buf_add(&p->path, &d, sizeof(d));
		if (e == -E2BIG)
			return wrong(
				r, "is one hash more than a tree can have");
		if (e < 0)
			return e;
	}
}

static int read_lines(struct reader *r, struct proof *p)
{
	struct text line;
	struct note head;
	int e = next_line(r);

	if (e < 0)
		return e;
	line = r->line;
	if (!text_skip(&line, HEADER) || line.len != 0)
		return wrong(r, "does not say " HEADER);
	e = next_line(r);
	if (e == 0)
		e = read_extra(r, p);
	if (e < 0)
		return e;
	if (!text_skip(&r->line, "index ") || !text_number(r->line, &p->index))
		return wrong(r, "does not say which leaf it is about");
	e = read_path(r, p);
	if (e < 0)
		return e;
	r->number++;
	e = buf_add(&p->note, r->rest.at, r->rest.len);
	if (e == 0)
		e = read_head(p, &head);
	if (e == -EBADMSG || e == -E2BIG)
		return wrong(r,
			"does not begin a checkpoint that the leaf is under");
	return e;
}

int proof_parse(
	const void *text, size_t len, struct proof *ret, struct diag *diag)
{
	struct reader r = {.rest = {text, len}, .diag = diag};
	_cleanup_proof_ struct proof p;
	int e;

	proof_init(&p);
	e = read_lines(&r, &p);
	if (e == 0) {
		*ret = p;
		proof_init(&p);
	} else if (e != -EBADMSG) {
		(void)diag_errno(diag, e, "reading the proof");
	}
	return e;
}

/* What is known while the notes are read. */
struct chain {
	struct note_key key;
	uint64_t number; /* of the key; 0: not known, or the first */
	uint64_t size;	 /* of the tree when it took over */
};

/* One note: it is by the key, and hands over to the next. */
static int follow(struct chain *c, const struct proof_item *item)
{
	struct note n;
	int r = note_parse(item->bytes, item->len, &n);

	if (r == 0)
		r = note_check(item->bytes, item->len, &c->key);
	if (r == -ENOKEY && c->number == 0)
		return 0; /* of a time before the key we know */
	if (r < 0)
		return r;
	if (n.kind != NOTE_NEXT_KEY || strcmp(n.origin, c->key.name) != 0 ||
		(c->number > 0 && n.number != c->number + 1) ||
		n.size < c->size)
		return -EBADMSG;
	*c = (struct chain){n.next, n.number, n.size};
	return 0;
}

static int follow_all(const struct proof *p, struct chain *c, struct diag *diag)
{
	struct proof_item item;
	size_t at = 0;
	int r;

	while ((r = proof_next(p, &at, &item)) > 0) {
		if (item.type == PROOF_KEY)
			r = follow(c, &item);
		if (r < 0)
			break;
	}
	if (r == -ENOMEM)
		return diag_errno(diag, r, "checking the proof");
	if (r < 0)
		return diag_set(diag, -EBADMSG,
			"the proof does not lead from the public key to the "
			"one that signed its checkpoint");
	return 0;
}

static int check_head(const struct proof *p, const struct chain *c,
	struct note *ret, struct diag *diag)
{
	int r = read_head(p, ret);

	if (r == 0)
		r = note_check(p->note.data, p->note.len, &c->key);
	if (r == -ENOKEY)
		return diag_set(diag, r,
			"the checkpoint of the proof is signed by another key "
			"than %s's; give the public key of its ledger",
			c->key.name);
	if (r == 0 &&
		(strcmp(ret->origin, c->key.name) != 0 || ret->size < c->size))
		r = -EBADMSG;
	if (r == -ENOMEM)
		return diag_errno(diag, r, "checking the proof");
	if (r < 0)
		return diag_set(diag, r,
			"the checkpoint of the proof is not one that %s signed",
			c->key.name);
	return 0;
}

static int check_leaf(
	const struct proof *p, const struct note *head, struct diag *diag)
{
	_cleanup_(hasher_free) struct hasher *h = hasher_new();
	struct proof_item item;
	struct digest leaf;
	size_t at = 0;

	if (!h)
		return diag_errno(diag, -ENOMEM, "checking the proof");
	if (proof_next(p, &at, &item) <= 0)
		return diag_set(
			diag, -EBADMSG, "the proof does not hold its record");
	merkle_leaf(h, item.bytes, item.len, &leaf);
	if (merkle_check_inclusion(h, &leaf, p->index, head->size,
		    (const struct digest *)p->path.data,
		    p->path.len / DIGEST_LEN, &head->root) < 0)
		return diag_set(diag, -EBADMSG,
			"the record of the proof is not in the tree of its "
			"checkpoint, or not at its place");
	return 0;
}

int proof_check(const struct proof *p, const struct note_key *key,
	struct note *ret, struct diag *diag)
{
	struct chain c = {.key = *key};
	struct note head;
	int r = follow_all(p, &c, diag);

	if (r == 0)
		r = check_head(p, &c, &head, diag);
	if (r == 0)
		r = check_leaf(p, &head, diag);
	if (r == 0)
		*ret = head;
	return r;
}
