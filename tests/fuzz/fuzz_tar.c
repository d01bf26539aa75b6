/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target of the tar reader: any bytes become a tree or an error with a
 * line. Each input is tried as it is, and once more with the sums of all
 * headers put right, since otherwise those would stop nearly every input.
 */
#include <assert.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "fs/base/io.h"
#include "fs/tree/build.h"
#include "tests/fuzz/fuzz.h"

#define BLOCK 512

/* Compressed inputs expand; a bound keeps each run short. */
#define MAX_BYTES (4u << 20)

static void on_remark(void *arg, const char *text)
{
	assert(text[0]);
}

/* What tree.h promises of a sealed tree. */
static void check_node(const struct tree *t, uint32_t ino)
{
	const struct tree_node *n = tree_node(t, ino);
	_cleanup_free_ char *path = tree_path(n);
	_cleanup_close_ int fd = -1;
	struct stat st;
	uint64_t off;

	assert(path && n->ino == ino && n->parent->ino <= ino && n->nlink > 0);
	for (uint32_t i = 1; S_ISDIR(n->mode) && i < n->entry_count; i++)
		assert(strcmp(n->entries[i - 1].name, n->entries[i].name) < 0);
	assert(!S_ISREG(n->mode) || n->has_digest);
	if (!S_ISREG(n->mode) || n->content == TREE_CONTENT_NONE)
		return;
	assert(tree_open(t, n, &fd, &off, NULL) == 0);
	assert(fstat(fd, &st) == 0 && off + n->size <= (uint64_t)st.st_size);
}

static void read_one(const uint8_t *data, size_t len)
{
	static const char *const exclude[] = {"/a/*", "*.o"};
	const struct tree_options opt = {
		.exclude = exclude,
		.exclude_count = len % 2 ? ARRAY_LEN(exclude) : 0,
		.numeric = true,
		.spool_dir = "/tmp",
		.max_bytes = MAX_BYTES,
		.remark = on_remark,
	};
	_cleanup_close_ int fd = memfd_create("tar", MFD_CLOEXEC);
	_cleanup_(tree_free) struct tree *t = NULL;
	struct diag diag = {0};

	if (fd < 0 || io_write(fd, data, len) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return;

	int r = tree_read_tar(fd, &opt, &t, &diag);

	assert(r == 0 || diag.text[0]);
	if (r < 0)
		return;
	r = tree_seal(t, &diag);
	assert(r == 0); /* a tar can't make a tree that does not close */
	for (uint32_t ino = 1; ino <= tree_node_count(t); ino++)
		check_node(t, ino);
}

/* Every block gets the sum that it would have as a header: those that are data
 * are hurt, but stay data. */
static void fix_sums(uint8_t *data, size_t len)
{
	for (uint8_t *h = data; len - (size_t)(h - data) >= BLOCK; h += BLOCK) {
		unsigned sum = 8 * ' ';
		char text[8];

		for (size_t i = 0; i < BLOCK; i++)
			sum += i >= 148 && i < 156 ? 0 : h[i];
		if (sum == 8 * ' ')
			continue; /* the mark of the end */
		(void)snprintf(text, sizeof(text), "%06o", sum);
		memcpy(h + 148, text, sizeof(text));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	_cleanup_free_ uint8_t *copy = malloc(len + 1);

	read_one(data, len);
	if (!copy || len < BLOCK)
		return 0;
	memcpy(copy, data, len);
	fix_sums(copy, len);
	read_one(copy, len);
	return 0;
}

#ifdef FUZZING
/* Most of a header is padding: change its fields, or one block. */
size_t LLVMFuzzerCustomMutator(
	uint8_t *data, size_t len, size_t max, unsigned seed)
{
	static const size_t fields[] = {0, 100, 108, 116, 124, 136, 156, 157,
		257, 329, 337, 345, 386, 482, 483};
	size_t blocks = len / BLOCK;

	if (blocks == 0 || seed % 3 == 0)
		return LLVMFuzzerMutate(data, len, max);

	uint8_t *h = data + seed / 3 % blocks * BLOCK;
	size_t at = fields[seed / 1024 % ARRAY_LEN(fields)];

	(void)LLVMFuzzerMutate(h + at, at == 156 ? 1 : 12, 12);
	return len;
}
#endif
