/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a ledger's secret; see keyfile.h. It is made and read in one
 * fixed array that is overwritten at once: a growing buffer would leave copies
 * of the secret in freed memory. keyfile_store.c gets it to disk.
 */
#include "fs/seal/keyfile.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "fs/seal/keyfile_store.h"
#include "fs/seal/text.h"

#define VERSION 1

static void put(struct secret_text *t, const char *text)
{
	size_t len = strlen(text);

	assert(len <= sizeof(t->bytes) - t->len);
	memcpy(t->bytes + t->len, text, len);
	t->len += len;
}

static void put_base64(
	struct secret_text *t, const char *name, const void *data, size_t len)
{
	put(t, name);
	assert(BASE64_LEN(len) < sizeof(t->bytes) - t->len);
	base64_write(data, len, t->bytes + t->len);
	t->len += BASE64_LEN(len);
	put(t, "\n");
}

static void put_number(struct secret_text *t, const char *name, uint64_t n)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64 "\n", n);
	put(t, name);
	put(t, text);
}

static int write_text(const struct keyfile *k, struct secret_text *ret)
{
	struct digest sum;
	int r;

	ret->len = 0;
	put_number(ret, "stele-key ", VERSION);
	put(ret, "origin ");
	put(ret, k->origin);
	put_number(ret, "\nnumber ", k->number);
	put_base64(ret, "seed ", k->seed, sizeof(k->seed));
	if (k->has_next)
		put_base64(ret, "next ", k->next_seed, sizeof(k->next_seed));
	put_number(ret, "size ", k->size);
	put_base64(ret, "root ", &k->root, sizeof(k->root));
	r = digest_of(ret->bytes, ret->len, &sum);
	if (r == 0)
		put_base64(ret, "sum ", &sum, sizeof(sum));
	return r;
}

/* A text being read. */
struct reader {
	struct text rest;
	unsigned line; /* the number of the last that was taken */
};

/* Take a line off, of which name is the beginning and the rest the value. */
static bool take(struct reader *r, const char *name, struct text *ret)
{
	r->line++;
	return text_line(&r->rest, ret) && text_skip(ret, name);
}

static bool take_base64(
	struct reader *r, const char *name, void *ret, size_t len)
{
	struct text value;

	return take(r, name, &value) && text_bytes(value, ret, len);
}

static bool take_number(struct reader *r, const char *name, uint64_t *ret)
{
	struct text value;

	return take(r, name, &value) && text_number(value, ret);
}

static bool take_origin(struct reader *r, char ret[NOTE_ORIGIN_MAX + 1])
{
	struct text value;

	if (!take(r, "origin ", &value) || value.len > NOTE_ORIGIN_MAX ||
		memchr(value.at, '\0', value.len))
		return false;
	memcpy(ret, value.at, value.len);
	ret[value.len] = '\0';
	return note_is_origin(ret);
}

static bool take_values(struct reader *r, struct keyfile *k)
{
	struct text peek;

	if (!take_origin(r, k->origin) ||
		!take_number(r, "number ", &k->number) ||
		!take_base64(r, "seed ", k->seed, sizeof(k->seed)))
		return false;
	peek = r->rest;
	k->has_next = text_skip(&peek, "next ");
	if (k->has_next &&
		!take_base64(r, "next ", k->next_seed, sizeof(k->next_seed)))
		return false;
	return take_number(r, "size ", &k->size) &&
	       take_base64(r, "root ", &k->root, sizeof(k->root));
}

static int read_text(
	const struct secret_text *t, struct keyfile *k, struct diag *diag)
{
	struct reader r = {.rest = {t->bytes, t->len}};
	struct digest sum, expected;
	uint64_t version;
	int e;

	if (!take_number(&r, "stele-key ", &version) || version == 0)
		return diag_set(diag, -EBADMSG,
			"key file %s is no key file; put the right one back",
			k->path);
	if (version != VERSION)
		return diag_set(diag, -EOPNOTSUPP,
			"key file %s is of version %" PRIu64
			", made by a newer stele; use that",
			k->path, version);
	if (take_values(&r, k)) {
		e = digest_of(
			t->bytes, (size_t)(r.rest.at - t->bytes), &expected);
		if (e < 0)
			return diag_errno(diag, e, "key file %s", k->path);
		if (take_base64(&r, "sum ", &sum, sizeof(sum)) &&
			r.rest.len == 0 && digest_equal(&sum, &expected))
			return 0;
	}
	return diag_set(diag, -EBADMSG,
		"key file %s is damaged, line %u; put a copy back, or begin a "
		"new ledger",
		k->path, r.line);
}

/* The public half of a secret, named as the log is. */
static int name_key(
	const struct keyfile *k, const uint8_t *seed, struct note_key *ret)
{
	memcpy(ret->name, k->origin, sizeof(ret->name));
	return sign_public(seed, ret->key);
}

static int name_keys(struct keyfile *k)
{
	int r = name_key(k, k->seed, &k->key);

	return r == 0 && k->has_next ? name_key(k, k->next_seed, &k->next) : r;
}

/* The secrets in it go when it does. */
#define _cleanup_keyfile_ __attribute__((cleanup(keyfile_done)))

/* Hand a keyfile over. */
static void move(struct keyfile *from, struct keyfile *to)
{
	*to = *from;
	from->path = NULL;
}

int keyfile_read(const char *path, struct keyfile *ret, struct diag *diag)
{
	_cleanup_keyfile_ struct keyfile k = {.path = strdup(path)};
	_cleanup_secret_ struct secret_text t;
	int r;

	if (!k.path)
		return -ENOMEM;
	r = keyfile_store_read(path, &t, diag);
	if (r == 0)
		r = read_text(&t, &k, diag);
	if (r == 0)
		r = name_keys(&k);
	if (r == 0)
		move(&k, ret);
	return r;
}

int keyfile_create(const char *path, const char *origin, struct keyfile *ret,
	struct diag *diag)
{
	_cleanup_keyfile_ struct keyfile k = {.path = strdup(path)};
	_cleanup_secret_ struct secret_text t;
	int r;

	if (!note_is_origin(origin))
		return diag_set(diag, -EINVAL,
			"key file %s: \"%s\" can't name a log", path, origin);
	(void)snprintf(k.origin, sizeof(k.origin), "%s", origin);
	r = k.path ? digest_of("", 0, &k.root) : -ENOMEM;
	if (r == 0)
		r = sign_new(k.seed);
	if (r == 0)
		r = name_keys(&k);
	if (r == 0)
		r = write_text(&k, &t);
	if (r < 0)
		return diag_errno(diag, r, "making key file %s", path);
	r = keyfile_store_create(path, &t, diag);
	if (r == 0)
		move(&k, ret);
	return r;
}

/* A copy that is to become k: it goes without the path, which is k's. */
static void forget_copy(struct keyfile *k)
{
	sign_forget(k, sizeof(*k));
}

#define _cleanup_copy_ __attribute__((cleanup(forget_copy)))

/* Make the file say what next does, and then k. */
static int replace(
	struct keyfile *k, const struct keyfile *next, struct diag *diag)
{
	_cleanup_secret_ struct secret_text t;
	bool done = false;
	int r = write_text(next, &t);

	if (r < 0)
		return diag_errno(diag, r, "replacing key file %s", k->path);
	r = keyfile_store_replace(k->path, &t, &done, diag);
	if (done)
		*k = *next;
	return r;
}

int keyfile_remember(struct keyfile *k, uint64_t size,
	const struct digest *root, struct diag *diag)
{
	_cleanup_copy_ struct keyfile next = *k;

	assert(size <= INT64_MAX);
	next.size = size;
	next.root = *root;
	return replace(k, &next, diag);
}

int keyfile_prepare(struct keyfile *k, struct diag *diag)
{
	_cleanup_copy_ struct keyfile next = *k;
	int r = sign_new(next.next_seed);

	next.has_next = true;
	if (r == 0)
		r = name_keys(&next);
	if (r < 0)
		return diag_errno(diag, r, "key file %s: a new key", k->path);
	return replace(k, &next, diag);
}

int keyfile_advance(struct keyfile *k, struct diag *diag)
{
	_cleanup_copy_ struct keyfile next = *k;

	if (!k->has_next)
		return diag_set(diag, -EINVAL,
			"key file %s: there is no next key", k->path);
	next.number++;
	next.has_next = false;
	next.key = k->next;
	memcpy(next.seed, k->next_seed, sizeof(next.seed));
	sign_forget(next.next_seed, sizeof(next.next_seed));
	sign_forget(&next.next, sizeof(next.next));
	return replace(k, &next, diag);
}

void keyfile_done(struct keyfile *k)
{
	free(k->path);
	sign_forget(k, sizeof(*k));
}
