/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256, the only hash that names anything, and XXH3-64, which only detects
 * damage in bytes that a digest has already vouched for.
 */
#ifndef FS_CODEC_DIGEST_H
#define FS_CODEC_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/base/cleanup.h"

#define DIGEST_LEN 32
#define DIGEST_HEX_LEN 64

struct digest {
	uint8_t bytes[DIGEST_LEN];
};

/*
 * A hasher computes one digest after another; it belongs to one thread at a
 * time and keeps the library's set-up, which costs more than hashing a small
 * file. NULL when out of memory.
 */
struct hasher;
struct hasher *hasher_new(void) must_check;
void hasher_free(struct hasher *h); /* NULL is allowed */
DEFINE_CLEANUP(hasher_free, struct hasher *);

/* Begin a new digest, forgetting any unfinished one. */
void hasher_begin(struct hasher *h);
void hasher_add(struct hasher *h, const void *data, size_t len);
void hasher_end(struct hasher *h, struct digest *ret);

/* begin + add + end. */
void hasher_run(
	struct hasher *h, const void *data, size_t len, struct digest *ret);

/* As hasher_run without a hasher, for what is done once. 0 or -ENOMEM. */
int digest_of(const void *data, size_t len, struct digest *ret) must_check;

bool digest_equal(const struct digest *a, const struct digest *b);

/* 64 lower-case hexadecimal digits and a NUL. */
void digest_hex(const struct digest *d, char ret[DIGEST_HEX_LEN + 1]);

/* Exactly 64 hexadecimal digits of either case, else -EINVAL. */
int digest_parse(const char *text, struct digest *ret) must_check;

/* XXH3, 64 bits, seed 0. */
uint64_t checksum(const void *data, size_t len);

#endif
