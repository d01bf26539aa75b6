/* SPDX-License-Identifier: Apache-2.0 */
/* Writable paths that are kept: folders and volumes of the state. */
#include "fs/upper/attach_internal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/upper/conflict.h"
#include "fs/upper/content.h"
#include "fs/upper/rebase.h"
#include "fs/upper/volume.h"

/* One storage on its way to a mount. */
struct storing {
	const struct attach *a;
	struct state *state;
	const struct plan_step *step;
	struct diag *diag;
	bool fresh;   /* nothing is known of it */
	bool changed; /* what is there was written over another image */
};

/* So many conflicts are named, and the others counted. */
#define CONFLICTS_NAMED 20
#define CONFLICTS_MAX (64u << 20)

/* Of another kind it would be hidden, or shown as what it is not. */
static int check_kind(struct storing *g, const struct state_storage *was)
{
	const struct plan_step *s = g->step;

	if (was->place != s->place)
		return diag_set(g->diag, -EEXIST,
			"storage '%s' has %s size; give another name, or "
			"declare it as before",
			s->name, was->place == PLAN_VOLUME ? "a" : "no");
	if (was->form != s->form)
		return diag_set(g->diag, -EEXIST,
			"storage '%s' was made to start %s; give another name, "
			"or declare it as before",
			s->name,
			was->form == PLAN_EMPTY ? "empty"
						: "as the image has it");
	return 0;
}

static int find_conflicts(struct storing *g, int dir, struct buf *ret)
{
	const struct plan_step *s = g->step;
	struct conflict_place place = {g->state, s->name, g->a->img, s->ino};
	_cleanup_close_ int upper = openat(dir, content_name(s->form),
		O_NOFOLLOW | O_CLOEXEC |
			(s->form == PLAN_FILE ? O_PATH
					      : O_RDONLY | O_DIRECTORY));

	if (upper < 0)
		return diag_errno(
			g->diag, -errno, "opening storage '%s'", s->name);
	return conflict_find(&place, upper, ret, g->diag);
}

/* Paths in buf, each with its NUL: a note for each. Returns how many. */
static int note_conflicts(struct storing *g, const struct buf *paths)
{
	int r = 0, count = 0;

	for (size_t at = 0; r == 0 && at < paths->len; count++) {
		const char *path = paths->data + at;

		at += strlen(path) + 1;
		if (count < CONFLICTS_NAMED)
			r = attach_note(g->a, g->step, path,
				"it was written, and changed in the image, "
				"too");
	}
	if (r == 0 && count > CONFLICTS_NAMED) {
		char text[64];

		(void)snprintf(text, sizeof(text),
			"%d more files were written and changed in the image",
			count - CONFLICTS_NAMED);
		r = attach_note(g->a, g->step, "", text);
	}
	return r < 0 ? r : count;
}

/* What lies in dir was written over another image: say so, and in which files
 * both changed. */
static int take_change(struct storing *g, int dir)
{
	_cleanup_buf_ struct buf paths = {.max = CONFLICTS_MAX};
	int count = 0, r = find_conflicts(g, dir, &paths);

	if (r == 0)
		r = attach_note(g->a, g->step, "",
			g->a->on_change == ATTACH_RESET
				? "the image changed; what was written is "
				  "removed"
			: g->a->on_change == ATTACH_KEEP
				? "the image changed; what was written stays "
				  "over it"
				: "the image changed");
	if (r == 0)
		count = r = note_conflicts(g, &paths);
	if (r < 0)
		return r;
	if (g->a->on_change != ATTACH_REFUSE)
		return 0;
	return diag_set(g->diag, -ESTALE,
		"storage '%s' was written over another image, and %d of its "
		"files changed in this one, too; --on-image-change=keep puts "
		"it over this one, reset removes it",
		g->step->name, count);
}

static int check_record(struct storing *g, bool exists)
{
	const struct plan_step *s = g->step;
	struct state_storage was;
	int r = state_get(g->state, s->name, &was, g->diag);

	g->fresh = r == -ENOENT;
	if (g->fresh) {
		/* The record was lost, or never committed: as if the image had
		 * changed, but nobody knows in what. */
		if (exists && s->form == PLAN_OVERLAY)
			g->changed = true;
		return 0;
	}
	if (r == 0)
		r = check_kind(g, &was);
	if (r == 0 && exists && was.seeded)
		g->changed = !digest_equal(&was.tree_id, &g->a->tree_id);
	return r;
}

/* Does the user decide what becomes of it? */
static bool is_asked(const struct storing *g)
{
	return g->changed && !g->fresh;
}

static int put_record(struct storing *g)
{
	const struct plan_step *s = g->step;
	const struct state_storage now = {
		.place = s->place,
		.form = s->form,
		.size = s->declared->size,
		.seeded = s->form != PLAN_EMPTY,
		.tree_id = g->a->tree_id,
	};

	const struct conflict_place place = {
		g->state, s->name, g->a->img, s->ino};
	int r = 0;

	if (now.seeded && (g->fresh || g->changed))
		r = conflict_remember(&place, g->diag);
	return r < 0 ? r
		     : state_put(g->state, s->name, s->declared->path, &now,
			       g->diag);
}

/* ---- folders ---- */

static bool has(int dir, const char *name)
{
	return faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Made under another name, so that it is there as a whole or not at all. */
static int make_folder(struct storing *g, int storage)
{
	char new[NAME_MAX + 1];
	const char *name = g->step->name;

	(void)snprintf(new, sizeof(new), "%s.new", name);

	int r = content_remove(storage, new);

	if (r == 0 && mkdirat(storage, new, 0700) < 0)
		r = -errno;
	if (r < 0)
		return diag_errno(g->diag, r, "making storage '%s'", name);

	_cleanup_close_ int dir = openat(
		storage, new, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	r = dir < 0 ? diag_errno(g->diag, -errno, "making storage '%s'", name)
		    : attach_make(g->a, g->step, dir, g->diag);
	if (r == 0 && renameat(storage, new, storage, name) < 0)
		r = diag_errno(g->diag, -errno, "making storage '%s'", name);
	if (r < 0)
		/* It means nothing; the next one removes it again. */
		(void)!content_remove(storage, new);
	return r;
}

/* Fit what was written to the policy and the image of today. */
static int renew(struct storing *g, int dir, const char *own)
{
	int r = content_own(dir, own, g->step, true, g->diag);

	if (r == 0 && g->changed && g->step->form == PLAN_OVERLAY)
		r = rebase(dir, g->diag);
	return r;
}

static int open_folder(struct storing *g, int *ret)
{
	*ret = openat(state_storage_fd(g->state), g->step->name,
		O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *ret < 0 ? diag_errno(g->diag, -errno, "opening storage '%s'",
				  g->step->name)
			: 0;
}

/* What is there as far as it stays. */
static int take_folder(struct storing *g, bool *ret_stays)
{
	_cleanup_close_ int dir = -1;
	int storage = state_storage_fd(g->state);
	int r;

	*ret_stays = has(storage, g->step->name);
	r = check_record(g, *ret_stays);
	if (r < 0 || !is_asked(g))
		return r;
	r = open_folder(g, &dir);
	if (r == 0)
		r = take_change(g, dir);
	if (r < 0 || g->a->on_change != ATTACH_RESET)
		return r;
	*ret_stays = false;
	r = content_remove(storage, g->step->name);
	return r < 0 ? diag_errno(g->diag, r, "removing storage '%s'",
			       g->step->name)
		     : 0;
}

static int mount_folder(struct storing *g)
{
	const struct plan_step *s = g->step;
	_cleanup_close_ int dir = -1;
	bool stays;
	int r = take_folder(g, &stays);

	if (r == 0 && !stays)
		r = make_folder(g, state_storage_fd(g->state));
	if (r == 0)
		r = open_folder(g, &dir);
	if (r == 0 && stays)
		r = renew(g, dir, content_name(s->form));
	if (r == 0)
		r = put_record(g);
	if (r < 0)
		return r;
	return s->form == PLAN_OVERLAY
		       ? attach_overlay(g->a, s, dir, g->diag)
		       : attach_bind(
				 g->a, s, dir, content_name(s->form), g->diag);
}

/* ---- volumes ---- */

/* mkfs leaves a folder there as long as nobody has begun. */
#define FRESH_MARK "lost+found"

static int fill_volume(struct storing *g, int mount)
{
	const struct plan_step *s = g->step;
	bool overlay = s->form == PLAN_OVERLAY;
	int r;

	if (!has(mount, FRESH_MARK))
		return renew(g, mount, overlay ? "upper" : ".");
	if (overlay) {
		/* Of an attempt that was cut off. */
		r = content_remove(mount, "upper");
		if (r == 0)
			r = content_remove(mount, "work");
		if (r < 0)
			return diag_errno(g->diag, r, "volume '%s'", s->name);
		r = attach_make(g->a, s, mount, g->diag);
	} else {
		r = content_own(mount, ".", s, false, g->diag);
	}
	if (r == 0 && unlinkat(mount, FRESH_MARK, AT_REMOVEDIR) < 0)
		r = diag_errno(g->diag, -errno, "volume '%s'", s->name);
	return r;
}

/* Make the volume where there is none, and mount it. */
static int open_volume(struct storing *g)
{
	const struct plan_step *s = g->step;
	const struct volume_limits limits = {
		.size = s->declared->size, .inodes = s->declared->inodes};
	int volumes = state_volumes_fd(g->state);
	int r = 0;

	if (!volume_exists(volumes, s->name))
		r = volume_make(volumes, s->name, &limits, g->diag);
	/* An overlay has flags of its own; what it lies on is not seen. */
	return r < 0 ? r
		     : volume_mount(volumes, s->name, s->declared->size,
			       s->form == PLAN_EMPTY ? attach_attrs(g->a, s)
						     : 0,
			       g->diag);
}

static int mount_volume(struct storing *g)
{
	const struct plan_step *s = g->step;
	int volumes = state_volumes_fd(g->state);
	int r = check_record(g, volume_exists(volumes, s->name));
	_cleanup_close_ int mount = r < 0 ? r : open_volume(g);

	if (mount < 0)
		return mount;
	if (is_asked(g) && !has(mount, FRESH_MARK))
		r = take_change(g, mount);
	if (r == 0 && is_asked(g) && g->a->on_change == ATTACH_RESET) {
		(void)close(take_fd(mount)); /* unmounts it */
		volume_remove(volumes, s->name);
		r = mount = open_volume(g);
	}
	if (r >= 0)
		r = fill_volume(g, mount);
	if (r == 0)
		r = put_record(g);
	if (r < 0)
		return r;
	return s->form == PLAN_OVERLAY ? attach_overlay(g->a, s, mount, g->diag)
				       : take_fd(mount);
}

int attach_storage(const struct attach *a, struct state *state,
	const struct plan_step *s, struct diag *diag)
{
	struct storing g = {.a = a, .state = state, .step = s, .diag = diag};

	return s->place == PLAN_VOLUME ? mount_volume(&g) : mount_folder(&g);
}
