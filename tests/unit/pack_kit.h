/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trees made in memory, packed and looked at. Contents lie in a spool (a file
 * in memory, holes and all). Whatever goes wrong fails the test at hand.
 */
#ifndef TESTS_UNIT_PACK_KIT_H
#define TESTS_UNIT_PACK_KIT_H

#include "fs/image/image.h"
#include "fs/tree/pack.h"
#include "tests/lib/prng.h"
#include "tests/lib/scratch.h"

struct kit {
	struct scratch scratch;
	struct tree *tree;
	struct tree_node *root;
	int spool;		  /* the tree's */
	uint64_t end;		  /* of the spool */
	char image[SCRATCH_PATH]; /* where the image goes, in a folder of its
				     own */
	struct prng prng;
};

/* For cmocka: a kit with an empty tree. */
int kit_set_up(void **state);
int kit_tear_down(void **state);
#define KIT_TEST(fn) \
	cmocka_unit_test_setup_teardown(fn, kit_set_up, kit_tear_down)

/* Name a new node: a folder, a FIFO, ... */
struct tree_node *kit_add(
	struct kit *k, struct tree_node *dir, const char *name, uint32_t mode);
void kit_link(
	struct kit *k, struct tree_node *dir, const char *name, void *node);

/* Room in the spool for a file's content, all a hole so far. */
void kit_room(struct kit *k, struct tree_node *node, uint64_t size);

/* A file below the root with these bytes. */
struct tree_node *kit_file(
	struct kit *k, const char *name, const void *data, size_t len);
/* len bytes that zstd cannot shrink, the same for the same seed. */
struct tree_node *kit_noise(
	struct kit *k, const char *name, uint64_t seed, size_t len);
/* A file of nothing but a hole, and bytes put into one. */
struct tree_node *kit_sparse(struct kit *k, const char *name, uint64_t size);
void kit_poke(struct kit *k, const struct tree_node *node, uint64_t off,
	const void *data, size_t len);

void kit_xattr(struct kit *k, struct tree_node *node, const char *name,
	const char *value);

void kit_seal(struct kit *k);

/* Entries in the folder of the image: 0 when nothing is left there. */
int kit_left(const struct kit *k);

/* jobs 2, level 1, the smallest frames */
extern const struct pack_options kit_options;

/* Pack the tree, which gets sealed; ret may be NULL. */
void kit_pack(
	struct kit *k, const struct pack_options *opt, struct pack_result *ret);
/* Open what was packed, check it, and compare it with the tree. */
struct image *kit_open(struct kit *k);
/* What pack said, after it had to fail; nothing may be left. */
int kit_pack_fails(
	struct kit *k, const struct pack_options *opt, struct diag *diag);

/* The object of a file. */
struct image_object kit_object(
	const struct image *img, const struct tree_node *node);

void kit_hex(const struct digest *d, const char *want);

#endif
