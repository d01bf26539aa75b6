/* SPDX-License-Identifier: Apache-2.0 */
/* Ed25519 (RFC 8032), by libcrypto. Stateless; every function is thread-safe.
 */
#ifndef FS_CODEC_SIGN_H
#define FS_CODEC_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include "fs/base/cleanup.h"

#define SIGN_SEED_LEN 32   /* the secret key of RFC 8032 */
#define SIGN_PUBLIC_LEN 32 /* the public key */
#define SIGN_LEN 64	   /* a signature */

/* A new secret from the system's random numbers. 0, -ENOMEM or -EIO. */
int sign_new(uint8_t ret_seed[SIGN_SEED_LEN]) must_check;

/* The public key of a secret one. 0 or -ENOMEM. */
int sign_public(const uint8_t seed[SIGN_SEED_LEN],
	uint8_t ret[SIGN_PUBLIC_LEN]) must_check;

/* 0 or -ENOMEM. */
int sign_make(const uint8_t seed[SIGN_SEED_LEN], const void *text, size_t len,
	uint8_t ret[SIGN_LEN]) must_check;

/* 0 when the signature is the key's; -EBADMSG when not; -ENOMEM. */
int sign_check(const uint8_t key[SIGN_PUBLIC_LEN], const void *text, size_t len,
	const uint8_t signature[SIGN_LEN]) must_check;

/* Overwrite a secret in a way that the compiler does not leave out. */
void sign_forget(void *secret, size_t len);

#endif
