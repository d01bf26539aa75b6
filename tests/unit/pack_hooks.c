/* SPDX-License-Identifier: Apache-2.0 */
/* Reads, writes and memory that a test can spoil; see pack_hooks.h. */
#include "tests/unit/pack_hooks.h"

#include <malloc.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "fs/codec/zstd.h"
#include "tests/unit/unit.h"

#define BLOCK 4096u

struct hooks hooks;

ssize_t __real_pread64(int fd, void *buf, size_t len, off_t off);
ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t off);
ssize_t __real_pwrite64(int fd, const void *buf, size_t len, off_t off);
ssize_t __wrap_pwrite64(int fd, const void *buf, size_t len, off_t off);
off_t __real_lseek64(int fd, off_t off, int whence);
off_t __wrap_lseek64(int fd, off_t off, int whence);
void *__real_malloc(size_t len);
void *__real_calloc(size_t count, size_t len);
void *__real_realloc(void *p, size_t len);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t count, size_t len);
void *__wrap_realloc(void *p, size_t len);
void __real_free(void *p);
void __wrap_free(void *p);
size_t __real_compressor_run(
	struct compressor *c, void *dst, const void *src, size_t len);
size_t __wrap_compressor_run(
	struct compressor *c, void *dst, const void *src, size_t len);

ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t off)
{
	int err = hooks.read ? hooks.read((uint64_t)off, len) : 0;

	if (err) {
		errno = err;
		return -1;
	}
	if ((uint64_t)off < HOOK_MADE)
		return __real_pread64(fd, buf, len, off);
	/* No two blocks are equal, and none is a hole; a tail is noise. */
	memset(buf, 'm', len);
	for (size_t i = 0; i + sizeof(off) <= len; i += BLOCK) {
		off_t at = off + (off_t)i;

		memcpy((char *)buf + i, &at, sizeof(at));
	}
	if (len < BLOCK) {
		struct prng prng = {(uint64_t)off};

		prng_fill(&prng, buf, len);
	}
	return (ssize_t)len;
}

ssize_t __wrap_pwrite64(int fd, const void *buf, size_t len, off_t off)
{
	struct timespec pause = {.tv_nsec = hooks.write_nsec};

	if (atomic_load(&hooks.writes_left) >= 0 &&
		atomic_fetch_sub(&hooks.writes_left, 1) == 0) {
		errno = ENOSPC;
		return -1;
	}
	if (pause.tv_nsec)
		(void)nanosleep(&pause, NULL);
	return __real_pwrite64(fd, buf, len, off);
}

off_t __wrap_lseek64(int fd, off_t off, int whence)
{
	if ((uint64_t)off < HOOK_MADE)
		return __real_lseek64(fd, off, whence);
	errno = EINVAL;
	return -1;
}

static bool no_memory(void)
{
	atomic_fetch_add(&hooks.allocations, 1);
	return atomic_load(&hooks.memory_left) >= 0 &&
	       atomic_fetch_sub(&hooks.memory_left, 1) == 0;
}

static void *count_in(void *p)
{
	size_t len = malloc_usable_size(p);
	size_t now = atomic_fetch_add(&hooks.in_use, len) + len;
	size_t peak = atomic_load(&hooks.peak);

	while (now > peak &&
		!atomic_compare_exchange_weak(&hooks.peak, &peak, now))
		;
	return p;
}

static void count_out(size_t len)
{
	atomic_fetch_sub(&hooks.in_use, len);
}

void *__wrap_malloc(size_t len)
{
	return no_memory() ? NULL : count_in(__real_malloc(len));
}

void *__wrap_calloc(size_t count, size_t len)
{
	return no_memory() ? NULL : count_in(__real_calloc(count, len));
}

void *__wrap_realloc(void *p, size_t len)
{
	size_t old = malloc_usable_size(p);

	if (no_memory())
		return NULL;
	p = __real_realloc(p, len);
	count_out(p ? old : 0);
	return p ? count_in(p) : NULL;
}

void __wrap_free(void *p)
{
	count_out(malloc_usable_size(p));
	__real_free(p);
}

size_t __wrap_compressor_run(
	struct compressor *c, void *dst, const void *src, size_t len)
{
	if (hooks.compress)
		hooks.compress();
	return __real_compressor_run(c, dst, src, len);
}

int hook_set_up(void **state)
{
	hooks.read = NULL;
	hooks.compress = NULL;
	hooks.write_nsec = 0;
	atomic_store(&hooks.writes_left, -1);
	atomic_store(&hooks.memory_left, -1);
	return kit_set_up(state);
}

struct tree_node *hook_made(
	struct kit *k, const char *name, uint64_t size, uint64_t which)
{
	struct tree_node *n = kit_add(k, k->root, name, S_IFREG | 0644);

	n->size = size;
	n->content = TREE_CONTENT_SPOOL;
	n->spool_off = HOOK_MADE * (which + 1);
	return n;
}
