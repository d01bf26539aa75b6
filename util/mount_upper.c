/* SPDX-License-Identifier: Apache-2.0 */
/* Writable paths of a mount; see mount_upper.h. */
#include "util/mount_upper.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "fs/upper/state.h"
#include "util/exit.h"
#include "util/where.h"

#define NOTES_MAX (1u << 20)

/* What is said of -ERANGE and the like is the user's to change. */
static int fail_upper(int err, const struct diag *diag)
{
	if (err == -EBUSY)
		return fail(EXIT_MOUNT, "%s", diag->text);
	return fail_diag(err, diag);
}

static int read_policy(struct mount_upper *u, const struct mount_words *w)
{
	struct diag diag = {0};
	int r = w->policy ? policy_read(w->policy, &u->policy, &diag) : 0;

	for (size_t i = 0; r == 0 && i < w->writable.count; i++)
		r = policy_add_word(&u->policy, w->writable.items[i], &diag);
	if (r == 0)
		r = policy_finish(&u->policy, &diag);
	return r < 0 ? fail_diag(r, &diag) : EXIT_OK;
}

/* The same file that is served; that it is the same image is seen to when the
 * mount stands. */
static int plan_for(
	struct mount_upper *u, const struct mount_words *w, const char *image)
{
	struct diag diag = {0};
	int r = image_open_path(image, &u->img, &diag);

	if (r == 0)
		r = plan_new(&u->policy, u->img, w->policy, &u->plan, &diag);
	if (r < 0)
		return fail_diag(r, &diag);
	u->places = calloc(u->plan.count + 1, sizeof(*u->places));
	if (!u->places)
		return fail(EXIT_SYSTEM, "out of memory");
	for (size_t i = 0; i < u->plan.count; i++) {
		const struct plan_step *s = &u->plan.steps[i];

		if (s->appears)
			u->places[u->place_count++] = (struct mount_place){
				s->declared->path, s->is_file};
	}
	return EXIT_OK;
}

static int take_state(struct mount_upper *u, const struct mount_words *w,
	const char *mount_point)
{
	struct diag diag = {0};
	int r;

	if (!attach_needs_state(&u->plan))
		return EXIT_OK;
	r = where_upper(mount_point, w->state, &u->state, &diag);
	if (r == 0)
		r = state_lock(u->state, mount_point, &u->lock, &diag);
	return r < 0 ? fail_upper(r, &diag) : EXIT_OK;
}

int mount_upper_plan(struct mount_upper *u, const struct mount_words *w,
	const char *image, const char *mount_point)
{
	int code;

	u->lock = -1;
	if (!w->policy && w->writable.count == 0)
		return EXIT_OK;
	code = read_policy(u, w);
	if (code == EXIT_OK && u->policy.count && geteuid() != 0)
		return fail(EXIT_DENIED,
			"only root, also of a user namespace ('unshare -Urm'), "
			"can mount what a policy declares; fusermount3 mounts "
			"the immutable image alone");
	if (code == EXIT_OK)
		code = plan_for(u, w, image);
	return code == EXIT_OK ? take_state(u, w, mount_point) : code;
}

/* One descriptor for each path, and a few more. */
static void raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit); /* may be enough */
	}
}

static void print_notes(const struct buf *notes)
{
	const char *at = notes->data, *end = at + notes->len;

	while (at < end) {
		const char *line = memchr(at, '\n', (size_t)(end - at));

		(void)fprintf(
			stderr, "stele mount: %.*s\n", (int)(line - at), at);
		at = line + 1;
	}
}

int mount_upper_attach(const struct mount_upper *u, const struct mount_words *w,
	const struct mount_options *opt)
{
	_cleanup_buf_ struct buf notes = {.max = NOTES_MAX};
	_cleanup_close_ int root =
		open(opt->mount_point, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct image_summary sum = {0};
	struct attach a = {
		.plan = &u->plan,
		.img = u->img,
		.file = w->policy,
		.root = root,
		.attrs = (opt->suid ? 0u : MOUNT_ATTR_NOSUID) |
			 (opt->noexec ? MOUNT_ATTR_NOEXEC : 0u),
		.state = u->state,
		.on_change = w->on_change,
		.mount_point = opt->mount_point,
		.image = opt->image,
		.notes = &notes,
	};
	struct diag diag = {0};
	int r;

	if (u->plan.count == 0)
		return EXIT_OK;
	if (root < 0)
		return fail(EXIT_SYSTEM, "%s: %s", opt->mount_point,
			strerror(errno));
	image_summary(u->img, &sum);
	a.image_id = sum.image_id;
	a.tree_id = sum.tree_id;
	raise_files();
	r = attach_all(&a, &diag);
	print_notes(&notes);
	return r < 0 ? fail_upper(r, &diag) : EXIT_OK;
}

void mount_upper_done(struct mount_upper *u)
{
	plan_done(&u->plan);
	image_free(u->img);
	policy_done(&u->policy);
	free(u->places);
	free(u->state);
	if (u->lock >= 0)
		(void)close(u->lock); /* a daemon may go on holding it */
	*u = (struct mount_upper){.lock = -1};
}
