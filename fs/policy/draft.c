/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of a declared path and their values; see internal.h. */
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "fs/policy/internal.h"

/* Which keys a block knows. */
enum where { OURS = 1, UPSUN = 2 };

static const struct key {
	const char *name;
	unsigned where;
	const char *expects;
} keys[KEY_COUNT] = {
	[KEY_SOURCE] = {"source", OURS | UPSUN, "storage, tmp or host"},
	[KEY_PATH] = {"path", OURS, "an absolute path of the host"},
	[KEY_SEED] = {"seed", OURS, "image or empty"},
	[KEY_SIZE] = {"size", OURS, "a size such as 64M (K, M, G or T)"},
	[KEY_INODES] = {"inodes", OURS, "a number of files such as 10000"},
	[KEY_MODE] = {"mode", OURS, "permission bits such as \"1777\""},
	[KEY_UID] = {"uid", OURS,
		"a user id (a number: the image's own names "
		"are not looked up)"},
	[KEY_GID] = {"gid", OURS, "a group id (a number)"},
	[KEY_NOEXEC] = {"noexec", OURS, "true or false"},
	[KEY_NOSUID] = {"nosuid", OURS, "true or false"},
	[KEY_NODEV] = {"nodev", OURS, "true or false"},
	[KEY_NAME] = {"name", OURS, "a name for the storage, without '/'"},
	[KEY_SOURCE_PATH] = {"source_path", UPSUN, "a relative path"},
	[KEY_SERVICE] = {"service", UPSUN, "the name of a service"},
};

/* One name of a path may be this long, and all of it that long. */
#define NAME_LEN 255

/* Copy a path without the '/' at its end; "web/x" of Upsun becomes "/web/x". */
static int take_path(
	const char *given, bool upsun, char **ret, const char **ret_why)
{
	_cleanup_free_ char *path = malloc(strlen(given) + 2);
	size_t len = 0;

	if (!path)
		return -ENOMEM;
	if (given[0] != '/' && !upsun) {
		*ret_why = "a path begins with '/'";
		return -EINVAL;
	}
	if (given[0] != '/')
		path[len++] = '/';
	memcpy(path + len, given, strlen(given) + 1);
	len += strlen(given);
	if (len > 1 && path[len - 1] == '/')
		path[--len] = '\0';
	if (len >= PATH_MAX) {
		*ret_why = "the path is too long";
		return -EINVAL;
	}
	for (const char *at = path; *at;) {
		size_t n = strcspn(++at, "/");

		if (len > 1 &&
			(n == 0 || n > NAME_LEN || (n == 1 && at[0] == '.') ||
				(n == 2 && at[0] == '.' && at[1] == '.'))) {
			*ret_why = "write the path without '.', '..', empty or "
				   "over-long names";
			return -EINVAL;
		}
		at += n;
	}
	*ret = take_ptr(path);
	return 0;
}

int draft_begin(struct policy_draft *d, const char *path, bool upsun,
	const char **ret_why)
{
	*d = (struct policy_draft){
		.upsun = upsun,
		.p = {.mode = POLICY_MODE_UNSET,
			.uid = POLICY_ID_UNSET,
			.gid = POLICY_ID_UNSET,
			/* A device node that an image's user makes is the
			 * runtime's business, not a path's. */
			.nodev = true},
	};
	return take_path(path, upsun, &d->p.path, ret_why);
}

static void path_done(struct policy_path *p)
{
	free(p->path);
	free(p->host);
	free(p->name);
	free(p->text);
}

void draft_done(struct policy_draft *d)
{
	path_done(&d->p);
	free(d->source_path);
	free(d->service);
	*d = (struct policy_draft){0};
}

void policy_done(struct policy *p)
{
	for (size_t i = 0; i < p->count; i++)
		path_done(&p->paths[i]);
	free(p->paths);
	*p = (struct policy){0};
}

int draft_key(const struct policy_draft *d, const char *name,
	enum policy_key *ret, const char **ret_why)
{
	for (int i = 0; i < KEY_COUNT; i++) {
		if (keys[i].where & (d->upsun ? UPSUN : OURS) &&
			strcmp(keys[i].name, name) == 0) {
			*ret = (enum policy_key)i;
			return 0;
		}
	}
	*ret_why = d->upsun ? "a mount has source, source_path and service"
			    : "a path has source, path, seed, size, inodes, "
			      "mode, uid, gid, noexec, nosuid, nodev and name";
	return -EINVAL;
}

/* ---- values ---- */

/* Digits only, in this base; up to max. */
static int parse_number(const char *text, int base, uint64_t max, uint64_t *ret)
{
	char *end;

	if (text[strspn(text, "0123456789")] || !*text)
		return -EINVAL;
	errno = 0;
	*ret = strtoull(text, &end, base);
	return errno || *end || *ret > max ? -EINVAL : 0;
}

int policy_parse_size(const char *text, uint64_t *ret)
{
	static const char units[] = "KMGT";
	size_t digits = strspn(text, "0123456789");
	const char *unit = text[digits] ? strchr(units, text[digits]) : NULL;
	int shift = unit ? 10 * (int)(unit - units + 1) : 0;
	char number[24];

	if (digits >= sizeof(number) || (text[digits] && !unit) ||
		(unit && text[digits + 1]))
		return -EINVAL;
	memcpy(number, text, digits);
	number[digits] = '\0';
	/* No file system can hold more than a signed number of bytes. */
	if (parse_number(number, 10, (uint64_t)INT64_MAX >> shift, ret) < 0 ||
		*ret == 0)
		return -EINVAL;
	*ret <<= shift;
	return 0;
}

static int parse_flag(const char *text, bool *ret)
{
	*ret = strcmp(text, "true") == 0;
	return *ret || strcmp(text, "false") == 0 ? 0 : -EINVAL;
}

static int parse_id(const char *text, uint32_t *ret)
{
	uint64_t n;
	int r = parse_number(text, 10, POLICY_ID_UNSET - 1, &n);

	if (r == 0)
		*ret = (uint32_t)n;
	return r;
}

static int parse_mode(const char *text, mode_t *ret)
{
	uint64_t n;
	int r = strlen(text) < 3 || strlen(text) > 5
			? -EINVAL
			: parse_number(text, 8, 07777, &n);

	if (r == 0)
		*ret = (mode_t)n;
	return r;
}

static int parse_source(struct policy_draft *d, const char *text)
{
	/* What Upsun and Platform.sh call them. Their "instance" and "tmp" are
	 * there as long as the container is; "local" was kept. */
	static const struct {
		const char *name;
		unsigned where;
		enum policy_source source;
	} names[] = {
		{"tmp", OURS | UPSUN, POLICY_TMP},
		{"storage", OURS | UPSUN, POLICY_STORAGE},
		{"host", OURS, POLICY_HOST},
		{"instance", UPSUN, POLICY_TMP},
		{"local", UPSUN, POLICY_STORAGE},
		{"service", UPSUN, POLICY_STORAGE},
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (names[i].where & (d->upsun ? UPSUN : OURS) &&
			strcmp(names[i].name, text) == 0) {
			d->p.source = names[i].source;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_seed(const char *text, enum policy_seed *ret)
{
	if (strcmp(text, "image") == 0)
		*ret = POLICY_SEED_IMAGE;
	else if (strcmp(text, "empty") == 0)
		*ret = POLICY_SEED_EMPTY;
	else
		return -EINVAL;
	return 0;
}

/* A folder of the state directory will be named by it. */
static int parse_name(const char *text, char **ret)
{
	if (!*text || strlen(text) > NAME_LEN || strchr(text, '/'))
		return -EINVAL;
	*ret = strdup(text);
	return *ret ? 0 : -ENOMEM;
}

/* Relative, without ".." (which would be another mount's); "" is all of it. */
static int parse_relative(const char *text, char **ret)
{
	const char *why;
	_cleanup_free_ char *path = NULL;
	int r = *text == '/' ? -EINVAL : take_path(text, true, &path, &why);

	if (r < 0)
		return r;
	*ret = strdup(path + 1);
	return *ret ? 0 : -ENOMEM;
}

int draft_set(struct policy_draft *d, enum policy_key key, const char *value,
	const char **ret_why)
{
	struct policy_path *p = &d->p;
	const char *why;
	int r = -EINVAL;

	if (d->given & 1u << key) {
		*ret_why = "it is given twice";
		return -EEXIST;
	}
	d->given |= 1u << key;
	switch (key) {
	case KEY_SOURCE: r = parse_source(d, value); break;
	case KEY_PATH: r = take_path(value, false, &p->host, &why); break;
	case KEY_SEED: r = parse_seed(value, &p->seed); break;
	case KEY_SIZE: r = policy_parse_size(value, &p->size); break;
	case KEY_INODES:
		r = parse_number(value, 10, INT64_MAX, &p->inodes);
		r = r == 0 && p->inodes == 0 ? -EINVAL : r;
		break;
	case KEY_MODE: r = parse_mode(value, &p->mode); break;
	case KEY_UID: r = parse_id(value, &p->uid); break;
	case KEY_GID: r = parse_id(value, &p->gid); break;
	case KEY_NOEXEC: r = parse_flag(value, &p->noexec); break;
	case KEY_NOSUID: r = parse_flag(value, &p->nosuid); break;
	case KEY_NODEV: r = parse_flag(value, &p->nodev); break;
	case KEY_NAME: r = parse_name(value, &p->name); break;
	case KEY_SOURCE_PATH: r = parse_relative(value, &d->source_path); break;
	case KEY_SERVICE: r = parse_name(value, &d->service); break;
	case KEY_COUNT: break;
	}
	if (r == -EINVAL)
		*ret_why = d->upsun && key == KEY_SOURCE
				   ? "storage, instance, tmp, local or service"
				   : keys[key].expects;
	return r;
}

/* ---- all together ---- */

static const char *contradiction(const struct policy_draft *d)
{
	const struct policy_path *p = &d->p;

	if (!(d->given & 1u << KEY_SOURCE))
		return "it has no source";
	if (p->source == POLICY_HOST && !p->host)
		return "source host needs path: the folder of the host";
	if (p->source != POLICY_HOST && p->host)
		return "path is for source host alone";
	if (p->source == POLICY_HOST && p->seed != POLICY_SEED_AUTO)
		return "a path of the host is what it is: no seed";
	if (p->source == POLICY_HOST && (p->size || p->inodes))
		return "a path of the host cannot be limited here: no size and "
		       "no inodes";
	if (p->source == POLICY_HOST &&
		(p->mode != POLICY_MODE_UNSET || p->uid != POLICY_ID_UNSET ||
			p->gid != POLICY_ID_UNSET))
		return "a path of the host keeps its own mode and owner";
	if (p->source != POLICY_STORAGE && p->name)
		return "name is for source storage alone";
	if (p->source == POLICY_STORAGE && p->inodes && !p->size)
		return "inodes of a storage need a size, too: both are limits "
		       "of one volume";
	return NULL;
}

/*
 * What a storage is known by. Upsun's is a folder of the application's (or a
 * service's) storage: the source path, by default the path itself.
 */
static int set_name(struct policy_draft *d)
{
	struct policy_path *p = &d->p;
	const char *rest = d->source_path ? d->source_path : p->path + 1;
	int n;

	if (p->source != POLICY_STORAGE || p->name)
		return 0;
	if (!d->upsun) {
		p->name = strdup(p->path);
		return p->name ? 0 : -ENOMEM;
	}
	n = asprintf(&p->name, "%s:%s", d->service ? d->service : "", rest);
	if (n < 0)
		p->name = NULL;
	return n < 0 ? -ENOMEM : 0;
}

int draft_end(struct policy_draft *d, struct policy *p, const char **ret_why)
{
	struct policy_path *more;
	int r;

	*ret_why = contradiction(d);
	if (*ret_why)
		return -EINVAL;
	r = set_name(d);
	if (r < 0)
		return r;
	if (p->count == POLICY_PATHS_MAX) {
		*ret_why = "these are more paths than a policy may have";
		return -E2BIG;
	}
	more = reallocarray(p->paths, p->count + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	p->paths = more;
	p->paths[p->count++] = d->p;
	d->p = (struct policy_path){0};
	draft_done(d);
	return 0;
}
