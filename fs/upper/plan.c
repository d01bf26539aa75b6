/* SPDX-License-Identifier: Apache-2.0 */
/* From a policy to the file systems that it asks for; see plan.h. */
#include "fs/upper/plan.h"

#include <string.h>
#include <sys/stat.h>

#include "fs/base/buf.h"
#include "fs/upper/name.h"
#include "fs/upper/plan_internal.h"

#define TEXT_MAX (16u << 20)

/* What planning one path after another needs. */
struct planning {
	const struct policy *policy;
	const struct image *img; /* or NULL */
	const char *file;
	struct plan *plan;
	struct diag *diag;
};

int plan_refuse(struct diag *diag, int err, const char *file,
	const struct policy_path *p, const char *fmt, ...)
{
	char text[768];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (p->line && file)
		return diag_set(diag, err, "%s:%u: %s: %s", file, p->line,
			p->path, text);
	return diag_set(diag, err, "'%.200s': %s", p->text, text);
}

/* The nearest step above, in whose content the mount point lies. */
static size_t step_above(const struct plan *plan, const char *path)
{
	for (size_t i = plan->count; i-- > 0;) {
		if (policy_is_below(path, plan->steps[i].declared->path))
			return i; /* the last one is the longest */
	}
	return PLAN_ON_IMAGE;
}

/* Does what the image has at the mount point count? Not below a step that
 * starts empty. */
static bool is_image_seen(const struct plan *plan, size_t on)
{
	return on == PLAN_ON_IMAGE || plan->steps[on].form != PLAN_EMPTY;
}

/* The image has something else in the way of the path than folders. */
static int refuse_way(const struct planning *g, const struct policy_path *p,
	const struct finding *f)
{
	_cleanup_free_ char *real = NULL;

	if (f->found == FOUND_NO_FOLDER)
		return plan_refuse(g->diag, -EBADMSG, g->file, p,
			"%.*s is no folder in the image", (int)f->len, p->path);
	real = finding_real(g->img, p->path, f->len);
	if (!real)
		return plan_refuse(g->diag, -EBADMSG, g->file, p,
			"%.*s is a symbolic link in the image, and leads "
			"nowhere there",
			(int)f->len, p->path);
	return plan_refuse(g->diag, -EBADMSG, g->file, p,
		"%.*s is a symbolic link in the image; declare %s instead",
		(int)f->len, p->path, real);
}

/* What the image has there, as far as it is of interest: a path that lies in
 * the way of a step above which starts empty is not. */
static int find(const struct planning *g, const struct plan_step *s,
	struct finding *ret)
{
	const struct policy_path *p = s->declared;
	struct finding f = {.found = FOUND_NOTHING};
	int r = g->img ? finding_make(g->img, p->path, &f) : 0;

	if (r < 0)
		return diag_errno(g->diag, r, "reading the image");
	if (f.found == FOUND_NODE && S_ISLNK(f.node.mode)) {
		f.found = FOUND_LINK;
		f.len = strlen(p->path);
	}
	if (f.found != FOUND_NODE && !is_image_seen(g->plan, s->on) &&
		p->seed != POLICY_SEED_IMAGE)
		f.found = FOUND_NOTHING;
	if (f.found == FOUND_LINK || f.found == FOUND_NO_FOLDER)
		return refuse_way(g, p, &f);
	if (f.found == FOUND_NODE && !S_ISDIR(f.node.mode) &&
		!S_ISREG(f.node.mode))
		return plan_refuse(g->diag, -EBADMSG, g->file, p,
			"the image has neither a folder nor a regular file "
			"there");
	*ret = f;
	return 0;
}

/* What is on the host decides what it can be mounted on. */
static int plan_host(
	struct planning *g, struct plan_step *s, const struct finding *f)
{
	const struct policy_path *p = s->declared;
	bool is_folder = f->found != FOUND_NODE || S_ISDIR(f->node.mode);
	struct stat st;

	s->place = PLAN_HOST;
	s->form = PLAN_AS_IS;
	s->is_file = !is_folder;
	if (stat(p->host, &st) < 0)
		return 0; /* when it is mounted it must be there */
	if (f->found != FOUND_NODE)
		s->is_file = !S_ISDIR(st.st_mode);
	else if (is_folder != (S_ISDIR(st.st_mode) != 0))
		return plan_refuse(g->diag, -EBADMSG, g->file, p,
			"the image has a %s there and the host a %s at %s",
			is_folder ? "folder" : "file",
			is_folder ? "file" : "folder", p->host);
	return 0;
}

static enum plan_form form_of(
	const struct policy_path *p, const struct finding *f)
{
	if (f->found != FOUND_NODE)
		return PLAN_EMPTY;
	if (S_ISREG(f->node.mode))
		return PLAN_FILE;
	return p->seed == POLICY_SEED_EMPTY ? PLAN_EMPTY : PLAN_OVERLAY;
}

static int plan_ours(
	struct planning *g, struct plan_step *s, const struct finding *f)
{
	const struct policy_path *p = s->declared;

	s->form = form_of(p, f);
	s->is_file = s->form == PLAN_FILE;
	if (p->source == POLICY_TMP)
		s->place = PLAN_MEMORY;
	else
		s->place = p->size ? PLAN_VOLUME : PLAN_FOLDER;
	if (g->img && p->seed == POLICY_SEED_IMAGE && f->found != FOUND_NODE)
		return plan_refuse(g->diag, -EBADMSG, g->file, p,
			"it is to start as the image has it (seed: image), and "
			"the image has nothing there");
	if (s->is_file && (p->size || p->inodes))
		return plan_refuse(g->diag, -EBADMSG, g->file, p,
			"it is a single file in the image, which cannot have a "
			"size or inodes; declare its folder");
	if (f->found == FOUND_NODE) {
		s->mode = f->node.mode & 07777;
		s->uid = f->node.uid;
		s->gid = f->node.gid;
	} else {
		s->mode = 0755;
	}
	if (p->mode != POLICY_MODE_UNSET)
		s->mode = p->mode;
	if (p->uid != POLICY_ID_UNSET)
		s->uid = p->uid;
	if (p->gid != POLICY_ID_UNSET)
		s->gid = p->gid;
	return 0;
}

/* A storage is known by the default name, its path, or by one of the user. */
static int give_name(struct plan_step *s)
{
	_cleanup_buf_ struct buf name = {.max = TEXT_MAX};
	const char *known = s->declared->name;
	int r;

	if (!known)
		return 0;
	r = *known == '/' ? name_of_path(known, &name)
			  : name_of_word(known, &name);
	if (r == 0)
		r = buf_add(&name, "", 1);
	if (r == 0)
		s->name = take_ptr(name.data);
	return r;
}

static int plan_path(struct planning *g, const struct policy_path *p)
{
	struct plan *plan = g->plan;
	struct plan_step s = {.declared = p, .on = step_above(plan, p->path)};
	struct finding f = {.found = FOUND_NOTHING};
	int r = find(g, &s, &f);

	if (r < 0)
		return r;
	if (f.found == FOUND_NODE)
		s.ino = f.node.ino;
	r = p->source == POLICY_HOST ? plan_host(g, &s, &f)
				     : plan_ours(g, &s, &f);
	if (r < 0)
		return r;
	s.appears = g->img && !s.ino && is_image_seen(plan, s.on);
	r = give_name(&s);
	if (r < 0)
		return diag_errno(g->diag, r, "%s", p->path);
	plan->steps[plan->count++] = s;
	return 0;
}

static int digest_policy(const struct policy *policy, struct digest *ret)
{
	_cleanup_buf_ struct buf text = {.max = TEXT_MAX};
	int r = policy_print(policy, &text);

	return r < 0 ? r : digest_of(text.data, text.len, ret);
}

int plan_new(const struct policy *policy, const struct image *img,
	const char *file, struct plan *ret, struct diag *diag)
{
	struct plan plan = {0};
	struct planning g = {
		.policy = policy,
		.img = img,
		.file = file,
		.plan = &plan,
		.diag = diag,
	};
	int r = digest_policy(policy, &plan.policy);

	plan.steps = calloc(policy->count + 1, sizeof(*plan.steps));
	if (!plan.steps)
		r = -ENOMEM;
	if (r < 0)
		(void)diag_errno(diag, r, "planning the writable paths");
	for (size_t i = 0; r == 0 && i < policy->count; i++)
		r = plan_path(&g, &policy->paths[i]);
	if (r < 0)
		plan_done(&plan);
	else
		*ret = plan;
	return r;
}

void plan_done(struct plan *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->steps[i].name);
	free(p->steps);
	*p = (struct plan){0};
}

const char *plan_kind(const struct plan_step *s)
{
	static const char *const empty[] = {
		[PLAN_MEMORY] = "tmpfs",
		[PLAN_FOLDER] = "folder of the state",
		[PLAN_VOLUME] = "volume",
	};
	static const char *const overlay[] = {
		[PLAN_MEMORY] = "overlay on tmpfs",
		[PLAN_FOLDER] = "overlay on a folder of the state",
		[PLAN_VOLUME] = "overlay on a volume",
	};

	switch (s->form) {
	case PLAN_EMPTY: return empty[s->place];
	case PLAN_OVERLAY: return overlay[s->place];
	case PLAN_FILE: return "copy of a file";
	case PLAN_AS_IS: break;
	}
	return "bind mount of the host";
}
