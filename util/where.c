/* SPDX-License-Identifier: Apache-2.0 */
/* Where things of a mount are kept; see where.h. */
#include "util/where.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/base/buf.h"
#include "fs/base/folders.h"
#include "fs/upper/name.h"

/* ---- mount points ---- */

/* Make b end in what path adds to it: "/a" and "../c//d" make "/c/d". */
static int append_path(struct buf *b, const char *path)
{
	while (*path) {
		size_t len = strcspn(path, "/");
		bool up = len == 2 && memcmp(path, "..", 2) == 0;
		bool stay = len == 0 || (len == 1 && *path == '.');
		int r = 0;

		while (up && b->len > 0 && b->data[--b->len] != '/')
			;
		if (!up && !stay)
			r = buf_printf(b, "/%.*s", (int)len, path);
		if (r < 0)
			return r;
		path += len + (path[len] == '/');
	}
	return 0;
}

static int lexical(const char *given, char **ret)
{
	_cleanup_buf_ struct buf b;
	int r = 0;

	buf_init(&b, 2 * PATH_MAX);
	if (*given != '/') {
		_cleanup_free_ char *here = getcwd(NULL, 0);

		r = here ? append_path(&b, here) : -errno;
	}
	if (r == 0)
		r = append_path(&b, given);
	if (r == 0)
		r = b.len ? buf_add(&b, "", 1) : buf_add(&b, "/", 2);
	if (r == 0)
		*ret = take_ptr(b.data);
	return r;
}

/* Of a path that can't be resolved itself, because what is mounted there does
 * not answer: the parent resolved, and the last name. */
static int resolve_parent(const char *path, char **ret)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent =
		slash == path ? strdup("/")
			      : strndup(path, (size_t)(slash - path));
	_cleanup_free_ char *real = parent ? realpath(parent, NULL) : NULL;

	if (!real)
		return -ENOENT;
	return asprintf(ret, "%s%s", strcmp(real, "/") == 0 ? "" : real,
		       slash) < 0
		       ? -ENOMEM
		       : 0;
}

int where_mount_point(const char *given, char **ret, struct diag *diag)
{
	_cleanup_free_ char *written = NULL;
	char *real = realpath(given, NULL);

	if (real) {
		*ret = real;
		return 0;
	}

	int r = *given ? lexical(given, &written) : -ENOENT;

	if (r < 0)
		return diag_errno(diag, r, "mount point %s", given);
	if (resolve_parent(written, ret) < 0)
		*ret = take_ptr(written);
	return 0;
}

/* ---- the state folder ---- */

static int make(char **ret, const char *a, const char *b)
{
	return asprintf(ret, "%s%s", a, b) < 0 ? -ENOMEM : 0;
}

/* An environment variable counts when it is an absolute path. */
static const char *folder_of(const char *variable)
{
	const char *value = getenv(variable);

	return value && *value == '/' ? value : NULL;
}

static int state_folder(char **ret, struct diag *diag)
{
	const char *state = folder_of("STELE_STATE");
	const char *xdg = folder_of("XDG_STATE_HOME");
	const char *home = folder_of("HOME");

	if (state)
		return make(ret, state, "");
	if (geteuid() == 0)
		return make(ret, "/var/lib/stele", "");
	if (xdg)
		return make(ret, xdg, "/stele");
	if (home)
		return make(ret, home, "/.local/state/stele");
	return diag_set(diag, -ENOENT,
		"there is no folder to keep ledgers in: set HOME or "
		"STELE_STATE");
}

int where_ledgers(char **ret, struct diag *diag)
{
	_cleanup_free_ char *state = NULL;
	int r = state_folder(&state, diag);

	if (r < 0)
		return r;
	r = make(ret, state, "/ledgers");
	return r < 0 ? diag_errno(diag, r, "folder of ledgers") : 0;
}

static int ledger_place(const char *mount_point, char **ret_folder,
	char **ret_path, struct diag *diag)
{
	_cleanup_free_ char *folder = NULL;
	_cleanup_buf_ struct buf name;
	int r = where_ledgers(&folder, diag);

	buf_init(&name, 4 * PATH_MAX + 16);
	if (r < 0)
		return r;
	r = name_of_path(mount_point, &name);
	if (r == 0 && asprintf(ret_path, "%s/%.*s.ledger", folder,
			      (int)name.len, name.data) < 0)
		r = -ENOMEM;
	if (r < 0)
		return diag_errno(diag, r, "ledger of %s", mount_point);
	*ret_folder = take_ptr(folder);
	return 0;
}

int where_upper(const char *mount_point, const char *custom, char **ret,
	struct diag *diag)
{
	_cleanup_free_ char *state = NULL;
	_cleanup_buf_ struct buf name;
	int r;

	buf_init(&name, 4 * PATH_MAX + 16);
	if (custom) {
		r = lexical(custom, ret);
		return r < 0 ? diag_errno(diag, r, "state folder %s", custom)
			     : 0;
	}
	r = state_folder(&state, diag);
	if (r < 0)
		return r;
	r = name_of_path(mount_point, &name);
	if (r == 0 && asprintf(ret, "%s/mounts/%.*s", state, (int)name.len,
			      name.data) < 0)
		r = -ENOMEM;
	return r < 0 ? diag_errno(diag, r, "state folder of %s", mount_point)
		     : 0;
}

/* ---- ledgers ---- */

int where_ledger(const char *given, char **ret_path, struct diag *diag)
{
	_cleanup_free_ char *mount_point = NULL;
	_cleanup_free_ char *folder = NULL;
	_cleanup_free_ char *place = NULL;
	int r = where_mount_point(given, &mount_point, diag);

	if (r == 0)
		r = ledger_place(mount_point, &folder, &place, diag);
	if (r < 0)
		return r;

	char *real = realpath(place, NULL);

	if (real) {
		*ret_path = real;
		return 0;
	}
	if (errno != ENOENT)
		return diag_errno(diag, -errno, "reading %s", place);
	return diag_set(diag, -ENOENT,
		"%s has no ledger (there is no %s); was it mounted by another "
		"user, or never?",
		mount_point, place);
}

int where_ledger_operand(
	const char *operand, char **ret_path, struct diag *diag)
{
	struct stat st;

	if (stat(operand, &st) < 0 || !S_ISREG(st.st_mode))
		return where_ledger(operand, ret_path, diag);

	char *path = strdup(operand);

	if (!path)
		return diag_errno(diag, -ENOMEM, "reading %s", operand);
	*ret_path = path;
	return 0;
}

/* Make the link, or change it in one step. */
static int set_link(const char *place, const char *target, struct diag *diag)
{
	_cleanup_free_ char *temporary = NULL;
	int r = make(&temporary, place, ".new");

	if (r < 0)
		return diag_errno(diag, r, "creating %s", place);
	/* A leftover of a crash; only we write in this folder. */
	(void)unlink(temporary);
	if (symlink(target, temporary) < 0 || rename(temporary, place) < 0)
		return diag_errno(diag, -errno, "creating the link %s", place);
	return 0;
}

/* What is in the place of a ledger now. */
enum place { PLACE_EMPTY, PLACE_LINK, PLACE_FILE };

static enum place look(const char *place)
{
	struct stat st;

	if (lstat(place, &st) < 0)
		return PLACE_EMPTY;
	return S_ISLNK(st.st_mode) ? PLACE_LINK : PLACE_FILE;
}

void where_plan_done(struct where_plan *p)
{
	free(p->file);
	free(p->place);
	*p = (struct where_plan){0};
}

/* The file itself; -EEXIST when it could not be found by its mount point. */
static int plan_file(
	struct where_plan *p, const char *custom, struct diag *diag)
{
	int r = custom ? lexical(custom, &p->file)
		       : make(&p->file, p->place, "");

	if (r < 0)
		return diag_errno(
			diag, r, "ledger %s", custom ? custom : p->place);
	if (strcmp(p->file, p->place) != 0 && look(p->place) == PLACE_FILE)
		return diag_set(diag, -EEXIST,
			"the mount point already has a ledger, %s; move it "
			"away, or mount without ledger=",
			p->place);
	return 0;
}

int where_ledger_plan(const char *given, const char *custom,
	struct where_plan *ret, struct diag *diag)
{
	_cleanup_free_ char *mount_point = NULL;
	_cleanup_free_ char *folder = NULL;
	struct where_plan p = {0};
	int r = where_mount_point(given, &mount_point, diag);

	if (r == 0)
		r = ledger_place(mount_point, &folder, &p.place, diag);
	if (r == 0)
		r = plan_file(&p, custom, diag);
	if (r == 0)
		r = folders_make(folder, diag);
	if (r < 0) {
		where_plan_done(&p);
		return r;
	}
	*ret = p;
	return 0;
}

int where_ledger_clear(const struct where_plan *p, struct diag *diag)
{
	if (strcmp(p->file, p->place) != 0 || look(p->place) != PLACE_LINK ||
		unlink(p->place) == 0)
		return 0;
	return diag_errno(diag, -errno, "removing the link %s", p->place);
}

int where_ledger_link(const struct where_plan *p, struct diag *diag)
{
	if (strcmp(p->file, p->place) == 0)
		return 0;
	return set_link(p->place, p->file, diag);
}
