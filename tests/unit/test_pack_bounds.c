/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packing ends: it never waits for itself. And it takes no more memory than it
 * was given, whatever the files are and however slow the disk.
 */
#include "fs/tree/pack.h"

#include <semaphore.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "fs/tree/pack_internal.h"
#include "tests/unit/pack_hooks.h"
#include "tests/unit/unit.h"

/* A sanitizer keeps what is freed for a while, and books about all memory. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif

/* A pack that has not ended by now waits for itself. */
#define SECONDS_MAX 60

/* What packing took, in bytes. */
struct bill {
	size_t allocated; /* by our code, at one time */
	size_t resident;  /* the same with the allocator's and libraries' */
};

static int pack_here(struct kit *k, const struct pack_options *opt, int out)
{
	struct rusage before, after;
	struct pack_result result;
	struct bill bill;
	size_t base = atomic_load(&hooks.in_use);

	(void)alarm(SECONDS_MAX);
	(void)getrusage(RUSAGE_SELF, &before);
	atomic_store(&hooks.peak, base);

	int r = pack(k->tree, k->image, opt, &result, NULL);

	(void)getrusage(RUSAGE_SELF, &after);
	bill.allocated = atomic_load(&hooks.peak) - base;
	bill.resident = (size_t)(after.ru_maxrss - before.ru_maxrss) << 10;
	if (write(out, &bill, sizeof(bill)) != sizeof(bill))
		return 1;
	return -r;
}

/* Pack in a process of its own, which is killed when it waits for itself; the
 * positive errno. */
static int pack_bounded(
	struct kit *k, const struct pack_options *opt, struct bill *ret)
{
	int status, pipes[2];
	struct bill bill;

	kit_seal(k);
	assert_int_equal(pipe(pipes), 0);

	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
		_exit(pack_here(k, opt, pipes[1]));
	assert_int_equal(close(pipes[1]), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFSIGNALED(status))
		fail_msg("ended by signal %d", WTERMSIG(status));
	assert_int_equal(read(pipes[0], &bill, sizeof(bill)), sizeof(bill));
	assert_int_equal(close(pipes[0]), 0);
	if (ret)
		*ret = bill;
	return WEXITSTATUS(status);
}

/* One thread of pack waits until another one reads a made file. */
static struct {
	uint64_t which;
	sem_t begun;
	atomic_bool passed;
} barrier;

static int note_begin(uint64_t off, size_t len)
{
	if (off == HOOK_MADE * (barrier.which + 1))
		assert_int_equal(sem_post(&barrier.begun), 0);
	return 0;
}

static void set_barrier(uint64_t which)
{
	barrier.which = which;
	atomic_store(&barrier.passed, false);
	assert_int_equal(sem_init(&barrier.begun, 0, 0), 0);
	hooks.read = note_begin;
}

/* Only who comes first waits. */
static void wait_at_barrier(void)
{
	if (atomic_exchange(&barrier.passed, true))
		return;
	while (sem_wait(&barrier.begun) < 0)
		assert_int_equal(errno, EINTR);
}

static void wait_in_committer(void *arg, uint64_t done, uint64_t total)
{
	wait_at_barrier();
}

/*
 * A file is to be read again (its twin was none) at a time when all workers
 * read later files and wait for room, which nobody will make before.
 */
static void test_again_without_room(void **state)
{
	struct kit *k = *state;
	struct pack_options opt = kit_options;

	opt.level = 0;
	opt.jobs = 1;
	opt.frame_size = LAYOUT_FRAME_DEFAULT;
	opt.progress = wait_in_committer;
	set_barrier(0);
	(void)kit_noise(k, "0", 0, 10);
	(void)kit_noise(k, "1", 1, 300000);
	(void)kit_noise(k, "2", 2, 300000);
	(void)hook_made(k, "3", 100u << 20, 0);
	assert_int_equal(pack_bounded(k, &opt, NULL), 0);
	image_free(kit_open(k));
}

/* Frames that are being made are not counted, nor the buffers of the workers
 * and of the writer; the allocator wastes some more. */
static void assert_bounded(const struct bill *bill, size_t max)
{
	if (bill->allocated > max + (16u << 20))
		fail_msg("%zu bytes allocated at once", bill->allocated);
#ifndef SANITIZED
	if (bill->resident > max * 2)
		fail_msg("%zu bytes resident", bill->resident);
#endif
}

/*
 * A file that the disk takes more slowly than it is read, and another one that
 * is read meanwhile: memory stays within the budget.
 */
static void test_slow_disk(void **state)
{
	struct kit *k = *state;
	static const unsigned jobs[] = {1, 3};
	struct pack_options opt = kit_options;
	struct bill bill;

	opt.level = 0;
	opt.frame_size = LAYOUT_FRAME_MAX;
	(void)hook_made(k, "0", 200u << 20, 0);
	(void)hook_made(k, "1", 100u << 20, 1);
	hooks.write_nsec = 2000000;
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		opt.jobs = jobs[i];
		assert_int_equal(pack_bounded(k, &opt, &bill), 0);
		assert_bounded(&bill, PACK_BUDGET + PACK_MARGIN);
	}
}

/*
 * Files that end a little behind a frame, where they do not shrink: the piece
 * is small, and so must be what holds it. Many of them wait to be written, for
 * a frame that takes long to compress.
 */
static void test_small_tails(void **state)
{
	struct kit *k = *state;
	struct pack_options opt = kit_options;
	struct bill bill;
	char name[32];

	opt.frame_size = LAYOUT_FRAME_MAX;
	hooks.compress = wait_at_barrier;
	set_barrier(200);
	for (uint32_t i = 0; i <= 200; i++) {
		(void)snprintf(name, sizeof(name), "%04u", i);
		(void)hook_made(k, name, LAYOUT_FRAME_MAX + 8 * (i + 1), i);
	}
	assert_int_equal(pack_bounded(k, &opt, &bill), 0);
	assert_bounded(&bill, 20u << 20);
}

/* An error need not wait for files that take years to hash. */
static void test_error_ends_all(void **state)
{
	struct kit *k = *state;
	struct pack_options opt = kit_options;
	struct tree_node *n;

	opt.jobs = 4;
	(void)kit_sparse(k, "1", UINT64_C(1) << 48);
	(void)hook_made(k, "2", HOOK_MADE, 0);
	(void)hook_made(k, "3", HOOK_MADE, 1);
	n = kit_noise(k, "4", 1, 10);
	n->has_digest = true; /* a wrong one */
	assert_int_equal(pack_bounded(k, &opt, NULL), ESTALE);
	assert_int_equal(kit_left(k), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOOK_TEST(test_again_without_room),
		HOOK_TEST(test_slow_disk),
		HOOK_TEST(test_small_tails),
		HOOK_TEST(test_error_ends_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
