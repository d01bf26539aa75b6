/* SPDX-License-Identifier: Apache-2.0 */
/* Signed notes; see note.h. */
#include "fs/seal/note.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "fs/base/utf8.h"
#include "fs/seal/text.h"

#define ED25519 0x01 /* how C2SP numbers what made a signature */
#define KEY_ID_LEN 4
#define DASH "\xe2\x80\x94 "
#define NEXT_KEY "stele key "

/* As Unicode has them; the ASCII ones but ' ' are control characters. */
static bool is_space(uint32_t c)
{
	return c == ' ' || c == 0x85 || c == 0xa0 || c == 0x1680 ||
	       (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
	       c == 0x202f || c == 0x205f || c == 0x3000;
}

static bool is_name(struct text t)
{
	size_t n;

	for (size_t i = 0; i < t.len; i += n) {
		uint32_t c;

		n = utf8_decode(t.at + i, t.len - i, &c);
		if (n == 0 || c < ' ' || (c >= 0x7f && c < 0xa0) || c == '+' ||
			is_space(c))
			return false;
	}
	return t.len > 0;
}

static bool is_origin(struct text t)
{
	return t.len <= NOTE_ORIGIN_MAX && is_name(t);
}

bool note_is_origin(const char *text)
{
	return is_origin((struct text){text, strlen(text)});
}

static bool read_origin(struct text t, char ret[NOTE_ORIGIN_MAX + 1])
{
	if (!is_origin(t))
		return false;
	memcpy(ret, t.at, t.len);
	ret[t.len] = '\0';
	return true;
}

static int key_id(const struct note_key *k, uint8_t ret[KEY_ID_LEN])
{
	uint8_t bytes[NOTE_ORIGIN_MAX + 2 + SIGN_PUBLIC_LEN];
	size_t len = strlen(k->name);
	struct digest d;
	int r;

	assert(len <= NOTE_ORIGIN_MAX);
	memcpy(bytes, k->name, len);
	bytes[len++] = '\n';
	bytes[len++] = ED25519;
	memcpy(bytes + len, k->key, SIGN_PUBLIC_LEN);
	r = digest_of(bytes, len + SIGN_PUBLIC_LEN, &d);
	if (r == 0)
		memcpy(ret, d.bytes, KEY_ID_LEN);
	return r;
}

int note_key_print(const struct note_key *k, char ret[NOTE_KEY_MAX])
{
	uint8_t id[KEY_ID_LEN], raw[1 + SIGN_PUBLIC_LEN] = {ED25519};
	char base64[BASE64_LEN(sizeof(raw))];
	int r = key_id(k, id);

	if (r < 0)
		return r;
	memcpy(raw + 1, k->key, SIGN_PUBLIC_LEN);
	base64_write(raw, sizeof(raw), base64);
	(void)snprintf(ret, NOTE_KEY_MAX, "%s+%02x%02x%02x%02x+%.*s", k->name,
		id[0], id[1], id[2], id[3], (int)sizeof(base64), base64);
	return 0;
}

/* That it is written as we would write it checks the hash, too. */
int note_key_parse(const char *text, size_t len, struct note_key *ret)
{
	struct text t = {text, len}, name, id;
	uint8_t raw[1 + SIGN_PUBLIC_LEN];
	char again[NOTE_KEY_MAX];
	struct note_key k;
	int r;

	if (!text_until(&t, '+', &name) || !text_until(&t, '+', &id) ||
		!read_origin(name, k.name) ||
		!text_bytes(t, raw, sizeof(raw)) || raw[0] != ED25519)
		return -EBADMSG;
	memcpy(k.key, raw + 1, SIGN_PUBLIC_LEN);
	r = note_key_print(&k, again);
	if (r < 0)
		return r;
	if (strlen(again) != len || memcmp(again, text, len) != 0)
		return -EBADMSG;
	*ret = k;
	return 0;
}

static bool can_be_made(const struct note *n)
{
	if (!note_is_origin(n->origin) || n->size > INT64_MAX)
		return false;
	return n->kind == NOTE_CHECKPOINT ||
	       (n->kind == NOTE_NEXT_KEY && n->number > 0 &&
		       n->number <= INT64_MAX &&
		       strcmp(n->next.name, n->origin) == 0);
}

static int add_body(const struct note *n, struct buf *ret)
{
	char key[NOTE_KEY_MAX], root[BASE64_LEN(DIGEST_LEN)];
	int r = buf_printf(ret, "%s\n", n->origin);

	if (r == 0 && n->kind == NOTE_NEXT_KEY) {
		r = note_key_print(&n->next, key);
		if (r == 0)
			r = buf_printf(ret, NEXT_KEY "%" PRIu64 "\n%s\n",
				n->number, key);
	}
	base64_write(&n->root, sizeof(n->root), root);
	if (r == 0)
		r = buf_printf(ret, "%" PRIu64 "\n%.*s\n", n->size,
			(int)sizeof(root), root);
	return r;
}

/* Sign what stands in ret from start on. */
static int add_signature(const char *origin, const uint8_t seed[SIGN_SEED_LEN],
	size_t start, struct buf *ret)
{
	uint8_t raw[KEY_ID_LEN + SIGN_LEN];
	char base64[BASE64_LEN(sizeof(raw))];
	struct note_key k;
	int r = sign_public(seed, k.key);

	(void)snprintf(k.name, sizeof(k.name), "%s", origin);
	if (r == 0)
		r = key_id(&k, raw);
	if (r == 0)
		r = sign_make(seed, ret->data + start, ret->len - start,
			raw + KEY_ID_LEN);
	if (r < 0)
		return r;
	base64_write(raw, sizeof(raw), base64);
	return buf_printf(ret, "\n" DASH "%s %.*s\n", origin,
		(int)sizeof(base64), base64);
}

int note_make(const struct note *n, const uint8_t seed[SIGN_SEED_LEN],
	struct buf *ret)
{
	size_t start = ret->len;
	int r;

	if (!can_be_made(n))
		return -EINVAL;
	r = add_body(n, ret);
	if (r == 0)
		r = add_signature(n->origin, seed, start, ret);
	if (r < 0)
		ret->len = start;
	return r;
}

struct signature {
	struct text name;
	size_t len;
	uint8_t bytes[NOTE_MAX / 4 * 3]; /* the key's hash, the signature */
};

static bool take_signature(struct text *t, struct signature *ret)
{
	struct text line;
	ssize_t n;

	if (!text_line(t, &line) || !text_skip(&line, DASH) ||
		!text_until(&line, ' ', &ret->name) || !is_name(ret->name))
		return false;
	n = base64_read(line.at, line.len, ret->bytes, sizeof(ret->bytes));
	ret->len = n < 0 ? 0 : (size_t)n;
	return ret->len > KEY_ID_LEN;
}

static bool is_plain(struct text t)
{
	for (size_t i = 0; i < t.len; i++)
		if ((unsigned char)t.at[i] < ' ' && t.at[i] != '\n')
			return false;
	return utf8_is_valid(t.at, t.len);
}

/*
 * Part a note at its last empty line: the text with its last newline, and the
 * lines of signatures, of which each has the form of one.
 */
static bool part(
	struct text whole, struct text *ret_body, struct text *ret_signatures)
{
	size_t end = whole.len;
	struct signature s;

	if (whole.len > NOTE_MAX || !is_plain(whole))
		return false;
	while (end >= 2 &&
		(whole.at[end - 1] != '\n' || whole.at[end - 2] != '\n'))
		end--;
	if (end < 2 || end == whole.len)
		return false;

	struct text rest = {whole.at + end, whole.len - end};

	*ret_body = (struct text){whole.at, end - 1};
	*ret_signatures = rest;
	while (rest.len > 0)
		if (!take_signature(&rest, &s))
			return false;
	return true;
}

static int read_next_key(struct text number, struct text *t, struct note *n)
{
	struct text key;

	if (!text_number(number, &n->number) || n->number == 0 ||
		!text_line(t, &key))
		return -EBADMSG;

	int r = note_key_parse(key.at, key.len, &n->next);

	if (r == 0 && strcmp(n->next.name, n->origin) != 0)
		r = -EBADMSG;
	return r;
}

int note_parse(const void *text, size_t len, struct note *ret)
{
	struct note n = {.kind = NOTE_CHECKPOINT};
	struct text t, signatures, line, root;

	if (!part((struct text){text, len}, &t, &signatures) ||
		!text_line(&t, &line) || !read_origin(line, n.origin) ||
		!text_line(&t, &line))
		return -EBADMSG;
	if (text_skip(&line, NEXT_KEY)) {
		int r = read_next_key(line, &t, &n);

		if (r < 0)
			return r;
		n.kind = NOTE_NEXT_KEY;
		if (!text_line(&t, &line))
			return -EBADMSG;
	}
	if (!text_number(line, &n.size) || !text_line(&t, &root) ||
		!text_bytes(root, &n.root, sizeof(n.root)) || t.len != 0)
		return -EBADMSG;
	*ret = n;
	return 0;
}

int note_check(const void *text, size_t len, const struct note_key *key)
{
	struct text body, rest;
	struct signature s;
	uint8_t id[KEY_ID_LEN];
	size_t name_len = strlen(key->name);
	int r = key_id(key, id), found = -ENOKEY;

	if (r < 0)
		return r;
	if (!part((struct text){text, len}, &body, &rest))
		return -EBADMSG;
	while (rest.len > 0) {
		if (!take_signature(&rest, &s))
			return -EBADMSG;
		if (s.name.len != name_len ||
			memcmp(s.name.at, key->name, name_len) != 0 ||
			memcmp(s.bytes, id, sizeof(id)) != 0)
			continue;
		if (s.len != KEY_ID_LEN + SIGN_LEN)
			return -EBADMSG;
		r = sign_check(
			key->key, body.at, body.len, s.bytes + KEY_ID_LEN);
		if (r < 0)
			return r;
		found = 0;
	}
	return found;
}
