/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount.fuse.stele SOURCE DIR [-sfnv] [-N NAMESPACE] [-t TYPE] [-o OPTIONS]
 * is how mount(8), and so /etc/fstab and systemd, mounts an image. The letters
 * are mount(8)'s and mean other things than those of `stele mount`.
 */
#include "util/mount_helper.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>

#include "fs/base/buf.h"
#include "util/cmd.h"
#include "util/exit.h"

#define OPTIONS_MAX (64u << 10)

/* Exit codes of mount(8), see "EXIT STATUS" there. */
enum {
	MOUNT_OK = 0,
	MOUNT_USAGE = 1,
	MOUNT_SYSTEM = 2,
	MOUNT_FAILED = 32,
};

struct request {
	const char *source, *dir, *namespace;
	struct buf options; /* joined by commas, NUL-terminated */
	bool fake;	    /* -f: all but the mounting */
};

bool mount_helper_is(const char *argv0)
{
	const char *slash = strrchr(argv0, '/');
	const char *name = slash ? slash + 1 : argv0;

	return strcmp(name, "mount.stele") == 0 ||
	       strcmp(name, "mount.fuse.stele") == 0;
}

static int usage(void)
{
	(void)fail(EXIT_USAGE,
		"usage: mount.fuse.stele SOURCE DIR [-sfnv] [-N NAMESPACE] "
		"[-t TYPE] [-o OPTIONS]");
	return MOUNT_USAGE;
}

/* Words of fstab that tell mount(8) and systemd when to mount, not how. */
static bool is_for_mount(const char *word, size_t len)
{
	static const char *const words[] = {"defaults", "auto", "noauto",
		"user", "nouser", "users", "owner", "group", "_netdev",
		"nofail"};

	if (len > 2 &&
		(memcmp(word, "x-", 2) == 0 || memcmp(word, "X-", 2) == 0))
		return true;
	if (len > 8 && memcmp(word, "comment=", 8) == 0)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (len == strlen(words[i]) && memcmp(word, words[i], len) == 0)
			return true;
	}
	return false;
}

static int add_options(struct request *req, const char *text)
{
	int r = 0;

	while (r == 0 && *text) {
		size_t len = strcspn(text, ",");

		if (len > 0 && !is_for_mount(text, len))
			r = buf_printf(&req->options, "%s%.*s",
				req->options.len ? "," : "", (int)len, text);
		text += len;
		text += *text == ',';
	}
	return r;
}

/* Take one option; its value, if it has one, is value. Returns how many words
 * that took, or -errno. */
static int take_option(struct request *req, const char *word, const char *value)
{
	int r = 0;

	for (const char *letter = word + 1; *letter; letter++) {
		if (strchr("ntosvfN", *letter) == NULL)
			return -EINVAL;
		if (*letter == 'f')
			req->fake = true;
		if (!strchr("Nto", *letter))
			continue;
		if (letter[1] || !value) /* mount(8) keeps them apart */
			return -EINVAL;
		if (*letter == 'N')
			req->namespace = value;
		else if (*letter == 'o')
			r = add_options(req, value);
		return r < 0 ? r : 2;
	}
	return 1;
}

/* 0 or -errno. */
static int parse(struct request *req, int argc, char **argv)
{
	for (int i = 1; i < argc;) {
		int r = 1;

		if (argv[i][0] == '-' && argv[i][1])
			r = take_option(req, argv[i],
				i + 1 < argc ? argv[i + 1] : NULL);
		else if (!req->source)
			req->source = argv[i];
		else if (!req->dir)
			req->dir = argv[i];
		else
			r = -EINVAL;
		if (r < 0)
			return r;
		i += r;
	}
	return req->source && req->dir ? 0 : -EINVAL;
}

/* A process number or a file that stands for the namespace. 0 or -errno. */
static int enter_namespace(const char *name)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	bool number = name[strspn(name, "0123456789")] == '\0';

	if (asprintf(&path, number ? "/proc/%s/ns/mnt" : "%s", name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return setns(fd, CLONE_NEWNS) < 0 ? -errno : 0;
}

static int mount_code(int code)
{
	switch (code) {
	case EXIT_OK: return MOUNT_OK;
	case EXIT_USAGE:
	case EXIT_DENIED: return MOUNT_USAGE;
	case EXIT_SYSTEM: return MOUNT_SYSTEM;
	default: return MOUNT_FAILED;
	}
}

static int run(const struct request *req)
{
	const struct command *mount = command_find("mount");
	char name[] = "mount", o[] = "-o", end[] = "--";
	_cleanup_free_ char *options = strdup(req->options.data);
	_cleanup_free_ char *source = strdup(req->source);
	_cleanup_free_ char *dir = strdup(req->dir);
	char *with[] = {name, o, options, end, source, dir, NULL};
	char *without[] = {name, end, source, dir, NULL};

	if (!options || !source || !dir)
		return fail(EXIT_SYSTEM, "out of memory");
	if (req->namespace) {
		int r = enter_namespace(req->namespace);

		if (r < 0)
			return fail(exit_code_of(r),
				"enter the mount namespace %s: %s",
				req->namespace, strerror(-r));
	}
	if (req->fake)
		return EXIT_OK;
	if (*options)
		return mount->run(mount, ARRAY_LEN(with) - 1, with);
	return mount->run(mount, ARRAY_LEN(without) - 1, without);
}

int mount_helper_run(int argc, char **argv)
{
	struct request req = {0};
	int r;

	exit_set_command("mount");
	buf_init(&req.options, OPTIONS_MAX);
	r = parse(&req, argc, argv);
	if (r == 0)
		r = buf_add(&req.options, "", 1);
	if (r == -EINVAL)
		r = usage();
	else if (r < 0)
		r = mount_code(fail(EXIT_SYSTEM, "options: %s", strerror(-r)));
	else
		r = mount_code(run(&req));
	buf_done(&req.options);
	return r;
}
