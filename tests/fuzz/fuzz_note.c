/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target of all texts that seal a ledger. The first byte says of what:
 *
 *	n  a signed note		k  a key
 *	p  a proof			i  the items of a proof's extra data
 *	f  a key file			b  base64
 *
 * What is taken is written again, and must be what was read: there is one way
 * to write each. A key file is tried as it is and with its sum put right, since
 * otherwise that would stop nearly every input.
 */
#include <assert.h>
#include <fcntl.h>
#include <string.h>

#include "fs/base/io.h"
#include "fs/seal/keyfile.h"
#include "fs/seal/proof.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/note_sample.h"

static void check_note(const char *text, size_t len)
{
	_cleanup_buf_ struct buf again = {.max = NOTE_MAX};
	uint8_t seed[SIGN_SEED_LEN];
	struct note_key key;
	struct note n;

	note_sample_key(0, &key);

	int r = note_check(text, len, &key);

	assert(r == 0 || r == -EBADMSG || r == -ENOKEY);
	if (note_parse(text, len, &n) < 0)
		return;
	note_sample_seed(0, seed);
	assert(note_make(&n, seed, &again) == 0);

	/* The text up to the signatures is the same. */
	const char *end = memmem(again.data, again.len, "\n\n", 2);
	size_t body = (size_t)(end - again.data) + 2;

	assert(end && len >= body && memcmp(text, again.data, body) == 0);
	assert(note_check(again.data, again.len, &key) ==
		(strcmp(n.origin, key.name) == 0 ? 0 : -ENOKEY));
}

static void check_key(const char *text, size_t len)
{
	char again[NOTE_KEY_MAX];
	struct note_key k;

	if (note_key_parse(text, len, &k) < 0)
		return;
	assert(note_is_origin(k.name));
	assert(note_key_print(&k, again) == 0);
	assert(strlen(again) == len && memcmp(again, text, len) == 0);
}

static void judge(const struct proof *p)
{
	struct diag diag = {0};
	struct note_key key;
	struct note head;

	note_sample_key(0, &key);

	int r = proof_check(p, &key, &head, &diag);

	assert(r == 0 || ((r == -EBADMSG || r == -ENOKEY) && diag.text[0]));
}

static void check_proof(const char *text, size_t len)
{
	_cleanup_buf_ struct buf again = {.max = PROOF_MAX};
	struct diag diag = {0};
	struct proof p;

	if (proof_parse(text, len, &p, &diag) < 0) {
		assert(diag.text[0]);
		return;
	}
	assert(proof_make(&p, &again) == 0);
	assert(again.len == len && memcmp(again.data, text, len) == 0);
	judge(&p);
	proof_done(&p);
}

static void check_items(const char *bytes, size_t len)
{
	_cleanup_buf_ struct buf text = {.max = PROOF_MAX};
	struct proof p;
	struct proof_item item;
	size_t at = 0, total = 0;
	int r;

	note_sample_proof(&p);
	p.extra.len = 0;
	if (buf_add(&p.extra, bytes, len) == 0) {
		while ((r = proof_next(&p, &at, &item)) > 0) {
			assert(item.bytes + item.len == p.extra.data + at);
			total++;
		}
		assert(total <= len / 5 && (r < 0 || at == len));
		assert(proof_make(&p, &text) == (r < 0 ? -EINVAL : 0));
		judge(&p);
	}
	proof_done(&p);
}

/* Where there is room for a file that is written and synced very often. */
static const char *key_path(void)
{
	static char path[64];

	if (!path[0])
		(void)snprintf(path, sizeof(path), "%s/stele-fuzz-key.%d",
			access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp",
			(int)getpid());
	return path;
}

/* What a key file says is remembered anew, which writes the same file. */
static void check_key_file(const char *text, size_t len)
{
	_cleanup_close_ int fd = open(key_path(),
		O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	_cleanup_close_ int again = -1;
	_cleanup_free_ char *bytes = malloc(len + 1);
	struct diag diag = {0};
	struct keyfile k;
	int r;

	if (fd < 0 || !bytes || io_write(fd, text, len) < 0)
		return;
	r = keyfile_read(key_path(), &k, &diag);
	assert(r == 0 || ((r == -EBADMSG || r == -EOPNOTSUPP) && diag.text[0]));
	if (r == 0) {
		struct digest root = k.root;

		assert(keyfile_remember(&k, k.size, &root, &diag) == 0);
		keyfile_done(&k);
		again = open(key_path(), O_RDONLY | O_CLOEXEC);
		assert(io_read(again, bytes, len + 1) == (ssize_t)len);
		assert(memcmp(bytes, text, len) == 0);
	}
	(void)unlink(key_path());
}

/* Its last line becomes the sum of those before. */
static void check_with_sum(const char *text, size_t len)
{
	_cleanup_buf_ struct buf b = {.max = len + 64};
	const char *last = len > 1 ? memrchr(text, '\n', len - 1) : NULL;
	size_t before = last ? (size_t)(last - text) + 1 : 0;
	struct digest sum;

	if (digest_of(text, before, &sum) == 0 &&
		buf_add(&b, text, before) == 0 && buf_add(&b, "sum ", 4) == 0 &&
		base64_add(&b, &sum, sizeof(sum)) == 0 &&
		buf_add(&b, "\n", 1) == 0)
		check_key_file(b.data, b.len);
}

static void check_base64(const char *text, size_t len)
{
	_cleanup_buf_ struct buf raw = {.max = len}, again = {.max = len};

	if (base64_parse(text, len, &raw) < 0)
		return;
	assert(base64_add(&again, raw.data, raw.len) == 0);
	assert(again.len == len &&
		(len == 0 || memcmp(again.data, text, len) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *text = (const char *)data + 1;

	if (len == 0)
		return 0;
	len--;
	switch (data[0]) {
	case 'n': check_note(text, len); break;
	case 'k': check_key(text, len); break;
	case 'p': check_proof(text, len); break;
	case 'i': check_items(text, len); break;
	case 'f':
		check_key_file(text, len);
		check_with_sum(text, len);
		break;
	case 'b': check_base64(text, len); break;
	default: break;
	}
	return 0;
}

#ifdef FUZZING
/* Most changes keep what it is; some make a line out of another. */
size_t LLVMFuzzerCustomMutator(
	uint8_t *data, size_t len, size_t max, unsigned seed)
{
	static const char kinds[] = "nkpifb";

	if (len == 0 || max < 2)
		return LLVMFuzzerMutate(data, len, max);
	if (!memchr(kinds, data[0], sizeof(kinds) - 1) || seed % 64 == 0)
		data[0] = (uint8_t)kinds[seed / 64 % (sizeof(kinds) - 1)];
	return 1 + LLVMFuzzerMutate(data + 1, len - 1, max - 1);
}
#endif
