/* SPDX-License-Identifier: Apache-2.0 */
/* The key file: there and back, through a change of keys, and everything that
 * is no key file of ours. test_keyfile_faults.c has what fails on the way. */
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "fs/base/io.h"
#include "fs/seal/keyfile.h"
#include "fs/seal/keyfile_store.h"
#include "tests/lib/scratch.h"
#include "tests/unit/unit.h"

#define ORIGIN "host.example/stele/0123456789abcdef"
#define ZEROS "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define ONES "//////////////////////////////////////////8="

struct fixture {
	struct scratch scratch;
	char path[SCRATCH_PATH];
	struct keyfile k;
	struct diag diag;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f || !scratch_init(&f->scratch))
		return -1;
	scratch_name(&f->scratch, "l-key", f->path);
	*state = f;
	return 0;
}

static int set_up_key(void **state)
{
	struct fixture *f;

	if (set_up(state) < 0)
		return -1;
	f = *state;
	return keyfile_create(f->path, ORIGIN, &f->k, &f->diag);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	keyfile_done(&f->k);
	scratch_done(&f->scratch);
	free(f);
	return 0;
}

static void must_be_same(const struct keyfile *a, const struct keyfile *b)
{
	assert_string_equal(a->path, b->path);
	assert_string_equal(a->origin, b->origin);
	assert_true(a->number == b->number && a->size == b->size);
	assert_memory_equal(a->seed, b->seed, SIGN_SEED_LEN);
	assert_string_equal(a->key.name, b->key.name);
	assert_memory_equal(a->key.key, b->key.key, SIGN_PUBLIC_LEN);
	assert_memory_equal(&a->root, &b->root, sizeof(a->root));
	assert_int_equal(a->has_next, b->has_next);
	if (!a->has_next)
		return;
	assert_memory_equal(a->next_seed, b->next_seed, SIGN_SEED_LEN);
	assert_string_equal(a->next.name, b->next.name);
	assert_memory_equal(a->next.key, b->next.key, SIGN_PUBLIC_LEN);
}

/* The file says what k does, is ours alone, and the only one. */
static void file_must_say(struct fixture *f)
{
	struct keyfile again;
	struct stat st;
	char name[SCRATCH_PATH];

	assert_int_equal(keyfile_read(f->path, &again, &f->diag), 0);
	must_be_same(&again, &f->k);
	keyfile_done(&again);
	assert_int_equal(lstat(f->path, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(
		lstat(scratch_name(&f->scratch, "l-key-new", name), &st), -1);
}

static void test_create_and_read(void **state)
{
	struct fixture *f = *state;
	struct digest nothing;
	uint8_t public[SIGN_PUBLIC_LEN];
	struct keyfile other;

	assert_int_equal(keyfile_read(f->path, &f->k, &f->diag), -ENOENT);
	assert_int_equal(keyfile_create(f->path, ORIGIN, &f->k, &f->diag), 0);
	file_must_say(f);
	assert_string_equal(f->k.origin, ORIGIN);
	assert_string_equal(f->k.key.name, ORIGIN);
	assert_int_equal(f->k.number, 0);
	assert_int_equal(f->k.size, 0);
	assert_false(f->k.has_next);
	assert_int_equal(digest_of("", 0, &nothing), 0);
	assert_memory_equal(&f->k.root, &nothing, sizeof(nothing));
	assert_int_equal(sign_public(f->k.seed, public), 0);
	assert_memory_equal(f->k.key.key, public, sizeof(public));

	assert_int_equal(
		keyfile_create(f->path, ORIGIN, &other, &f->diag), -EEXIST);
	assert_non_null(strstr(f->diag.text, f->path));
	file_must_say(f);
}

static void test_the_longest_origin(void **state)
{
	struct fixture *f = *state;
	char origin[NOTE_ORIGIN_MAX + 2];
	struct digest root = {{255}};

	memset(origin, 'o', sizeof(origin));
	origin[NOTE_ORIGIN_MAX + 1] = '\0';
	assert_int_equal(
		keyfile_create(f->path, origin, &f->k, &f->diag), -EINVAL);
	assert_int_equal(
		keyfile_create(f->path, "a b", &f->k, &f->diag), -EINVAL);
	assert_int_equal(access(f->path, F_OK), -1);
	origin[NOTE_ORIGIN_MAX] = '\0';
	assert_int_equal(keyfile_create(f->path, origin, &f->k, &f->diag), 0);
	assert_int_equal(
		keyfile_remember(&f->k, INT64_MAX, &root, &f->diag), 0);
	assert_int_equal(keyfile_prepare(&f->k, &f->diag), 0);
	file_must_say(f);
}

static void test_checkpoints_are_remembered(void **state)
{
	struct fixture *f = *state;

	for (uint64_t size = 1; size < 20; size++) {
		struct digest root = {{(uint8_t)size, 1, 2, 3}};

		assert_int_equal(
			keyfile_remember(&f->k, size, &root, &f->diag), 0);
		assert_int_equal(f->k.size, size);
		assert_memory_equal(&f->k.root, &root, sizeof(root));
		file_must_say(f);
	}
}

static void test_a_change_of_keys(void **state)
{
	struct fixture *f = *state;
	struct digest root = {{9}};

	assert_int_equal(keyfile_remember(&f->k, 77, &root, &f->diag), 0);
	for (uint64_t n = 0; n < 3; n++) {
		struct keyfile before = f->k, first;

		assert_int_equal(keyfile_prepare(&f->k, &f->diag), 0);
		assert_true(f->k.has_next && f->k.number == n);
		assert_memory_equal(f->k.seed, before.seed, SIGN_SEED_LEN);
		file_must_say(f);

		/* Prepared anew: another key than the one that was not used. */
		first = f->k;
		assert_int_equal(keyfile_prepare(&f->k, &f->diag), 0);
		assert_memory_not_equal(
			f->k.next_seed, first.next_seed, SIGN_SEED_LEN);
		file_must_say(f);

		first = f->k;
		assert_int_equal(keyfile_advance(&f->k, &f->diag), 0);
		assert_int_equal(f->k.number, n + 1);
		assert_false(f->k.has_next);
		assert_memory_equal(f->k.seed, first.next_seed, SIGN_SEED_LEN);
		assert_memory_equal(
			f->k.key.key, first.next.key, SIGN_PUBLIC_LEN);
		assert_string_equal(f->k.key.name, ORIGIN);
		assert_int_equal(f->k.size, 77);
		file_must_say(f);
		assert_int_equal(keyfile_advance(&f->k, &f->diag), -EINVAL);
		file_must_say(f);
	}
}

/* A death between the steps: who reads the file next can do either. */
static void test_a_change_goes_on_from_the_file(void **state)
{
	struct fixture *f = *state;
	uint8_t next[SIGN_SEED_LEN];

	assert_int_equal(keyfile_prepare(&f->k, &f->diag), 0);
	memcpy(next, f->k.next_seed, sizeof(next));
	keyfile_done(&f->k);
	assert_int_equal(keyfile_read(f->path, &f->k, &f->diag), 0);
	assert_true(f->k.has_next);
	assert_int_equal(keyfile_advance(&f->k, &f->diag), 0);
	assert_memory_equal(f->k.seed, next, sizeof(next));

	assert_int_equal(keyfile_prepare(&f->k, &f->diag), 0);
	keyfile_done(&f->k);
	assert_int_equal(keyfile_read(f->path, &f->k, &f->diag), 0);
	assert_memory_equal(f->k.seed, next, sizeof(next));
	assert_int_equal(keyfile_prepare(&f->k, &f->diag), 0);
	file_must_say(f);
}

/* Through a descriptor of the old file: its blocks no longer hold anything. */
static void must_be_overwritten(int fd)
{
	char bytes[KEYFILE_MAX];
	ssize_t n = io_pread(fd, bytes, sizeof(bytes), 0);

	assert_true(n > 0);
	for (ssize_t i = 0; i < n; i++)
		assert_int_equal(bytes[i], 0);
}

static void test_old_secrets_are_overwritten(void **state)
{
	struct fixture *f = *state;
	struct digest root = {{1}};

	for (int step = 0; step < 3; step++) {
		_cleanup_close_ int fd = open(f->path, O_RDONLY | O_CLOEXEC);
		int r = step == 0   ? keyfile_remember(&f->k, 1, &root, NULL)
			: step == 1 ? keyfile_prepare(&f->k, NULL)
				    : keyfile_advance(&f->k, NULL);

		assert_int_equal(r, 0);
		assert_true(fd >= 0);
		must_be_overwritten(fd);
		file_must_say(f);
	}
}

static void test_done_overwrites_the_secrets(void **state)
{
	struct fixture *f = *state;
	struct keyfile zero = {0};

	assert_int_equal(keyfile_prepare(&f->k, &f->diag), 0);
	keyfile_done(&f->k);
	assert_memory_equal(&f->k, &zero, sizeof(zero));
	keyfile_done(&f->k);
}

static void must_refuse(struct fixture *f, int expected)
{
	struct keyfile k = {.number = 7};

	f->diag.text[0] = '\0';

	int r = keyfile_read(f->path, &k, &f->diag);

	assert_int_equal(r, expected);
	assert_non_null(strstr(f->diag.text, f->path));
	assert_int_equal(k.number, 7); /* untouched */
}

static void test_a_file_that_others_can_read(void **state)
{
	struct fixture *f = *state;

	for (mode_t bit = 1; bit <= 040; bit <<= 1) {
		assert_int_equal(chmod(f->path, 0600 | bit), 0);
		must_refuse(f, -EPERM);
		assert_non_null(strstr(f->diag.text, "chmod 600"));
	}
	assert_int_equal(chmod(f->path, 0600), 0);
	file_must_say(f);
	if (geteuid() != 0)
		return;
	assert_int_equal(chown(f->path, 65534, 0), 0);
	must_refuse(f, -EPERM);
	assert_non_null(strstr(f->diag.text, "65534"));
}

static void test_what_is_no_regular_file(void **state)
{
	struct fixture *f = *state;
	char name[SCRATCH_PATH];
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_int_equal(
		rename(f->path, scratch_name(&f->scratch, "real", name)), 0);
	assert_int_equal(symlink("real", f->path), 0);
	must_refuse(f, -EPERM);
	assert_non_null(strstr(f->diag.text, "symbolic link"));
	assert_int_equal(unlink(name), 0); /* now it dangles */
	must_refuse(f, -EPERM);
	assert_int_equal(unlink(f->path), 0);

	assert_int_equal(mkdir(f->path, 0700), 0);
	must_refuse(f, -EPERM);
	assert_int_equal(rmdir(f->path), 0);

	assert_int_equal(mkfifo(f->path, 0600), 0);
	must_refuse(f, -EPERM); /* at once: nobody will ever write to it */
	assert_int_equal(unlink(f->path), 0);

	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%.100s", f->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	must_refuse(f, -EPERM);
	assert_int_equal(unlink(f->path), 0);

	if (mknod(f->path, S_IFCHR | 0600, makedev(1, 5)) == 0)
		must_refuse(f, -EPERM);
}

/* A link that was put there meanwhile is replaced, not followed. */
static void test_a_link_is_not_written_through(void **state)
{
	struct fixture *f = *state;
	char name[SCRATCH_PATH], aside[SCRATCH_PATH];
	struct digest root = {{1}};
	struct stat st;

	assert_true(scratch_write(&f->scratch, "victim", "text", 4));
	scratch_name(&f->scratch, "victim", name);
	scratch_name(&f->scratch, "l-key-new", aside);
	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(symlink("victim", f->path), 0);
	assert_int_equal(symlink("victim", aside), 0);
	assert_int_equal(keyfile_remember(&f->k, 1, &root, &f->diag), 0);
	file_must_say(f);

	/* Nor is a second name of somebody's file overwritten. */
	assert_int_equal(link(name, aside), 0);
	assert_int_equal(keyfile_remember(&f->k, 2, &root, &f->diag), 0);
	file_must_say(f);
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_size, 4);

	_cleanup_close_ int fd = open(name, O_RDONLY | O_CLOEXEC);
	char text[4];

	assert_int_equal(io_read(fd, text, 4), 4);
	assert_memory_equal(text, "text", 4);
}

static void test_a_file_that_was_removed_is_made_again(void **state)
{
	struct fixture *f = *state;
	struct digest root = {{1}};

	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(keyfile_remember(&f->k, 1, &root, &f->diag), 0);
	file_must_say(f);
}

static size_t read_file(struct fixture *f, char *ret, size_t max)
{
	_cleanup_close_ int fd = open(f->path, O_RDONLY | O_CLOEXEC);
	ssize_t n = io_read(fd, ret, max);

	assert_true(n > 0);
	return (size_t)n;
}

static void test_each_cut_and_each_bit(void **state)
{
	struct fixture *f = *state;
	char text[KEYFILE_MAX];

	assert_int_equal(keyfile_prepare(&f->k, &f->diag), 0);

	size_t len = read_file(f, text, sizeof(text));

	for (size_t n = 0; n < len; n++) {
		assert_true(scratch_write(&f->scratch, "l-key", text, n));
		must_refuse(f, -EBADMSG);
	}
	for (size_t bit = 0; bit < 8 * len; bit++) {
		text[bit / 8] ^= (char)(1 << bit % 8);
		assert_true(scratch_write(&f->scratch, "l-key", text, len));
		/* The version is the one thing that says so itself. */
		if (bit / 8 == strlen("stele-key "))
			assert_true(keyfile_read(f->path, &f->k, NULL) < 0);
		else
			must_refuse(f, -EBADMSG);
		text[bit / 8] ^= (char)(1 << bit % 8);
	}
	assert_true(scratch_write(&f->scratch, "l-key", text, len));
	file_must_say(f);
}

#define HEAD "stele-key 1\norigin " ORIGIN "\nnumber 0\n"
#define TAIL "size 0\nroot " ZEROS "\n"

static const struct {
	const char *text;
	int expected;
} with_sums[] = {
	{HEAD "seed " ONES "\n" TAIL, 0},
	{HEAD "seed " ONES "\nnext " ZEROS "\n" TAIL, 0},
	{"stele-key 2\norigin " ORIGIN "\n", -EOPNOTSUPP},
	{"stele-key 0\n", -EBADMSG},
	{"stele-key 01\n", -EBADMSG},
	{"stele-key\n", -EBADMSG},
	{"stele-key 1 \n", -EBADMSG},
	{"stele-key 1\n", -EBADMSG},
	{"SQLite format 3\n", -EBADMSG},
	{HEAD TAIL, -EBADMSG},
	{HEAD "next " ONES "\n" TAIL, -EBADMSG},
	{HEAD "next " ONES "\nseed " ONES "\n" TAIL, -EBADMSG},
	{HEAD "seed " ONES "\n", -EBADMSG},
	{HEAD "seed " ONES "\nsize 0\n", -EBADMSG},
	{HEAD "seed " ONES "\nsize 00\nroot " ZEROS "\n", -EBADMSG},
	{HEAD "seed " ONES "\nsize -1\nroot " ZEROS "\n", -EBADMSG},
	{HEAD "seed " ONES "\nsize 9223372036854775808\nroot " ZEROS "\n",
		-EBADMSG},
	{HEAD "seed " ONES "\nroot " ZEROS "\nsize 0\n", -EBADMSG},
	{HEAD "seed " ONES "\nseed " ONES "\n" TAIL, -EBADMSG},
	{HEAD "seed " ONES "\n" TAIL "more\n", -EBADMSG},
	{HEAD "seed " ONES "\n" TAIL "\n", -EBADMSG},
	{HEAD "seed " ONES "\r\n" TAIL, -EBADMSG},
	{HEAD "seed  " ONES "\n" TAIL, -EBADMSG},
	{HEAD "seed AAAA\n" TAIL, -EBADMSG},
	{HEAD "seed AA" ONES "\n" TAIL, -EBADMSG},
	{"stele-key 1\norigin \nnumber 0\nseed " ONES "\n" TAIL, -EBADMSG},
	{"stele-key 1\norigin a b\nnumber 0\nseed " ONES "\n" TAIL, -EBADMSG},
	{"stele-key 1\norigin a\nnumber x\nseed " ONES "\n" TAIL, -EBADMSG},
};

/* The right sum does not make it right. */
static void test_malformed_files(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(with_sums); i++) {
		_cleanup_buf_ struct buf b = {.max = KEYFILE_MAX};
		size_t len = strlen(with_sums[i].text);
		struct digest sum;
		struct keyfile k;

		assert_int_equal(digest_of(with_sums[i].text, len, &sum), 0);
		assert_int_equal(
			buf_printf(&b, "%ssum ", with_sums[i].text), 0);
		assert_int_equal(base64_add(&b, &sum, sizeof(sum)), 0);
		assert_int_equal(buf_add(&b, "\n", 1), 0);
		assert_true(scratch_write(&f->scratch, "l-key", b.data, b.len));
		if (with_sums[i].expected < 0) {
			must_refuse(f, with_sums[i].expected);
			continue;
		}
		assert_int_equal(keyfile_read(f->path, &k, &f->diag), 0);
		keyfile_done(&k);
	}
}

static void test_what_follows_the_sum(void **state)
{
	struct fixture *f = *state;
	char text[2 * KEYFILE_MAX] = {0};
	size_t len = read_file(f, text, sizeof(text));

	text[len] = '\n';
	assert_true(scratch_write(&f->scratch, "l-key", text, len + 1));
	must_refuse(f, -EBADMSG);
	text[len] = '\0';
	assert_true(scratch_write(&f->scratch, "l-key", text, len + 1));
	must_refuse(f, -EBADMSG);
	assert_true(scratch_write(&f->scratch, "l-key", text, sizeof(text)));
	must_refuse(f, -EBADMSG);
}

static void test_a_full_disk_leaves_the_old_file(void **state)
{
	struct fixture *f = *state;
	struct digest root = {{1}};

	if (!scratch_own_mounts())
		skip_because("mounting a tmpfs needs root");
	assert_int_equal(
		mount("tmpfs", f->scratch.path, "tmpfs", 0, "size=4k"), 0);
	assert_int_equal(keyfile_create(f->path, ORIGIN, &f->k, &f->diag), 0);
	assert_int_equal(keyfile_remember(&f->k, 1, &root, &f->diag), -ENOSPC);
	assert_int_equal(f->k.size, 0);
	file_must_say(f);
	assert_int_equal(keyfile_prepare(&f->k, &f->diag), -ENOSPC);
	assert_false(f->k.has_next);
	file_must_say(f);
	assert_int_equal(
		mount(NULL, f->scratch.path, NULL, MS_REMOUNT, "size=8k"), 0);
	assert_int_equal(keyfile_remember(&f->k, 1, &root, &f->diag), 0);
	file_must_say(f);
	assert_int_equal(umount2(f->scratch.path, MNT_DETACH), 0);
}

#define EMPTY(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define KEYED(name) cmocka_unit_test_setup_teardown(name, set_up_key, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EMPTY(test_create_and_read),
		EMPTY(test_the_longest_origin),
		KEYED(test_checkpoints_are_remembered),
		KEYED(test_a_change_of_keys),
		KEYED(test_a_change_goes_on_from_the_file),
		KEYED(test_old_secrets_are_overwritten),
		KEYED(test_done_overwrites_the_secrets),
		KEYED(test_a_file_that_others_can_read),
		KEYED(test_what_is_no_regular_file),
		KEYED(test_a_link_is_not_written_through),
		KEYED(test_a_file_that_was_removed_is_made_again),
		KEYED(test_each_cut_and_each_bit),
		EMPTY(test_malformed_files),
		KEYED(test_what_follows_the_sum),
		EMPTY(test_a_full_disk_leaves_the_old_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
