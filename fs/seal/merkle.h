/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Merkle tree of RFC 6962, section 2.1: SHA-256, 0x00 before a leaf's
 * bytes, 0x01 before two hashes. Pure arithmetic: no I/O, no allocation but for
 * a caller's buf. A hasher belongs to one thread at a time.
 *
 * A tile is a perfect subtree of MERKLE_TILE leaves, as in C2SP tlog-tiles.
 */
#ifndef FS_SEAL_MERKLE_H
#define FS_SEAL_MERKLE_H

#include "fs/base/buf.h"
#include "fs/codec/digest.h"

#define MERKLE_TILE 256u
#define MERKLE_TILE_LEVEL 8u
#define MERKLE_LEVELS 64

/*
 * A tree that only grows. What it needs for that is its right edge: the root of
 * the perfect subtree of 2^n leaves at edge[n] for each bit n of size. Zeroed,
 * it is the empty tree; it may be copied.
 */
struct merkle {
	uint64_t size;
	struct digest edge[MERKLE_LEVELS];
};

/* The hash of a leaf with these bytes. */
void merkle_leaf(
	struct hasher *h, const void *data, size_t len, struct digest *ret);

/* Append a leaf by its hash. */
void merkle_add(struct merkle *m, struct hasher *h, const struct digest *leaf);

/* Append a whole tile by its root; the size must be a multiple of a tile's. */
void merkle_add_tile(
	struct merkle *m, struct hasher *h, const struct digest *root);

/* The root of the tree; of the empty one the SHA-256 of nothing. */
void merkle_root(const struct merkle *m, struct hasher *h, struct digest *ret);

/* The root of a tile from its MERKLE_TILE leaf hashes. */
void merkle_tile_root(
	struct hasher *h, const struct digest *leaves, struct digest *ret);

/*
 * Tells the root of the perfect subtree of 2^level leaves that begins at leaf
 * first (a multiple of 2^level). 0 or -errno, which ends what asked.
 */
typedef int (*merkle_subtree)(
	void *arg, uint64_t first, unsigned level, struct digest *ret);

/*
 * Append to ret the audit path (PATH, RFC 6962 2.1.1) of a leaf, or the
 * consistency proof (PROOF, 2.1.2) of two sizes, as struct digest. 0; -EINVAL
 * when the numbers are no such thing; what ask or buf_add gives.
 */
int merkle_inclusion(struct hasher *h, uint64_t index, uint64_t size,
	merkle_subtree ask, void *arg, struct buf *ret) must_check;
int merkle_consistency(struct hasher *h, uint64_t old_size, uint64_t size,
	merkle_subtree ask, void *arg, struct buf *ret) must_check;

/* Check one (RFC 9162, 2.1.3.2 and 2.1.4.2). 0, or -EBADMSG when it does not
 * prove it. */
int merkle_check_inclusion(struct hasher *h, const struct digest *leaf,
	uint64_t index, uint64_t size, const struct digest *path, size_t count,
	const struct digest *root) must_check;
int merkle_check_consistency(struct hasher *h, uint64_t old_size,
	const struct digest *old_root, uint64_t size, const struct digest *root,
	const struct digest *proof, size_t count) must_check;

#endif
