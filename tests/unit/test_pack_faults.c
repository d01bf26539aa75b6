/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that fails or is full, memory that is not there, contents that are not
 * what they were: pack says so in one line and leaves nothing behind.
 */
#include "fs/tree/pack.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/pack_hooks.h"
#include "tests/unit/unit.h"

#define FRAME 4096u /* of kit_options */

/* Several megabytes that do not shrink, large and small. */
static void add_much(struct kit *k)
{
	char name[32];

	for (uint32_t i = 0; i < 40; i++) {
		(void)snprintf(name, sizeof(name), "%02u", i);
		(void)kit_noise(k, name, i, i % 2 ? 160000 : 1000);
	}
}

static atomic_int reads_left;

static int fail_read(uint64_t off, size_t len)
{
	return atomic_fetch_sub(&reads_left, 1) == 0 ? EIO : 0;
}

/* Each read in turn fails. */
static void test_reads(void **state)
{
	struct kit *k = *state;
	struct pack_options opt = kit_options;
	struct diag diag;

	opt.jobs = 1;
	(void)kit_noise(k, "a", 1, 5 * FRAME);
	(void)kit_noise(k, "b", 2, 5 * FRAME);
	(void)kit_noise(k, "c", 3, 10);
	for (int i = 0; i < 21; i++) {
		reads_left = i;
		hooks.read = fail_read;
		assert_int_equal(kit_pack_fails(k, &opt, &diag), -EIO);
		if (!strstr(diag.text, "/a") && !strstr(diag.text, "/b") &&
			!strstr(diag.text, "/c"))
			fail_msg("%s", diag.text);
	}
	reads_left = 21;
	kit_pack(k, &opt, NULL);
	assert_int_equal(reads_left, 0);
}

/* The disk is full at each write in turn. */
static void test_writes(void **state)
{
	struct kit *k = *state;
	struct pack_result result;
	struct diag diag;
	int writes = 0;

	add_much(k);
	kit_seal(k);
	for (;; writes++) {
		atomic_store(&hooks.writes_left, writes);

		int r = pack(k->tree, k->image, &kit_options, &result, &diag);

		if (r == 0)
			break;
		assert_int_equal(r, -ENOSPC);
		assert_non_null(strstr(diag.text, k->image));
		assert_non_null(strstr(diag.text, strerror(ENOSPC)));
		assert_int_equal(kit_left(k), 0);
	}
	assert_true(writes >= 4);
	image_free(kit_open(k));
}

/* What was there before stays there. */
static void test_old_image(void **state)
{
	struct kit *k = *state;
	struct pack_result before, result = {.objects = 77};
	struct diag diag;

	(void)kit_noise(k, "a", 1, 100);
	kit_pack(k, &kit_options, &before);
	atomic_store(&hooks.writes_left, 0);
	assert_int_equal(
		pack(k->tree, k->image, &kit_options, &result, &diag), -ENOSPC);
	assert_int_equal(result.objects, 77);
	assert_int_equal(kit_left(k), 1);
	image_free(kit_open(k));
}

/* Each allocation in turn fails: an error, or it can do without. */
static void test_memory(void **state)
{
	struct kit *k = *state;
	struct pack_result good, result;
	long count;

	(void)kit_noise(k, "a", 1, 3 * FRAME);
	(void)kit_noise(k, "b", 2, 3 * FRAME);
	(void)kit_noise(k, "c", 1, 3 * FRAME);
	kit_poke(k, kit_sparse(k, "d", 9 * FRAME), 5 * FRAME, "x", 1);
	(void)kit_noise(k, "e", 3, 100);
	kit_xattr(k, k->root, "user.a", "b");
	kit_seal(k);
	atomic_store(&hooks.allocations, 0);
	kit_pack(k, &kit_options, &good);
	assert_int_equal(unlink(k->image), 0);
	count = atomic_load(&hooks.allocations);
	/* A few more: how many there are depends on the threads. */
	for (long i = 0; i < count + 10; i++) {
		struct diag diag = {0};

		atomic_store(&hooks.memory_left, i);

		int r = pack(k->tree, k->image, &kit_options, &result, &diag);

		atomic_store(&hooks.memory_left, -1);
		if (r == 0) {
			assert_memory_equal(&result, &good, sizeof(good));
			assert_int_equal(unlink(k->image), 0);
			continue;
		}
		assert_int_equal(r, -ENOMEM);
		assert_true(diag.text[0] != '\0');
		assert_int_equal(kit_left(k), 0);
	}
}

static void assert_names(const struct diag *diag, const char *name)
{
	if (!strstr(diag->text, name))
		fail_msg("%s is not in: %s", name, diag->text);
}

/* The spool does not hold what was put there: small and large, of a size that
 * nothing else has, and twins. */
static void test_wrong_digest(void **state)
{
	static const size_t sizes[] = {
		10, 10, FRAME, FRAME + 1, 5 * FRAME, 5 * FRAME, 6 * FRAME};
	struct tree_node *n[ARRAY_LEN(sizes)];
	struct kit *k = *state;
	struct diag diag;

	for (uint32_t i = 0; i < ARRAY_LEN(sizes); i++) {
		char name[] = {'n', (char)('0' + i), '\0'};

		n[i] = kit_noise(k, name, i, sizes[i]);
	}
	for (uint32_t i = 0; i < ARRAY_LEN(sizes); i++) {
		char name[] = {'/', 'n', (char)('0' + i), '\0'};

		n[i]->has_digest = true;
		assert_int_equal(
			kit_pack_fails(k, &kit_options, &diag), -ESTALE);
		assert_names(&diag, name);
		n[i]->has_digest = false;
	}
	kit_pack(k, &kit_options, NULL);
}

/* The spool ends before a file's content does. */
static void test_cut_spool(void **state)
{
	struct kit *k = *state;
	struct diag diag;

	(void)kit_noise(k, "small", 1, 100);
	(void)kit_noise(k, "last", 2, 100);
	assert_int_equal(ftruncate(k->spool, (off_t)k->end - 1), 0);
	assert_int_equal(kit_pack_fails(k, &kit_options, &diag), -ESTALE);
	assert_names(&diag, "/last");
}

/* Contents that no file can be opened for. */
static void test_no_content(void **state)
{
	static const enum tree_content kinds[] = {
		TREE_CONTENT_NONE, TREE_CONTENT_IMAGE};
	struct kit *k = *state;
	struct tree_node *n = kit_noise(k, "a", 1, 100);
	struct diag diag;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		n->content = kinds[i];
		assert_int_equal(
			kit_pack_fails(k, &kit_options, &diag), -EINVAL);
	}
}

static void test_places(void **state)
{
	struct kit *k = *state;
	struct pack_result result;
	struct diag diag;
	static const struct {
		const char *path;
		int error;
	} places[] = {
		{"/dev/null", -EEXIST},
		{"/", -EISDIR},
		{"/dev", -EISDIR},
		{"/absent/x", -ENOENT},
		{"/dev/null/x", -ENOTDIR},
		{"/proc/x", -ENOENT},
	};

	(void)kit_noise(k, "a", 1, 100);
	kit_seal(k);
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		int r = pack(
			k->tree, places[i].path, &kit_options, &result, &diag);

		if (r != places[i].error)
			fail_msg("%s: %d, %s", places[i].path, r, diag.text);
		assert_names(&diag, places[i].path);
	}
}

/* Run in a process of its own; it returns 0 when all is well. */
static void in_child(int (*run)(struct kit *k), struct kit *k)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0)
		_exit(run(k));
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("status %#x", status);
	assert_int_equal(kit_left(k), 0);
}

static int pack_as_nobody(struct kit *k)
{
	struct pack_result result;
	struct diag diag = {0};

	if (setresgid(65534, 65534, 65534) < 0 ||
		setresuid(65534, 65534, 65534) < 0)
		return 2;

	int r = pack(k->tree, k->image, &kit_options, &result, &diag);

	return r != -EACCES || !strstr(diag.text, k->image);
}

static void test_not_allowed(void **state)
{
	struct kit *k = *state;

	if (geteuid() != 0)
		skip_because("becoming another user needs root");
	(void)kit_noise(k, "a", 1, 100);
	kit_seal(k);
	in_child(pack_as_nobody, k);
}

/* A real disk that is full. */
static int pack_on_small_disk(struct kit *k)
{
	struct pack_result result;
	struct diag diag = {0};

	if (!scratch_own_mounts() ||
		mount("small", k->scratch.path, "tmpfs", 0, "size=1m") < 0)
		return 2;

	int r = pack(k->tree, k->image, &kit_options, &result, &diag);

	if (r != -ENOSPC || !strstr(diag.text, k->image))
		return 3;
	return kit_left(k) == 0 ? 0 : 4;
}

static void test_full_disk(void **state)
{
	struct kit *k = *state;

	if (geteuid() != 0)
		skip_because("mounting a small disk needs root");
	add_much(k);
	kit_seal(k);
	in_child(pack_on_small_disk, k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOOK_TEST(test_reads),
		HOOK_TEST(test_writes),
		HOOK_TEST(test_old_image),
		HOOK_TEST(test_memory),
		HOOK_TEST(test_wrong_digest),
		HOOK_TEST(test_cut_spool),
		HOOK_TEST(test_no_content),
		HOOK_TEST(test_places),
		HOOK_TEST(test_not_allowed),
		HOOK_TEST(test_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
