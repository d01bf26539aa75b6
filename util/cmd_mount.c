/* SPDX-License-Identifier: Apache-2.0 */
/* stele mount: checks the words, mounts, and returns when the mount answers. */
#include <string.h>

#include "util/cmd.h"
#include "util/exit.h"
#include "util/mount_serve.h"

static const struct opt mount_options[] = {
	{"options", 'o', OPT_LIST, offsetof(struct mount_values, options),
		"OPTION[,...]", "mount options, see above", 0, 0},
	{"ledger", 0, OPT_STRING, offsetof(struct mount_values, ledger), "FILE",
		"record attempts in FILE instead of the mount point's own "
		"ledger",
		0, 0},
	{"ledger-max", 0, OPT_STRING, offsetof(struct mount_values, ledger_max),
		"SIZE", "as -o ledger_max=SIZE", 0, 0},
	{"on-full", 0, OPT_STRING, offsetof(struct mount_values, on_full),
		"ACTION", "as -o on_full=ACTION", 0, 0},
	{"anchor", 0, OPT_LIST, offsetof(struct mount_values, anchors), "PLACE",
		"copy each checkpoint to file:PATH, syslog, stdout or the "
		"program exec:PATH; more than one may be given",
		0, 0},
	{"alert", 0, OPT_LIST, offsetof(struct mount_values, alerts), "HOOK",
		"run exec:PATH when something is refused, with what it was as "
		"JSON on its standard input; more than one may be given",
		0, 0},
	{"metrics", 0, OPT_STRING, offsetof(struct mount_values, metrics),
		"PLACE",
		"OpenMetrics counters in file:PATH or on the socket unix:PATH",
		0, 0},
	{"policy", 0, OPT_STRING, offsetof(struct mount_values, policy), "FILE",
		"make the paths writable that FILE declares; 'stele policy "
		"--help' tells how",
		0, 0},
	{"writable", 0, OPT_LIST, offsetof(struct mount_values, writable),
		"PATH[:SOURCE][,KEY=VALUE]...",
		"make PATH writable, as /tmp:tmp,size=64M; more than one may "
		"be given",
		0, 0},
	{"state", 0, OPT_STRING, offsetof(struct mount_values, state), "DIR",
		"keep what is written in DIR instead of the mount point's own "
		"folder",
		0, 0},
	{"on-image-change", 0, OPT_STRING,
		offsetof(struct mount_values, on_image_change), "ACTION",
		"what was written over another image: keep it (default), reset "
		"to what the new image has, or refuse to mount",
		0, 0},
	{"recover", 0, OPT_FLAG, offsetof(struct mount_values, recover), NULL,
		"write on in a ledger whose end does not verify, and record "
		"that",
		0, 0},
	{"foreground", 'f', OPT_FLAG, offsetof(struct mount_values, foreground),
		NULL, "stay in the foreground until unmounted", 0, 0},
	{0},
};

static const struct example mount_examples[] = {
	{"stele mount app.stele /srv/app", "mount an image"},
	{"stele mount -o suid,id=1f3a... root.stele /mnt",
		"a root filesystem, only if it is exactly this image"},
	{"stele mount --anchor syslog --ledger-max 2G --on-full rotate "
	 "app.stele /srv/app",
		"with copies of checkpoints elsewhere, and a bound"},
	{"stele mount --writable /tmp --writable /var:storage,size=1G "
	 "app.stele /srv/app",
		"with a /tmp in memory, and a /var that is kept"},
	{"stele log /srv/app --follow", "watch what is refused there"},
	{0},
};

static void request_done(struct mount_request *q)
{
	free(q->image);
	free(q->mount_point);
	where_plan_done(&q->ledger);
	mount_upper_done(&q->upper);
	mount_words_done(&q->words);
}

/* The before_ledger of mount_options. */
static int clear_place(void *arg, struct diag *diag)
{
	return where_ledger_clear(arg, diag);
}

/* Absolute paths, since a daemon works in "/". */
static int resolve(struct mount_request *q, const char *image, const char *dir)
{
	struct diag diag;

	q->image = realpath(image, NULL);
	if (!q->image)
		return fail(
			exit_code_of(-errno), "%s: %s", image, strerror(errno));
	q->mount_point = realpath(dir, NULL);
	if (!q->mount_point && errno == ENOTCONN)
		return fail(EXIT_MOUNT,
			"%s: a dead mount lies there; unmount it first (stele "
			"umount %s)",
			dir, dir);
	if (!q->mount_point)
		return fail(EXIT_MOUNT, "%s: %s", dir, strerror(errno));

	int r = where_ledger_plan(
		q->mount_point, q->words.ledger, &q->ledger, &diag);

	if (r < 0)
		return fail_diag(r, &diag);
	q->opt.image = q->image;
	q->opt.mount_point = q->mount_point;
	q->opt.ledger = q->ledger.file;
	q->opt.before_ledger = clear_place;
	q->opt.before_ledger_arg = &q->ledger;
	q->opt.version = STELE_VERSION;
	return EXIT_OK;
}

static int mount_image(const struct command *self, const struct mount_values *v,
	const char *image, const char *dir)
{
	struct mount_request q = {
		.opt = {.allow_other = geteuid() == 0}, .upper.lock = -1};
	int code = mount_words_parse(self, v, &q.words, &q.opt);

	if (code == EXIT_OK)
		code = resolve(&q, image, dir);
	if (code == EXIT_OK)
		code = mount_upper_plan(
			&q.upper, &q.words, q.image, q.mount_point);
	if (code == EXIT_OK)
		code = mount_serve_request(&q, v->foreground);
	request_done(&q);
	return code;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct mount_values v = {0};
	int code, n = opt_parse(self, argc, argv, &v, &code);

	if (n < 0)
		return code;
	if (n != 2)
		code = opt_misuse(self, n < 2 ? "IMAGE and DIR are needed"
					      : "one IMAGE and one DIR only");
	else
		code = mount_image(self, &v, argv[1], argv[2]);
	opt_list_done(&v.options);
	opt_list_done(&v.anchors);
	opt_list_done(&v.alerts);
	opt_list_done(&v.writable);
	return code;
}

const struct command cmd_mount = {
	.name = "mount",
	.operands = "IMAGE DIR",
	.summary = "mount an image and record every attempt to write to it",
	.description =
		"Mounts IMAGE on the folder DIR and returns when it answers; a "
		"daemon serves it until it is unmounted. Everything can be "
		"read that the permissions of the image allow. Every attempt "
		"to write is refused with \"Read-only file system\" (EROFS) "
		"and recorded before the caller learns of it; 'stele log DIR' "
		"shows the records, also after the end of the mount.\n"
		"\n"
		"Mount options:\n"
		"  allow_other       let other users in (default for root)\n"
		"  noallow_other     only who mounted it may enter\n"
		"  suid              honour set-user-ID bits, as a root "
		"filesystem needs\n"
		"  noexec            refuse to run programs from it\n"
		"  nonempty          mount over a folder that has entries\n"
		"  id=HEX            refuse any other image than this one\n"
		"  verify=always     check the SHA-256 of data at each read, "
		"not once\n"
		"  threads=N         requests served at once (default 8)\n"
		"  cache=MIB         decompressed data kept (default 16)\n"
		"\n"
		"Mount options for writable paths:\n"
		"  policy=FILE, state=DIR, on_image_change=ACTION\n"
		"                    as the options of these names\n"
		"\n"
		"Mount options for the ledger:\n"
		"  ledger=FILE       as --ledger\n"
		"  label=TEXT        what this mount is called in the records\n"
		"  durability=fsync  records survive a power failure, not "
		"only a crash\n"
		"  ledger_max=SIZE   the most that its files may take, 512M "
		"or 2G (default\n"
		"                    no limit)\n"
		"  on_full=ACTION    what then, or when the disk is full:\n"
		"      aggregate     count attempts, in one record of how "
		"many, when, where\n"
		"                    (default)\n"
		"      block         writers wait until there is room\n"
		"      rotate        remove the oldest records that are "
		"anchored elsewhere,\n"
		"                    else as aggregate\n"
		"      halt          everything fails until you unmount\n"
		"  ledger_keep=TIME  remove records that are older, 12h or "
		"30d\n"
		"  budget=RATE[:GROUP_RATE]\n"
		"                    bytes a second that one process and "
		"that one cgroup may\n"
		"                    add; who writes more waits (default "
		"4M:16M; 0: no limit)\n"
		"  anchor=PLACE, alert=HOOK, metrics=PLACE, recover\n"
		"                    as the options of these names; a comma "
		"can't be part of\n"
		"                    a value here\n"
		"\n"
		"Device nodes of the image never work (nodev); mount a /dev "
		"over it. The option ro is refused: with it the kernel would "
		"answer before anything could be recorded.\n"
		"\n"
		"Ends with 8 when DIR cannot be mounted on, 4 without "
		"/dev/fuse, 1 when the image is not the one of id=.",
	.options = mount_options,
	.examples = mount_examples,
	.complete = OPERAND_IMAGE,
	.run = run,
};
