/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a mount: open, mount, serve, unmount; see mount.h. */
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "fs/base/mountinfo.h"
#include "fs/mount/internal.h"
#include "fs/mount/point.h"

#define THREADS_DEFAULT 8

/*
 * Read-ahead of the page cache on our mount, in KiB: with the kernel's 128 a
 * sequential reader keeps one frame under way, with this one several.
 */
#define READ_AHEAD_KIB "1024"

struct buffer *mount_take_buffer(struct mount *m)
{
	pthread_mutex_lock(&m->buffers_lock);

	struct buffer *b = m->buffers;

	if (b)
		m->buffers = b->next;
	pthread_mutex_unlock(&m->buffers_lock);
	return b ? b : malloc(sizeof(*b));
}

void mount_give_buffer(struct mount *m, struct buffer *b)
{
	if (!b)
		return;
	pthread_mutex_lock(&m->buffers_lock);
	b->next = m->buffers;
	m->buffers = b;
	pthread_mutex_unlock(&m->buffers_lock);
}

/* proc_exe_digest: programs that run from this mount. */
static bool exe_digest(void *arg, uint32_t dev_major, uint32_t dev_minor,
	uint64_t ino, struct digest *ret)
{
	struct mount *m = arg;
	struct image_node node;
	struct image_object obj;

	if (dev_major != m->dev_major || dev_minor != m->dev_minor ||
		image_node(m->img, ino, &node) < 0 || !S_ISREG(node.mode) ||
		image_object(m->img, node.data, &obj) < 0)
		return false;
	*ret = obj.digest;
	return true;
}

static int open_image(
	struct mount *m, const struct mount_options *opt, struct diag *diag)
{
	int r = image_open_path(opt->image, &m->img, diag);

	if (r < 0)
		return r;
	image_summary(m->img, &m->sum);
	if (opt->expect_id && !digest_equal(opt->expect_id, &m->sum.image_id)) {
		char hex[DIGEST_HEX_LEN + 1];

		digest_hex(&m->sum.image_id, hex);
		return diag_set(diag, -ESTALE,
			"mount %s: the image id is %s, not the one asked for",
			opt->image, hex);
	}

	r = scene_new(m->img, opt->places, opt->place_count, &m->scene);
	if (r < 0)
		return diag_errno(diag, r, "mount %s: the places to mount on",
			opt->image);
	r = view_new(m->img, opt->verify_always ? VIEW_VERIFY_ALWAYS : 0,
		opt->cache_bytes, &m->view);
	if (r == 0)
		r = guard_new(m->img, m->scene, &m->guard);
	m->damaged = calloc(m->sum.frames / 32 + 1, sizeof(*m->damaged));
	if (r == 0 && !m->damaged)
		r = -ENOMEM;
	return r < 0 ? diag_errno(diag, r, "mount %s", opt->image) : 0;
}

/*
 * Root mounts by mount(2), which says exactly what went wrong, and gives the
 * descriptor to libfuse; others need fusermount3, which libfuse calls.
 */
static int mount_there(
	struct mount *m, const struct mount_options *opt, struct diag *diag)
{
	char at[32];

	if (geteuid() != 0) {
		if (access(opt->mount_point, W_OK) < 0)
			return diag_errno(
				diag, -errno, "mount on %s", opt->mount_point);
		if (fuse_session_mount(m->se, opt->mount_point) < 0)
			return diag_set(diag, -EPERM,
				"mount on %s: fusermount3 did not mount it; is "
				"it installed, and %s permitted?",
				opt->mount_point,
				opt->allow_other
					? "user_allow_other in /etc/fuse.conf"
					: "mounting by users");
		m->mounted = m->by_helper = true;
		return 0;
	}

	int fd = point_mount(opt, diag);

	if (fd < 0)
		return fd;
	m->mounted = true;
	(void)snprintf(at, sizeof(at), "/dev/fd/%d", fd);
	if (fuse_session_mount(m->se, at) == 0)
		return 0; /* libfuse owns fd now */
	(void)close(fd);  /* not served yet */
	return diag_set(diag, -EIO, "mount on %s: libfuse refused the device",
		opt->mount_point);
}

/* libfuse parses these itself; a comma in a value would end it. */
static int add_option(
	struct fuse_args *args, const char *key, const char *value)
{
	_cleanup_buf_ struct buf text = {.max = 1u << 16};
	int r = buf_printf(&text, "-o%s=", key);

	for (; r == 0 && *value; value++) {
		if (*value == ',' || *value == '\\')
			r = buf_add(&text, "\\", 1);
		if (r == 0)
			r = buf_add(&text, value, 1);
	}
	if (r == 0)
		r = buf_add(&text, "", 1);
	if (r == 0 && fuse_opt_add_arg(args, text.data) < 0)
		r = -ENOMEM;
	return r;
}

static int new_session(
	struct mount *m, const struct mount_options *opt, struct diag *diag)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	int r = fuse_opt_add_arg(&args, "stele") < 0 ? -ENOMEM : 0;

	/* What root mounts is not mounted by libfuse and needs none of these.
	 */
	if (r == 0 && geteuid() != 0) {
		r = add_option(&args, "fsname", opt->image);
		if (r == 0)
			r = add_option(&args, "subtype", "stele");
		if (r == 0 && opt->allow_other)
			r = fuse_opt_add_arg(&args, "-oallow_other");
		if (r == 0 && opt->noexec)
			r = fuse_opt_add_arg(&args, "-onoexec");
	}
	if (r == 0) {
		m->se = fuse_session_new(&args, &op_table, sizeof(op_table), m);
		r = m->se ? 0 : -ENOMEM;
	}
	fuse_opt_free_args(&args);
	return r < 0 ? diag_errno(diag, r, "mount: start a session") : 0;
}

static int open_ledger(
	struct mount *m, const struct mount_options *opt, struct diag *diag)
{
	struct ledger_mount record = {
		.image_id = m->sum.image_id,
		.tree_id = m->sum.tree_id,
		.image_path = opt->image,
		.mount_point = opt->mount_point,
		.options = opt->text,
		.policy = opt->policy,
		.label = opt->label,
		.version = opt->version,
	};
	struct ledger_options options = opt->ledger_options;

	options.exe_digest = exe_digest;
	options.exe_digest_arg = m;

	int r = opt->before_ledger
			? opt->before_ledger(opt->before_ledger_arg, diag)
			: 0;

	if (r < 0)
		return r;
	return ledger_open(opt->ledger, &record, &options, &m->ledger, diag);
}

int mount_new(const struct mount_options *opt, struct mount **ret,
	bool *ret_point, struct diag *diag)
{
	_cleanup_(mount_free) struct mount *m = calloc(1, sizeof(*m));

	*ret_point = false;
	if (!m)
		return diag_errno(diag, -ENOMEM, "mount");
	pthread_mutex_init(&m->buffers_lock, NULL);
	m->threads = opt->threads ? opt->threads : THREADS_DEFAULT;
	m->unmounted = opt->unmounted;
	m->unmounted_arg = opt->unmounted_arg;
	m->mount_point = strdup(opt->mount_point);
	if (!m->mount_point)
		return diag_errno(diag, -ENOMEM, "mount");

	int r = open_image(m, opt, diag);

	if (r < 0)
		return r;
	r = point_check(opt, diag);
	if (r < 0) {
		*ret_point = true;
		return r;
	}
	r = new_session(m, opt, diag);
	if (r == 0)
		r = mount_there(m, opt, diag);
	if (r == 0)
		r = open_ledger(m, opt, diag);
	if (r < 0)
		return r;
	r = park_new(&m->park);
	if (r < 0)
		return diag_errno(diag, r, "mount on %s", opt->mount_point);
	r = point_device(opt->mount_point, &m->dev_major, &m->dev_minor);
	if (r < 0)
		return diag_errno(diag, r, "mount on %s: reading the mounts",
			opt->mount_point);
	*ret = take_ptr(m);
	return 0;
}

/* Only root may, and it only costs speed where it fails. */
static void raise_read_ahead(const struct mount *m)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb",
		m->dev_major, m->dev_minor);

	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, READ_AHEAD_KIB, strlen(READ_AHEAD_KIB)) < 0)
		return; /* as it was */
}

int mount_serve(struct mount *m, void (*ready)(void *arg), void *arg)
{
	struct fuse_loop_config *config = fuse_loop_cfg_create();

	if (!config)
		return -ENOMEM;
	m->ready = ready;
	m->ready_arg = arg;
	raise_read_ahead(m);

	/* No cloned descriptors: a request read through one dies with it. */
	fuse_loop_cfg_set_clone_fd(config, 0);
	fuse_loop_cfg_set_max_threads(config, m->threads);
	fuse_loop_cfg_set_idle_threads(config, m->threads);

	int r = fuse_set_signal_handlers(m->se) < 0 ? -EIO : 0;

	if (r == 0) {
		r = fuse_session_loop_mt(m->se, config);
		fuse_remove_signal_handlers(m->se);
		if (r > 0)
			r = 0; /* the signal that ended the session */
	}
	fuse_loop_cfg_destroy(config);
	return r;
}

static bool is_ours(const struct mount *m, const struct mountinfo *info)
{
	/* 0:0 before it was learned: no file system has that number. */
	return (!m->dev_major && !m->dev_minor) ||
	       (info->major == m->dev_major && info->minor == m->dev_minor);
}

/*
 * Detach the mount if it is still there, with all that was mounted on it: what
 * lies below goes with it, what covers it goes before. After a plain umount the
 * session ended because the kernel closed the connection, and something else
 * may lie there.
 */
static void unmount(struct mount *m)
{
	struct mountinfo_list list = {0};
	const struct mountinfo *at;
	unsigned layers = 1;

	if (m->by_helper) {
		fuse_session_unmount(m->se);
		return;
	}
	if (mountinfo_read("/proc/self/mountinfo", &list) == 0) {
		at = mountinfo_walk(&list, m->mount_point);
		if (at && strcmp(at->dir, m->mount_point) != 0)
			at = NULL;
		for (; at && !is_ours(m, at); layers++)
			at = mountinfo_covered(&list, at);
		for (; at && layers > 0; layers--)
			(void)umount2(
				m->mount_point, MNT_DETACH | UMOUNT_NOFOLLOW);
	}
	mountinfo_list_done(&list);
}

void mount_free(struct mount *m)
{
	if (!m)
		return;
	/* First of all: to unmount can close the device. */
	park_free(m->park);
	if (m->mounted)
		unmount(m);
	if (m->se)
		fuse_session_destroy(m->se);
	if (m->unmounted)
		m->unmounted(m->unmounted_arg);
	ledger_close(m->ledger);
	while (m->buffers) {
		struct buffer *b = m->buffers;

		m->buffers = b->next;
		free(b);
	}
	pthread_mutex_destroy(&m->buffers_lock);
	guard_free(m->guard);
	view_free(m->view);
	scene_free(m->scene);
	image_free(m->img);
	free(m->damaged);
	free(m->mount_point);
	free(m);
}
