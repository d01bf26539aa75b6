/* SPDX-License-Identifier: Apache-2.0 */
/* Which mount points are fit, and the mount itself. */
#include "fs/mount/point.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fs/base/mountinfo.h"
#include "tests/lib/scratch.h"
#include "tests/unit/unit.h"

static struct scratch top;

/* An image and a ledger that are where they should be, and things in the way.
 */
static int set_up(void **state)
{
	static const char *const folders[] = {"empty", "full", "full/below"};
	static const char *const files[] = {"image", "full/below/image"};

	if (!scratch_init(&top) || chdir(top.path) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		if (mkdir(folders[i], 0755) < 0)
			return -1;
	}
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		int fd = open(files[i], O_CREAT | O_WRONLY, 0644);

		if (fd < 0 || close(fd) < 0)
			return -1;
	}
	if (symlink("full", "link") < 0 ||
		symlink("full/below/image", "image link") < 0 ||
		symlink("full/below/absent", "dangling") < 0)
		return -1;
	return 0;
}

static int tear_down(void **state)
{
	scratch_done(&top);
	return chdir("/");
}

/* All paths below the scratch folder; a relative one begins with "./". */
struct point_case {
	const char *at, *image, *ledger;
	bool nonempty;
	int error;
	const char *says;
};

static const struct point_case cases[] = {
	{"empty", "image", "ledger", false, 0, NULL},
	{"empty", "image", "ledger", true, 0, NULL},
	{"full", "image", "ledger", true, 0, NULL},
	{"full", "image", "ledger", false, -ENOTEMPTY, "nonempty"},
	{"absent", "image", "ledger", false, -ENOENT, "absent"},
	{"image", "image", "ledger", false, -ENOTDIR, "not a folder"},
	{"image/x", "image", "ledger", false, -ENOTDIR, "image/x"},
	/* the image below, however it is named */
	{"full", "full/below/image", "ledger", true, -ELOOP, "image"},
	{"full/below", "full/below/image", "ledger", true, -ELOOP, "image"},
	{"full", "link/below/image", "ledger", true, -ELOOP, "image"},
	{"full", "image link", "ledger", true, -ELOOP, "image"},
	{"full", "./link/below/image", "ledger", true, -ELOOP, "image"},
	/* the ledger, which need not be there yet */
	{"empty", "image", "empty/ledger", false, -ELOOP, "ledger"},
	{"empty", "image", "./empty/ledger", false, -ELOOP, "ledger"},
	{"full", "image", "full/ledger", true, -ELOOP, "ledger"},
	{"full", "image", "link/ledger", true, -ELOOP, "ledger"},
	{"full", "image", "./link/below/ledger", true, -ELOOP, "ledger"},
	{"full", "image", "link/below/../ledger", true, -ELOOP, "ledger"},
	{"full", "image", "dangling", true, -ELOOP, "ledger"},
	/* not below, though the names begin alike */
	{"empty", "image", "empty.ledger", false, 0, NULL},
	{"empty", "image", "link/../ledger", false, 0, NULL},
	{"full/below", "image", "full/ledger", true, 0, NULL},
	{"full/below", "image", "link/ledger", true, 0, NULL},
};

static const char *absolute(const char *path, char ret[SCRATCH_PATH])
{
	return path[0] == '.' ? path + 2 : scratch_name(&top, path, ret);
}

static void test_check(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct point_case *c = &cases[i];
		char at[SCRATCH_PATH], image[SCRATCH_PATH];
		char ledger[SCRATCH_PATH];
		struct mount_options opt = {
			.mount_point = absolute(c->at, at),
			.image = absolute(c->image, image),
			.ledger = absolute(c->ledger, ledger),
			.nonempty = c->nonempty,
		};
		struct diag diag = {0};
		int r = point_check(&opt, &diag);

		if (r != c->error || (r < 0 && !strstr(diag.text, c->says)))
			fail_msg("%s, %s, %s: %d, %s", c->at, c->image,
				c->ledger, r, diag.text);
	}
}

/* The mount points that end in themselves. */
static void test_root(void **state)
{
	struct mount_options opt = {
		.mount_point = "/",
		.image = "/x",
		.ledger = "/y",
		.nonempty = true,
	};

	assert_int_equal(point_check(&opt, NULL), -ELOOP);
}

/* Is it mounted there with exactly these options? */
static bool has_flags(const char *at, const char *flags)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mounts", "re");
	char line[1024], dir[512], options[256];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*s %511s fuse.stele %255s", dir, options) ==
				2 &&
			strcmp(dir, at) == 0)
			return strncmp(options, flags, strlen(flags)) == 0 &&
			       options[strlen(flags)] == ',';
	}
	return false;
}

/* Mount, look, and find that it is taken. 0 when all is well. */
static int mount_alone(const struct mount_options *given, const char *flags)
{
	struct mount_options opt = *given;
	char at[SCRATCH_PATH], image[SCRATCH_PATH];
	uint32_t dev_major, dev_minor;
	struct mountinfo info;
	struct diag diag = {0};

	opt.mount_point = scratch_name(&top, "empty", at);
	opt.image = scratch_name(&top, "image", image);
	opt.ledger = "/y";
	if (point_device(at, &dev_major, &dev_minor) != -ENOENT)
		return 2;

	int fd = point_mount(&opt, &diag);

	if (fd < 0)
		return 3;
	if (mountinfo_find_absolute(at, &info) != 1 ||
		strcmp(info.fstype, MOUNTINFO_FSTYPE) != 0 ||
		strcmp(info.source, image) != 0)
		return 4;
	if (point_device(at, &dev_major, &dev_minor) < 0 ||
		dev_major != info.major || dev_minor != info.minor)
		return 5;
	mountinfo_done(&info);
	if (!has_flags(at, flags))
		return 9;
	if (point_check(&opt, &diag) != -EBUSY ||
		!strstr(diag.text, "stele umount"))
		return 6;
	if (close(fd) < 0 || umount2(at, MNT_DETACH) < 0)
		return 7;
	return point_device(at, &dev_major, &dev_minor) == -ENOENT ? 0 : 8;
}

static const struct {
	struct mount_options opt;
	const char *flags;
} mounts[] = {
	{{.allow_other = true}, "rw,nosuid,nodev,relatime"},
	{{.suid = true}, "rw,nodev,relatime"},
	{{.noexec = true}, "rw,nosuid,nodev,noexec,relatime"},
};

static void test_mount(void **state)
{
	if (geteuid() != 0)
		skip_because("mounting needs root");
	if (access("/dev/fuse", R_OK | W_OK) < 0)
		skip_because("no /dev/fuse here");
	for (size_t i = 0; i < ARRAY_LEN(mounts); i++) {
		pid_t child = fork();
		int status;

		assert_true(child >= 0);
		if (child == 0) {
			if (!scratch_own_mounts())
				_exit(255);
			_exit(mount_alone(&mounts[i].opt, mounts[i].flags));
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_root),
		cmocka_unit_test(test_mount),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
