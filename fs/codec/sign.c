/* SPDX-License-Identifier: Apache-2.0 */
/* Ed25519 through libcrypto; see sign.h. */
#include "fs/codec/sign.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

DEFINE_CLEANUP(EVP_PKEY_free, EVP_PKEY *);
DEFINE_CLEANUP(EVP_MD_CTX_free, EVP_MD_CTX *);

int sign_new(uint8_t ret_seed[SIGN_SEED_LEN])
{
	uint8_t seed[SIGN_SEED_LEN];

	if (RAND_priv_bytes(seed, sizeof(seed)) != 1)
		return -EIO;
	memcpy(ret_seed, seed, sizeof(seed));
	sign_forget(seed, sizeof(seed));
	return 0;
}

/* Any 32 bytes are a secret key: only memory can be missing. */
static EVP_PKEY *secret_key(const uint8_t seed[SIGN_SEED_LEN])
{
	return EVP_PKEY_new_raw_private_key(
		EVP_PKEY_ED25519, NULL, seed, SIGN_SEED_LEN);
}

int sign_public(const uint8_t seed[SIGN_SEED_LEN], uint8_t ret[SIGN_PUBLIC_LEN])
{
	_cleanup_(EVP_PKEY_free) EVP_PKEY *key = secret_key(seed);
	uint8_t public[SIGN_PUBLIC_LEN];
	size_t len = sizeof(public);

	if (!key || EVP_PKEY_get_raw_public_key(key, public, &len) != 1)
		return -ENOMEM;
	assert(len == sizeof(public));
	memcpy(ret, public, sizeof(public));
	return 0;
}

int sign_make(const uint8_t seed[SIGN_SEED_LEN], const void *text, size_t len,
	uint8_t ret[SIGN_LEN])
{
	_cleanup_(EVP_PKEY_free) EVP_PKEY *key = secret_key(seed);
	_cleanup_(EVP_MD_CTX_free) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t signature[SIGN_LEN];
	size_t n = sizeof(signature);

	if (!key || !ctx)
		return -ENOMEM;
	if (EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) != 1 ||
		EVP_DigestSign(ctx, signature, &n, text, len) != 1)
		return -ENOMEM;
	assert(n == sizeof(signature));
	memcpy(ret, signature, sizeof(signature));
	return 0;
}

int sign_check(const uint8_t key[SIGN_PUBLIC_LEN], const void *text, size_t len,
	const uint8_t signature[SIGN_LEN])
{
	_cleanup_(EVP_MD_CTX_free) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	_cleanup_(EVP_PKEY_free) EVP_PKEY *public = EVP_PKEY_new_raw_public_key(
		EVP_PKEY_ED25519, NULL, key, SIGN_PUBLIC_LEN);

	if (!ctx || !public)
		return -ENOMEM;
	if (EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, public) != 1)
		return -ENOMEM;
	/* A key that is no point of the curve is found here, too. */
	if (EVP_DigestVerify(ctx, signature, SIGN_LEN, text, len) != 1)
		return -EBADMSG;
	return 0;
}

void sign_forget(void *secret, size_t len)
{
	OPENSSL_cleanse(secret, len);
}
