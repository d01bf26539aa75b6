/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 through libcrypto and XXH3 through libxxhash; see digest.h. */
#include "fs/codec/digest.h"

#include <assert.h>
#include <openssl/evp.h>
#include <string.h>
#include <xxhash.h>

struct hasher {
	EVP_MD *md;
	EVP_MD_CTX *ctx;
};

struct hasher *hasher_new(void)
{
	_cleanup_(hasher_free) struct hasher *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->md = EVP_MD_fetch(NULL, "SHA256", NULL);
	h->ctx = EVP_MD_CTX_new();
	if (!h->md || !h->ctx)
		return NULL;
	return take_ptr(h);
}

void hasher_free(struct hasher *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->ctx);
	EVP_MD_free(h->md);
	free(h);
}

/*
 * With a fetched SHA-256 and an allocated context the EVP calls below have no
 * way left to fail; a failure would be a broken libcrypto, and going on with a
 * wrong digest is worse than stopping.
 */
static void require(int ok)
{
	if (!ok)
		abort();
}

void hasher_begin(struct hasher *h)
{
	require(EVP_DigestInit_ex2(h->ctx, h->md, NULL));
}

void hasher_add(struct hasher *h, const void *data, size_t len)
{
	require(EVP_DigestUpdate(h->ctx, data, len));
}

void hasher_end(struct hasher *h, struct digest *ret)
{
	require(EVP_DigestFinal_ex(h->ctx, ret->bytes, NULL));
}

void hasher_run(
	struct hasher *h, const void *data, size_t len, struct digest *ret)
{
	hasher_begin(h);
	hasher_add(h, data, len);
	hasher_end(h, ret);
}

int digest_of(const void *data, size_t len, struct digest *ret)
{
	_cleanup_(hasher_free) struct hasher *h = hasher_new();

	if (!h)
		return -ENOMEM;
	hasher_run(h, data, len, ret);
	return 0;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return memcmp(a->bytes, b->bytes, DIGEST_LEN) == 0;
}

void digest_hex(const struct digest *d, char ret[DIGEST_HEX_LEN + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < DIGEST_LEN; i++) {
		ret[2 * i] = digits[d->bytes[i] >> 4];
		ret[2 * i + 1] = digits[d->bytes[i] & 15];
	}
	ret[DIGEST_HEX_LEN] = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int digest_parse(const char *text, struct digest *ret)
{
	struct digest d;

	if (strlen(text) != DIGEST_HEX_LEN)
		return -EINVAL;
	for (size_t i = 0; i < DIGEST_LEN; i++) {
		int high = hex_value(text[2 * i]);
		int low = hex_value(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		d.bytes[i] = (uint8_t)(high << 4 | low);
	}
	*ret = d;
	return 0;
}

uint64_t checksum(const void *data, size_t len)
{
	return XXH3_64bits(data, len);
}
