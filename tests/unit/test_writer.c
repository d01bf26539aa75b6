/* SPDX-License-Identifier: Apache-2.0 */
/* How an image file comes into being, and that nothing is left when not. */
#include "fs/image/writer.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "fs/image/image.h"
#include "tests/lib/image_sample.h"
#include "tests/unit/unit.h"

/* Linked with --wrap: what the kernel can't do or fails to do. */
static bool no_tmpfile;
/* Number of the write and of the sync that fails. */
static int failing_write = -1, failing_sync = -1;

int __real_openat64(int dir, const char *path, int flags, mode_t mode);
int __wrap_openat64(int dir, const char *path, int flags, mode_t mode);
ssize_t __real_pwrite64(int fd, const void *p, size_t len, off_t off);
ssize_t __wrap_pwrite64(int fd, const void *p, size_t len, off_t off);
int __real_fsync(int fd);
int __wrap_fsync(int fd);

int __wrap_openat64(int dir, const char *path, int flags, mode_t mode)
{
	if (no_tmpfile && (flags & O_TMPFILE) == O_TMPFILE) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return __real_openat64(dir, path, flags, mode);
}

ssize_t __wrap_pwrite64(int fd, const void *p, size_t len, off_t off)
{
	if (failing_write >= 0 && failing_write-- == 0) {
		errno = ENOSPC;
		return -1;
	}
	return __real_pwrite64(fd, p, len, off);
}

int __wrap_fsync(int fd)
{
	if (failing_sync >= 0 && failing_sync-- == 0) {
		errno = EIO;
		return -1;
	}
	return __real_fsync(fd);
}

struct place {
	char folder[64];
	char path[96];
};

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	if (!p)
		return -1;
	strncpy(p->folder, "/tmp/stele-writer.XXXXXX", sizeof(p->folder) - 1);
	if (!mkdtemp(p->folder))
		return -1;
	(void)snprintf(p->path, sizeof(p->path), "%s/x.stele", p->folder);
	*state = p;
	return 0;
}

static int count_files(const char *folder)
{
	_cleanup_closedir_ DIR *d = opendir(folder);
	struct dirent *e;
	int n = 0;

	while (d && (e = readdir(d)))
		n += strcmp(e->d_name, ".") != 0 &&
		     strcmp(e->d_name, "..") != 0;
	return n;
}

static int set_up_named(void **state)
{
	no_tmpfile = true;
	return set_up(state);
}

static int tear_down(void **state)
{
	struct place *p = *state;

	no_tmpfile = false;
	failing_write = failing_sync = -1;

	(void)unlink(p->path); /* some tests leave none */

	int r = rmdir(p->folder);

	free(p);
	return r;
}

static int write_sample(const char *path, struct diag *diag)
{
	struct sample s = sample_all_kinds(3);

	return sample_write(&s, path, NULL, NULL, diag);
}

static void assert_opens(const char *path)
{
	_cleanup_(image_free) struct image *img = NULL;
	struct diag diag = {0};

	if (image_open_path(path, &img, &diag) < 0)
		fail_msg("%s", diag.text);
	assert_int_equal(image_check(img, NULL), 0);
}

static void test_new_file(void **state)
{
	struct place *p = *state;
	struct stat st;
	mode_t old = umask(0027);

	assert_int_equal(write_sample(p->path, NULL), 0);
	(void)umask(old);
	assert_int_equal(stat(p->path, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_int_equal(count_files(p->folder), 1);
	assert_opens(p->path);
}

static void test_replace(void **state)
{
	struct place *p = *state;
	struct stat before, after;
	_cleanup_close_ int fd = open(p->path, O_CREAT | O_RDWR, 0600);

	assert_int_equal(write(fd, "old", 3), 3);
	assert_int_equal(fstat(fd, &before), 0);
	assert_int_equal(write_sample(p->path, NULL), 0);
	assert_int_equal(stat(p->path, &after), 0);
	assert_int_not_equal(before.st_ino, after.st_ino);
	assert_int_equal(fstat(fd, &before), 0);
	assert_int_equal(before.st_size, 3);
	assert_int_equal(count_files(p->folder), 1);
	assert_opens(p->path);
}

/* The name is in no folder of the path: it goes into the current one. */
static void test_bare_name(void **state)
{
	struct place *p = *state;
	_cleanup_free_ char *cwd = getcwd(NULL, 0);

	assert_int_equal(chdir(p->folder), 0);
	assert_int_equal(write_sample("x.stele", NULL), 0);
	assert_int_equal(chdir(cwd), 0);
	assert_opens(p->path);
}

/* Nothing shows before the end, and nothing is left of an abandoned one. */
static void test_abandoned(void **state)
{
	struct place *p = *state;
	struct image_writer *w = NULL;
	struct image_frame f = {.stored = "x", .stored_len = 1, .raw_len = 1};

	assert_int_equal(
		image_writer_new(p->path, LAYOUT_FRAME_MIN, 0, &w, NULL), 0);
	assert_int_equal(image_writer_frame(w, &f, NULL), 0);
	assert_int_equal(image_writer_frame_count(w), 1);
	assert_int_equal(count_files(p->folder), no_tmpfile ? 1 : 0);
	assert_int_not_equal(access(p->path, F_OK), 0);
	image_writer_free(w);
	assert_int_equal(count_files(p->folder), 0);
}

static void must_refuse(const char *path, int want, const char *says)
{
	struct diag diag = {0};
	int r = write_sample(path, &diag);

	if (r != want || !strstr(diag.text, says))
		fail_msg("%s: %d \"%s\"", path, r, diag.text);
}

static void test_refused(void **state)
{
	struct place *p = *state;
	char path[512];

	must_refuse("/absent/x.stele", -ENOENT, "cannot write /absent/x.stele");
	must_refuse("", -EISDIR, "a file name is needed");
	must_refuse("/tmp/", -EISDIR, "a file name is needed");
	must_refuse(p->folder, -EISDIR, "it is a folder");
	must_refuse("/dev/null", -EEXIST, "not a regular file");
	(void)snprintf(path, sizeof(path), "%s/link", p->folder);
	assert_int_equal(symlink("x.stele", path), 0);
	must_refuse(path, -EEXIST, "not a regular file");
	assert_int_equal(unlink(path), 0);
	(void)snprintf(path, sizeof(path), "%s/%0300d", p->folder, 1);
	must_refuse(path, -ENAMETOOLONG, "File name too long");
	assert_int_equal(count_files(p->folder), 0);
}

/* A limit on the size of files stands for a full disk. */
static void test_full(void **state)
{
	struct place *p = *state;
	struct rlimit old, small;
	struct diag diag = {0};
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 8192;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);

	int r = write_sample(p->path, &diag);

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	(void)signal(SIGXFSZ, handler);
	assert_int_equal(r, -EFBIG);
	assert_non_null(strstr(diag.text, "x.stele: File too large"));
	assert_int_equal(count_files(p->folder), 0);
}

/* Whichever write fails, it is told and nothing is left. */
static void test_writes_fail(void **state)
{
	struct place *p = *state;
	int writes = 0, r = -ENOSPC;

	while (r == -ENOSPC) {
		struct diag diag = {0};

		failing_write = writes;
		r = write_sample(p->path, &diag);
		if (failing_write >= 0)
			break; /* there are no more writes */
		assert_int_equal(r, -ENOSPC);
		assert_non_null(strstr(diag.text, "No space left on device"));
		assert_int_equal(count_files(p->folder), 0);
		writes++;
	}
	assert_int_equal(r, 0);
	assert_true(writes >= 2);
}

static void test_sync_fails(void **state)
{
	struct place *p = *state;
	struct diag diag = {0};

	failing_sync = 0;
	assert_int_equal(write_sample(p->path, &diag), -EIO);
	assert_non_null(strstr(diag.text, "x.stele: Input/output error"));
	assert_int_equal(count_files(p->folder), 0);
}

static void test_folder_sync_fails(void **state)
{
	struct place *p = *state;
	struct diag diag = {0};

	failing_sync = 1;
	assert_int_equal(write_sample(p->path, &diag), -EIO);
	assert_non_null(strstr(diag.text, "may not survive a power cut"));
	assert_int_equal(count_files(p->folder), 1);
	assert_opens(p->path);
}

/* More than the buffer, in frames of all sizes; each byte comes back. */
static void test_many_frames(void **state)
{
	struct place *p = *state;
	struct sample s = sample_nothing(0);
	static uint8_t bytes[9 << 20];
	struct sample_content content = {bytes, sizeof(bytes)};
	const struct sample_entry entries[] = {
		{.ino = 1, .mode = S_IFDIR},
		{.parent = 1, .ino = 2, .name = "big", .mode = S_IFREG},
	};

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i % 251 + (i >> 16));
	s.entries = entries;
	s.entry_count = ARRAY_LEN(entries);
	s.contents = &content;
	for (s.level = 0; s.level < 2; s.level++) {
		s.frame_size = s.level ? LAYOUT_FRAME_MIN : LAYOUT_FRAME_MAX;
		assert_int_equal(
			sample_write(&s, p->path, NULL, NULL, NULL), 0);
		assert_opens(p->path);
	}
}

/* A table that shrinks more than the ratio allows is stored raw. */
static void test_section_ratio(void **state)
{
	static const struct sample_xattr same[] = {
		{"user.zeros", NULL, 65536}, {NULL, NULL, 0}};
	static char zeros[65536];
	struct place *p = *state;
	struct sample_xattr set[17];
	char names[16][16];
	struct sample_entry root = {.ino = 1, .mode = S_IFDIR};
	struct sample s = sample_nothing(19);

	for (int i = 0; i < 16; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "user.%02d", i);
		set[i] = same[0];
		set[i].name = names[i];
		set[i].value = zeros;
	}
	set[16] = same[1];
	root.xattrs = set;
	s.entries = &root;
	s.entry_count = 1;
	assert_int_equal(sample_write(&s, p->path, NULL, NULL, NULL), 0);
	assert_opens(p->path);
}

#define WITH_PLACE(test) \
	cmocka_unit_test_setup_teardown(test, set_up, tear_down)
/* The same where there are no files without a name. */
#define WITH_NAMED(test)                                            \
	{                                                           \
#test "_named", test, set_up_named, tear_down, NULL \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PLACE(test_new_file),
		WITH_NAMED(test_new_file),
		WITH_PLACE(test_replace),
		WITH_NAMED(test_replace),
		WITH_PLACE(test_bare_name),
		WITH_PLACE(test_abandoned),
		WITH_NAMED(test_abandoned),
		WITH_PLACE(test_refused),
		WITH_PLACE(test_full),
		WITH_NAMED(test_full),
		WITH_PLACE(test_writes_fail),
		WITH_NAMED(test_writes_fail),
		WITH_PLACE(test_sync_fails),
		WITH_NAMED(test_sync_fails),
		WITH_PLACE(test_folder_sync_fails),
		WITH_PLACE(test_many_frames),
		WITH_PLACE(test_section_ratio),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
