/* SPDX-License-Identifier: Apache-2.0 */
/* Writable paths that are kept: folders and volumes of the state. */
#include "fs/upper/attach_internal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/upper/content.h"
#include "fs/upper/rebase.h"
#include "fs/upper/volume.h"

/* One storage on its way to a mount. */
struct storing {
	const struct attach *a;
	struct state *state;
	const struct plan_step *step;
	struct diag *diag;
	bool stale; /* what is there was written over another image */
};

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

/* What was written over another image: say so, and do what was asked for. */
static int take_change(struct storing *g)
{
	if (g->a->on_change == ATTACH_REFUSE)
		return diag_set(g->diag, -ESTALE,
			"storage '%s' was written over another image; "
			"--on-image-change=keep puts it over this one, reset "
			"removes it",
			g->step->name);
	g->stale = true;
	return attach_note(g->a, g->step,
		g->a->on_change == ATTACH_RESET
			? "the image changed; what was written is removed"
			: "the image changed; what was written stays over it");
}

static int check_record(struct storing *g, bool exists)
{
	const struct plan_step *s = g->step;
	struct state_storage was;
	int r = state_get(g->state, s->name, &was, g->diag);

	if (r == -ENOENT) {
		/* The record was lost, or never committed. */
		g->stale = exists && s->form == PLAN_OVERLAY;
		return 0;
	}
	if (r == 0)
		r = check_kind(g, &was);
	if (r == 0 && exists && was.seeded &&
		!digest_equal(&was.tree_id, &g->a->tree_id))
		r = take_change(g);
	return r;
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

	return state_put(g->state, s->name, s->declared->path, &now, g->diag);
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

	if (r == 0 && g->stale && g->step->form == PLAN_OVERLAY)
		r = rebase(dir, g->diag);
	return r;
}

static int mount_folder(struct storing *g)
{
	const struct plan_step *s = g->step;
	int storage = state_storage_fd(g->state);
	int r = check_record(g, has(storage, s->name));

	if (r == 0 && g->stale && g->a->on_change == ATTACH_RESET)
		r = content_remove(storage, s->name);
	if (r < 0)
		return r;

	bool fresh = !has(storage, s->name);

	r = fresh ? make_folder(g, storage) : 0;
	if (r < 0)
		return r;

	_cleanup_close_ int dir = openat(storage, s->name,
		O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir < 0)
		return diag_errno(
			g->diag, -errno, "opening storage '%s'", s->name);
	if (!fresh)
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

static int mount_volume(struct storing *g)
{
	const struct plan_step *s = g->step;
	const struct volume_limits limits = {
		.size = s->declared->size, .inodes = s->declared->inodes};
	unsigned attrs = attach_attrs(g->a, s);
	int volumes = state_volumes_fd(g->state);
	int r = check_record(g, volume_exists(volumes, s->name));

	if (r == 0 && g->stale && g->a->on_change == ATTACH_RESET)
		volume_remove(volumes, s->name);
	if (r == 0 && !volume_exists(volumes, s->name))
		r = volume_make(volumes, s->name, &limits, g->diag);
	if (r < 0)
		return r;

	/* The overlay has flags of its own; what it lies on is not seen. */
	_cleanup_close_ int mount = volume_mount(volumes, s->name,
		s->declared->size, s->form == PLAN_EMPTY ? attrs : 0, g->diag);

	r = mount < 0 ? mount : fill_volume(g, mount);
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
