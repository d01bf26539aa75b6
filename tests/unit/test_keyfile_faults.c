/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever step towards the disk fails, or is the last of its process, the key
 * file is the old one or the new one, and the next replacement cleans up.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fs/seal/keyfile.h"
#include "tests/lib/scratch.h"
#include "tests/unit/unit.h"

#define ORIGIN "h"
#define DEAD 77

/* What happens to the step number at, counted from 1; 0: to none. */
static struct {
	enum { FAIL, DIE } how;
	int at;
	int count;
	bool no_exchange; /* as a file system that has never heard of it */
} trouble;

static bool in_trouble(void)
{
	if (++trouble.count != trouble.at)
		return false;
	if (trouble.how == DIE)
		_exit(DEAD);
	errno = EIO;
	return true;
}

ssize_t __real_write(int fd, const void *p, size_t len);
ssize_t __wrap_write(int fd, const void *p, size_t len);
ssize_t __real_pwrite64(int fd, const void *p, size_t len, off_t off);
ssize_t __wrap_pwrite64(int fd, const void *p, size_t len, off_t off);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_unlink(const char *path);
int __wrap_unlink(const char *path);
int __real_link(const char *from, const char *to);
int __wrap_link(const char *from, const char *to);
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __real_renameat2(
	int dir, const char *from, int to_dir, const char *to, unsigned flags);
int __wrap_renameat2(
	int dir, const char *from, int to_dir, const char *to, unsigned flags);

/* Half of it gets there. */
ssize_t __wrap_write(int fd, const void *p, size_t len)
{
	if (trouble.count + 1 == trouble.at)
		(void)!__real_write(fd, p, len / 2);
	return in_trouble() ? -1 : __real_write(fd, p, len);
}

ssize_t __wrap_pwrite64(int fd, const void *p, size_t len, off_t off)
{
	return in_trouble() ? -1 : __real_pwrite64(fd, p, len, off);
}

int __wrap_fsync(int fd)
{
	return in_trouble() ? -1 : __real_fsync(fd);
}

int __wrap_fdatasync(int fd)
{
	return in_trouble() ? -1 : __real_fdatasync(fd);
}

int __wrap_unlink(const char *path)
{
	return in_trouble() ? -1 : __real_unlink(path);
}

int __wrap_link(const char *from, const char *to)
{
	return in_trouble() ? -1 : __real_link(from, to);
}

int __wrap_rename(const char *from, const char *to)
{
	return in_trouble() ? -1 : __real_rename(from, to);
}

int __wrap_renameat2(
	int dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	if (trouble.no_exchange) {
		errno = EINVAL;
		return -1;
	}
	return in_trouble() ? -1
			    : __real_renameat2(dir, from, to_dir, to, flags);
}

struct fixture {
	struct scratch scratch;
	char path[SCRATCH_PATH], aside[SCRATCH_PATH];
	struct keyfile k;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f || !scratch_init(&f->scratch))
		return -1;
	scratch_name(&f->scratch, "l-key", f->path);
	scratch_name(&f->scratch, "l-key-new", f->aside);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	trouble.no_exchange = false;
	scratch_done(&f->scratch);
	free(f);
	return 0;
}

/* The operations, each from a file that is ready for it. */

static int create(struct fixture *f)
{
	return keyfile_create(f->path, ORIGIN, &f->k, NULL);
}

static int remember(struct fixture *f)
{
	struct digest root = {{5}};

	return keyfile_remember(&f->k, f->k.size + 1, &root, NULL);
}

static int prepare(struct fixture *f)
{
	return keyfile_prepare(&f->k, NULL);
}

static int advance(struct fixture *f)
{
	return keyfile_advance(&f->k, NULL);
}

typedef int (*operation)(struct fixture *f);

static const operation replacements[] = {remember, prepare, advance};

static void begin(struct fixture *f)
{
	trouble.at = 0;
	keyfile_done(&f->k);
	(void)unlink(f->path);
	assert_int_equal(create(f), 0);
	assert_int_equal(prepare(f), 0);
}

static bool is_same(const struct keyfile *a, const struct keyfile *b)
{
	return a->number == b->number && a->size == b->size &&
	       a->has_next == b->has_next &&
	       memcmp(a->seed, b->seed, SIGN_SEED_LEN) == 0 &&
	       (!a->has_next ||
		       memcmp(a->next_seed, b->next_seed, SIGN_SEED_LEN) == 0);
}

static bool file_says(struct fixture *f, const struct keyfile *k)
{
	struct keyfile read;

	assert_int_equal(keyfile_read(f->path, &read, NULL), 0);

	bool same = is_same(&read, k);

	keyfile_done(&read);
	return same;
}

/* The next replacement works, and leaves nothing aside. */
static void must_recover(struct fixture *f)
{
	trouble.at = 0;
	assert_int_equal(remember(f), 0);
	assert_true(file_says(f, &f->k));
	assert_int_equal(access(f->aside, F_OK), -1);
}

static void fail_each_step(struct fixture *f, operation op)
{
	for (int n = 1;; n++) {
		struct keyfile old;
		int r;

		begin(f);
		old = f->k;
		trouble.how = FAIL;
		trouble.count = 0;
		trouble.at = n;
		r = op(f);
		if (trouble.count < n) {
			assert_int_equal(r, 0);
			assert_true(n > 5);
			break;
		}
		assert_int_equal(r, -EIO);
		/* k and the file are the same, whichever it is. */
		assert_true(file_says(f, &f->k));
		assert_string_equal(f->k.path, f->path);
		if (access(f->aside, F_OK) < 0 && is_same(&old, &f->k))
			assert_true(file_says(f, &old));
		must_recover(f);
	}
}

static void test_a_step_that_fails(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(replacements); i++)
		fail_each_step(f, replacements[i]);
	trouble.no_exchange = true;
	for (size_t i = 0; i < ARRAY_LEN(replacements); i++)
		fail_each_step(f, replacements[i]);
	keyfile_done(&f->k);
}

/* Run it in a process that dies at step n. False: it lived. */
static bool dies(struct fixture *f, operation op, int n)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		trouble.how = DIE;
		trouble.count = 0;
		trouble.at = n;
		_exit(op(f) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == DEAD);
	return WEXITSTATUS(status) == DEAD;
}

/* The new one, as far as it can be told from outside (its keys may be new). */
static bool is_after(
	const struct keyfile *k, const struct keyfile *old, operation op)
{
	if (op == remember)
		return k->size == old->size + 1 && k->has_next;
	if (op == prepare)
		return k->number == old->number && k->has_next &&
		       memcmp(k->next_seed, old->next_seed, SIGN_SEED_LEN) != 0;
	return k->number == old->number + 1 && !k->has_next &&
	       memcmp(k->seed, old->next_seed, SIGN_SEED_LEN) == 0;
}

static void die_at_each_step(struct fixture *f, operation op)
{
	int old = 0, new = 0;

	for (int n = 1;; n++) {
		struct keyfile read;

		begin(f);
		if (!dies(f, op, n))
			break;
		assert_int_equal(keyfile_read(f->path, &read, NULL), 0);
		if (is_same(&read, &f->k)) {
			assert_int_equal(new, 0); /* never back */
			old++;
		} else {
			assert_true(is_after(&read, &f->k, op));
			new ++;
		}
		keyfile_done(&f->k);
		f->k = read;
		must_recover(f);
	}
	assert_true(old > 2 && new > 1);
}

static void test_a_death_at_each_step(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(replacements); i++)
		die_at_each_step(f, replacements[i]);
	trouble.no_exchange = true;
	for (size_t i = 0; i < ARRAY_LEN(replacements); i++)
		die_at_each_step(f, replacements[i]);
	keyfile_done(&f->k);
}

/* A new file is there as a whole or not at all; then it can be made. */
static void test_a_death_while_it_is_made(void **state)
{
	struct fixture *f = *state;

	for (int n = 1; dies(f, create, n); n++) {
		int r = keyfile_read(f->path, &f->k, NULL);

		assert_true(r == 0 || r == -ENOENT);
		if (r < 0)
			assert_int_equal(create(f), 0);
		must_recover(f);
		keyfile_done(&f->k);
		assert_int_equal(unlink(f->path), 0);
	}
	assert_int_equal(access(f->aside, F_OK), -1);
}

static void test_making_that_fails(void **state)
{
	struct fixture *f = *state;

	for (int n = 1;; n++) {
		int r;

		trouble.how = FAIL;
		trouble.count = 0;
		trouble.at = n;
		r = create(f);
		if (r == 0)
			break;
		assert_int_equal(r, -EIO);
		trouble.at = 0;
		r = keyfile_read(f->path, &f->k, NULL);
		assert_true(r == 0 || r == -ENOENT);
		if (r == 0)
			must_recover(f);
		keyfile_done(&f->k);
		(void)unlink(f->path);
	}
	assert_true(trouble.count > 4);
	keyfile_done(&f->k);
}

/* Where names can't be exchanged the old file is overwritten all the same. */
static void test_no_exchange_overwrites_too(void **state)
{
	struct fixture *f = *state;

	begin(f);
	trouble.no_exchange = true;

	_cleanup_close_ int fd = open(f->path, O_RDONLY | O_CLOEXEC);
	char byte = 1;

	assert_int_equal(advance(f), 0);
	assert_int_equal(pread(fd, &byte, 1, 100), 1);
	assert_int_equal(byte, 0);
	assert_true(file_says(f, &f->k));
	keyfile_done(&f->k);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_step_that_fails),
		TEST(test_a_death_at_each_step),
		TEST(test_a_death_while_it_is_made),
		TEST(test_making_that_fails),
		TEST(test_no_exchange_overwrites_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
