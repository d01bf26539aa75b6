/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that change between being scanned and being packed, or while they are
 * read: an error that names the file, and no image.
 */
#include "fs/tree/pack.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "fs/tree/build.h"
#include "tests/unit/pack_hooks.h"
#include "tests/unit/unit.h"

#define FRAME 4096u /* of kit_options */
#define SIZE (5 * FRAME)

/* The folder that is scanned, and the file in it that changes. */
static struct {
	struct scratch folder;
	int fd;
	const char *victim;
} source;

static int set_up(void **state)
{
	assert_true(scratch_init(&source.folder));
	source.fd = open(source.folder.path, O_RDONLY | O_DIRECTORY);
	source.victim = "b";
	return source.fd < 0 ? -1 : hook_set_up(state);
}

static int tear_down(void **state)
{
	(void)close(source.fd); /* only read */
	scratch_done(&source.folder);
	return kit_tear_down(state);
}

#define CHANGE_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

static void write_file(const char *name, uint64_t seed, size_t len)
{
	_cleanup_free_ uint8_t *data = malloc(len + 1);
	struct prng prng = {seed};
	int fd = openat(source.fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_non_null(data);
	assert_true(fd >= 0);
	prng_fill(&prng, data, len);
	assert_int_equal(write(fd, data, len), len);
	assert_int_equal(close(fd), 0);
}

/*
 * The clock that file systems take their times from goes in ticks: a change in
 * the tick in which the file was made cannot be seen on older kernels.
 */
static void wait_for_tick(void)
{
	struct timespec now, pause = {.tv_nsec = 1000000};
	struct stat st;

	assert_int_equal(fstat(source.fd, &st), 0);
	do {
		(void)nanosleep(&pause, NULL);
		(void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
	} while (now.tv_sec < st.st_ctim.tv_sec ||
		 (now.tv_sec == st.st_ctim.tv_sec &&
			 now.tv_nsec <= st.st_ctim.tv_nsec));
}

static void scan(struct kit *k)
{
	struct tree_options opt = {0};
	struct diag diag = {0};

	wait_for_tick();
	tree_free(take_ptr(k->tree));
	if (tree_scan(source.folder.path, &opt, &k->tree, &diag) < 0)
		fail_msg("%s", diag.text);
	k->root = tree_root(k->tree);
	kit_seal(k);
}

static void overwrite(const char *name)
{
	int fd = openat(source.fd, name, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "!", 1, 3 * FRAME), 1);
	assert_int_equal(close(fd), 0);
}

static void resize(const char *name, off_t size)
{
	int fd = openat(source.fd, name, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	assert_int_equal(close(fd), 0);
}

static void extend(const char *name)
{
	resize(name, SIZE + 1);
}

static void cut(const char *name)
{
	resize(name, SIZE - 1);
}

static void empty(const char *name)
{
	resize(name, 0);
}

static void take_away(const char *name)
{
	assert_int_equal(unlinkat(source.fd, name, 0), 0);
}

static void touch(const char *name)
{
	static const struct timespec times[2] = {{1, 1}, {1, 1}};

	assert_int_equal(utimensat(source.fd, name, times, 0), 0);
}

/* Another file with the same bytes and times: the scan did not see it. */
static void replace(const char *name)
{
	write_file("new", 2, SIZE);
	assert_int_equal(renameat(source.fd, "new", source.fd, name), 0);
}

static void become_link(const char *name)
{
	write_file("other", 2, SIZE);
	take_away(name);
	assert_int_equal(symlinkat("other", source.fd, name), 0);
}

static void become_fifo(const char *name)
{
	take_away(name);
	assert_int_equal(mkfifoat(source.fd, name, 0644), 0);
}

static void become_folder(const char *name)
{
	take_away(name);
	assert_int_equal(mkdirat(source.fd, name, 0755), 0);
}

static const struct change {
	const char *name;
	void (*make)(const char *file);
} changes[] = {
	{"overwrite", overwrite},
	{"extend", extend},
	{"cut", cut},
	{"empty", empty},
	{"take away", take_away},
	{"touch", touch},
	{"replace", replace},
	{"become a link", become_link},
	{"become a FIFO", become_fifo},
	{"become a folder", become_folder},
};

static void assert_says(struct kit *k, const struct pack_options *opt,
	const char *change, const char *when)
{
	struct diag diag;
	char want[32];
	int r = kit_pack_fails(k, opt, &diag);

	(void)snprintf(want, sizeof(want), "/%s changed", source.victim);
	if (r != -ESTALE || !strstr(diag.text, want))
		fail_msg("%s, %s: %d, %s", change, when, r, diag.text);
}

/* a, b and c, where a and b may be twins. */
static void make_files(size_t size_of_a)
{
	static const char *const left[] = {"a", "b", "c", "new", "other"};

	for (size_t i = 0; i < ARRAY_LEN(left); i++) {
		if (unlinkat(source.fd, left[i], 0) < 0 && errno == EISDIR)
			(void)unlinkat(source.fd, left[i], AT_REMOVEDIR);
	}
	write_file("a", 1, size_of_a);
	write_file("b", 2, SIZE);
	write_file("c", 3, 10);
}

static void test_before(void **state)
{
	struct kit *k = *state;

	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		make_files(100);
		scan(k);
		changes[i].make(source.victim);
		assert_says(k, &kit_options, changes[i].name, "before");
	}
}

/* Which change is made before which read. */
static struct {
	const struct change *change;
	atomic_int reads_left;
} plan;

/*
 * Only whole frames count: c, which is smaller, is read at any time, and a
 * change that its thread makes may come when b is done.
 */
static int change_at_read(uint64_t off, size_t len)
{
	if (len == FRAME && atomic_fetch_sub(&plan.reads_left, 1) == 0)
		plan.change->make(source.victim);
	return 0;
}

/* Reads go chunk by chunk, and b, the large one, comes first. */
static void test_during(void **state)
{
	struct pack_options opt = kit_options;
	struct kit *k = *state;

	opt.jobs = 1; /* so that reads can be counted */
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		for (int at = 0; at < 5; at++) {
			hooks.read = NULL;
			make_files(100);
			scan(k);
			plan.change = &changes[i];
			plan.reads_left = at;
			hooks.read = change_at_read;
			assert_says(k, &opt, changes[i].name, "during");
			assert_true(plan.reads_left < 0);
		}
	}
}

/*
 * Two of the same size are hashed first: five reads each. a is read again
 * meanwhile, and b last, from the sixteenth read on.
 */
static void test_between(void **state)
{
	struct pack_options opt = kit_options;
	struct kit *k = *state;

	opt.jobs = 1;
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		for (int at = 14; at <= 18; at++) {
			hooks.read = NULL;
			make_files(SIZE);
			scan(k);
			plan.change = &changes[i];
			plan.reads_left = at;
			hooks.read = change_at_read;
			assert_says(k, &opt, changes[i].name, "between");
			assert_true(plan.reads_left < 0);
		}
	}
}

static void change_once(void *arg, uint64_t done, uint64_t total)
{
	bool *changed = arg;

	if (!*changed)
		overwrite(source.victim);
	*changed = true;
}

/* More files than can be under way lie before the one that changes. */
static void test_far_ahead(void **state)
{
	struct pack_options opt = kit_options;
	struct kit *k = *state;
	bool changed = false;
	char name[32];

	for (uint32_t i = 0; i < 1100; i++) {
		(void)snprintf(name, sizeof(name), "%05u", i);
		write_file(name, i, 16);
	}
	source.victim = "99999";
	write_file(source.victim, 2, 100);
	scan(k);
	opt.progress = change_once;
	opt.arg = &changed;
	assert_says(k, &opt, "overwrite", "far ahead");
	assert_true(changed);
}

/* The way to the file leads elsewhere: by a link, or nowhere. */
static void test_folder_moved(void **state)
{
	struct kit *k = *state;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(mkdirat(source.fd, "d", 0755), 0);
		source.victim = "d/b";
		write_file(source.victim, 2, SIZE);
		scan(k);
		assert_int_equal(renameat(source.fd, "d", source.fd, "e"), 0);
		if (i)
			assert_int_equal(symlinkat("e", source.fd, "d"), 0);
		assert_says(k, &kit_options, "move", i ? "link" : "nothing");
		assert_int_equal(unlinkat(source.fd, "e/b", 0), 0);
		assert_int_equal(unlinkat(source.fd, "e", AT_REMOVEDIR), 0);
	}
}

/* What nobody changes is packed, with all these hooks. */
static void test_unchanged(void **state)
{
	struct kit *k = *state;

	make_files(SIZE);
	scan(k);
	plan.reads_left = -1;
	hooks.read = change_at_read;
	kit_pack(k, &kit_options, NULL);
	image_free(kit_open(k));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHANGE_TEST(test_unchanged),
		CHANGE_TEST(test_before),
		CHANGE_TEST(test_during),
		CHANGE_TEST(test_between),
		CHANGE_TEST(test_far_ahead),
		CHANGE_TEST(test_folder_moved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
