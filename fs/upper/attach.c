/* SPDX-License-Identifier: Apache-2.0 */
/* From a plan to mounts; see attach.h. */
#include "fs/upper/attach.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "fs/base/io.h"
#include "fs/upper/attach_internal.h"
#include "fs/upper/content.h"
#include "fs/upper/detached.h"

bool attach_needs_state(const struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		if (plan->steps[i].name)
			return true;
	}
	return false;
}

/* Names may hold anything, and the notes are lines. */
static int add_name(struct buf *b, const char *name)
{
	int r = 0;

	for (; r == 0 && *name; name++) {
		bool odd = (unsigned char)*name < 0x20 || *name == 0x7f;

		r = buf_add(b, odd ? "?" : name, 1);
	}
	return r;
}

int attach_note(const struct attach *a, const struct plan_step *s,
	const char *below, const char *text)
{
	const char *path = s->declared->path;
	int r = path[1] || !*below ? add_name(a->notes, path) : 0;

	if (r == 0)
		r = add_name(a->notes, below);
	return r < 0 ? r : buf_printf(a->notes, ": %s\n", text);
}

/* The line in diag says what failed; add at which path. */
static int blame(const struct attach *a, const struct plan_step *s, int err,
	struct diag *diag)
{
	struct diag what = *diag;

	return plan_refuse(diag, err, a->file, s->declared, "%s", what.text);
}

unsigned attach_attrs(const struct attach *a, const struct plan_step *s)
{
	const struct policy_path *p = s->declared;

	return a->attrs | (p->noexec ? MOUNT_ATTR_NOEXEC : 0) |
	       (p->nosuid ? MOUNT_ATTR_NOSUID : 0) |
	       (p->nodev ? MOUNT_ATTR_NODEV : 0);
}

/* In a user namespace of ours nobody may set trusted.* attributes. */
static bool in_user_namespace(void)
{
	_cleanup_close_ int fd =
		open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
	unsigned inside, outside, count;
	char map[128];
	ssize_t n = fd < 0 ? -1 : io_read(fd, map, sizeof(map) - 1);

	if (n < 0)
		return false; /* then the kernel will say what it refuses */
	map[n] = '\0';
	return sscanf(map, "%u %u %u", &inside, &outside, &count) != 3 ||
	       inside != 0 || outside != 0 || count != UINT32_MAX;
}

/* ---- one step ---- */

/* What the overlay has to do without. */
static int note_options(const struct attach *a, const struct plan_step *s,
	unsigned wanted, unsigned got)
{
	char text[128];

	for (unsigned bit = 1; bit <= DETACHED_USERXATTR; bit <<= 1) {
		if (!(wanted & ~got & bit))
			continue;
		(void)snprintf(text, sizeof(text),
			"the kernel refuses overlayfs with %s; it works "
			"without",
			detached_option_word(bit));

		int r = attach_note(a, s, "", text);

		if (r < 0)
			return r;
	}
	return 0;
}

int attach_overlay(const struct attach *a, const struct plan_step *s, int dir,
	struct diag *diag)
{
	unsigned wanted =
		in_user_namespace()
			? DETACHED_USERXATTR | DETACHED_INDEX | DETACHED_XINO
			: DETACHED_REDIRECT | DETACHED_INDEX | DETACHED_XINO;
	unsigned got = wanted;
	_cleanup_close_ int lower = content_open_below(
		a->root, s->declared->path, O_PATH | O_DIRECTORY);
	_cleanup_close_ int upper = openat(
		dir, "upper", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int work = openat(
		dir, "work", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct detached_layers layers = {lower, upper, work};

	if (lower < 0)
		return diag_errno(diag, lower, "opening it in the image");
	if (upper < 0 || work < 0)
		return diag_errno(diag, -errno, "opening what was written");

	_cleanup_close_ int mount =
		detached_overlay(&layers, &got, attach_attrs(a, s), diag);
	int r = mount < 0 ? mount : note_options(a, s, wanted, got);

	return r < 0 ? r : take_fd(mount);
}

/* A bind mount of a name in a folder. */
int attach_bind(const struct attach *a, const struct plan_step *s, int dir,
	const char *name, struct diag *diag)
{
	_cleanup_close_ int fd =
		openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return diag_errno(diag, -errno, "opening what was written");
	return detached_clone(fd, false, attach_attrs(a, s), diag);
}

int attach_make(const struct attach *a, const struct plan_step *s, int dir,
	struct diag *diag)
{
	_cleanup_close_ int node =
		s->ino ? content_open_below(a->root, s->declared->path, O_PATH)
		       : -1;
	struct content_seed seed = {
		.root = a->root, .node = node, .sync = s->name != NULL};

	if (s->ino && node < 0)
		return diag_errno(diag, node, "opening it in the image");
	return content_make(dir, s, &seed, diag);
}

/* Inodes of a tmpfs that the user does not see: its root; of an overlay also
 * upper, work, what overlayfs makes there, and one for the attributes that it
 * keeps, since those count, too. */
enum {
	INODES_ROOT = 1,
	INODES_OVERLAY = 6,
};

static int make_memory(
	const struct attach *a, const struct plan_step *s, struct diag *diag)
{
	const struct policy_path *p = s->declared;
	uint64_t inodes = p->inodes;
	unsigned attrs = attach_attrs(a, s);

	if (inodes)
		inodes +=
			s->form == PLAN_OVERLAY ? INODES_OVERLAY : INODES_ROOT;

	_cleanup_close_ int memory = detached_tmpfs(p->size, inodes,
		s->form == PLAN_EMPTY ? s->mode : 0700,
		s->form == PLAN_EMPTY ? attrs : 0, diag);
	int r = memory < 0 ? memory : 0;

	if (r == 0 && s->form == PLAN_EMPTY) {
		r = content_own(memory, ".", s, false, diag);
		return r < 0 ? r : take_fd(memory);
	}
	if (r == 0)
		r = attach_make(a, s, memory, diag);
	if (r < 0)
		return r;
	if (s->form == PLAN_OVERLAY)
		return attach_overlay(a, s, memory, diag);
	r = attach_bind(a, s, memory, content_name(s->form), diag);
	if (r == -EINVAL)
		return diag_set(diag, r,
			"a single file in memory needs Linux 6.15; declare its "
			"folder, or source storage");
	return r;
}

static int make_host(
	const struct attach *a, const struct plan_step *s, struct diag *diag)
{
	const char *host = s->declared->host;
	_cleanup_close_ int fd = open(host, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return diag_errno(diag, -errno, "%s of the host", host);
	if (!S_ISDIR(st.st_mode) != s->is_file)
		return diag_set(diag, -EINVAL, "%s of the host is %s folder",
			host, s->is_file ? "a" : "no");
	return detached_clone(fd, true, attach_attrs(a, s), diag);
}

static int make_step(const struct attach *a, struct state *state,
	const struct plan_step *s, struct diag *diag)
{
	switch (s->place) {
	case PLAN_MEMORY: return make_memory(a, s, diag);
	case PLAN_FOLDER:
	case PLAN_VOLUME: return attach_storage(a, state, s, diag);
	case PLAN_HOST: break;
	}
	return make_host(a, s, diag);
}

/* ---- all of them ---- */

/* The path from the folder that its mount point is looked up in. */
static const char *path_from(const struct plan *plan, const struct plan_step *s)
{
	const char *path = s->declared->path;
	const char *on = s->on == PLAN_ON_IMAGE
				 ? "/"
				 : plan->steps[s->on].declared->path;

	return on[1] ? path + strlen(on) : path;
}

static int make_all(const struct attach *a, struct state *state, int *mounts,
	struct diag *diag)
{
	const struct plan *plan = a->plan;

	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_step *s = &plan->steps[i];
		int r = mounts[i] = make_step(a, state, s, diag);

		if (r >= 0 && s->on != PLAN_ON_IMAGE) {
			r = content_make_point(
				mounts[s->on], path_from(plan, s), s->is_file);
			if (r < 0)
				(void)diag_errno(diag, r,
					"making the %s to mount on in %s",
					s->is_file ? "file" : "folder",
					plan->steps[s->on].declared->path);
		}
		if (r < 0)
			return blame(a, s, r, diag);
	}
	return 0;
}

static int attach_step(const struct attach *a, const struct plan_step *s,
	const int *mounts, int mount, struct diag *diag)
{
	int base = s->on == PLAN_ON_IMAGE ? a->root : mounts[s->on];
	_cleanup_close_ int target =
		content_open_below(base, path_from(a->plan, s), O_PATH);
	int r = target < 0 ? target : detached_attach(mount, target);

	return r < 0 ? diag_errno(diag, r, "mounting it") : 0;
}

static int attach_each(
	const struct attach *a, const int *mounts, struct diag *diag)
{
	const struct plan *plan = a->plan;

	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_step *s = &plan->steps[i];
		int r = attach_step(a, s, mounts, mounts[i], diag);

		if (r == 0)
			continue;
		while (i-- > 0)
			detached_undo(mounts[i]);
		return blame(a, s, r, diag);
	}
	return 0;
}

static int make_and_attach(const struct attach *a, struct state *state,
	int *mounts, struct diag *diag)
{
	const struct state_mount record = {
		.mount_point = a->mount_point,
		.image = a->image,
		.image_id = a->image_id,
		.tree_id = a->tree_id,
		.policy = a->plan->policy,
	};
	int r = state ? state_begin(state, diag) : 0;

	if (r < 0)
		return r;
	r = make_all(a, state, mounts, diag);
	if (r == 0 && state)
		r = state_put_mount(state, &record, diag);
	if (r < 0 && state)
		state_abort(state);
	if (r == 0 && state)
		r = state_commit(state, diag);
	return r < 0 ? r : attach_each(a, mounts, diag);
}

int attach_all(const struct attach *a, struct diag *diag)
{
	_cleanup_(state_close) struct state *state = NULL;
	size_t count = a->plan->count;
	_cleanup_free_ int *mounts = calloc(count + 1, sizeof(*mounts));
	int r = mounts ? 0 : diag_errno(diag, -ENOMEM, "mounting");

	for (size_t i = 0; r == 0 && i < count; i++)
		mounts[i] = -1;
	if (r == 0 && attach_needs_state(a->plan))
		r = state_open(a->state, &state, diag);
	if (r == 0)
		r = make_and_attach(a, state, mounts, diag);
	for (size_t i = 0; mounts && i < count; i++) {
		if (mounts[i] >= 0)
			(void)close(mounts[i]); /* attached, or to vanish */
	}
	return r;
}
