/* SPDX-License-Identifier: Apache-2.0 */
/* Mount points; see mountinfo.h. */
#include "fs/base/mountinfo.h"

#include <string.h>

void mountinfo_done(struct mountinfo *m)
{
	free(m->root);
	free(m->dir);
	free(m->options);
	free(m->fstype);
	free(m->source);
	free(m->super);
	*m = (struct mountinfo){0};
}

/* The kernel writes space, tab, newline, '#' and backslash as \ooo. */
static char *unescape(const char *text, size_t len)
{
	char *ret = malloc(len + 1), *to = ret;

	if (!ret)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		const char *s = text + i;

		if (len - i >= 4 && s[0] == '\\' && s[1] >= '0' &&
			s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
			s[3] >= '0' && s[3] <= '7') {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 |
				       (s[3] - '0'));
			i += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
	return ret;
}

/* The next field of *line, unescaped. Two spaces have an empty one between. */
static int take_field(const char **line, char **ret)
{
	size_t len = strcspn(*line, " \n");

	if (ret) {
		*ret = unescape(*line, len);
		if (!*ret)
			return -ENOMEM;
	}
	*line += len;
	*line += **line == ' ';
	return 0;
}

/*
 * "36 35 98:0 /root /dir rw,noatime opt:1 opt:2 - fstype source rw": how many
 * fields come before the dash varies.
 */
int mountinfo_parse(const char *line, struct mountinfo *ret)
{
	struct mountinfo m = {0};
	const char *dash = strstr(line, " - ");

	if (!dash || sscanf(line, "%u %u %u:%u", &m.id, &m.parent, &m.major,
			     &m.minor) != 4)
		return -EINVAL;

	char **fields[] = {NULL, NULL, NULL, &m.root, &m.dir, &m.options};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(fields); i++)
		r = take_field(&line, fields[i]);
	if (r == 0 && (line > dash + 1 || *m.dir != '/'))
		r = -EINVAL;
	if (r == 0) {
		line = dash + 3;
		r = take_field(&line, &m.fstype);
	}
	if (r == 0 && (!*m.fstype || !*line || *line == '\n'))
		r = -EINVAL;
	if (r == 0)
		r = take_field(&line, &m.source);
	if (r == 0)
		r = take_field(&line, &m.super);
	if (r < 0) {
		mountinfo_done(&m);
		return r;
	}
	*ret = m;
	return 0;
}

bool mountinfo_has(const char *options, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = options; *at; at += *at == ',') {
		size_t n = strcspn(at, ",");

		if (n == len && memcmp(at, word, len) == 0)
			return true;
		at += n;
	}
	return false;
}

/* ---- all mounts ---- */

void mountinfo_list_done(struct mountinfo_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		mountinfo_done(&list->all[i]);
	free(list->all);
	*list = (struct mountinfo_list){0};
}

static int append(struct mountinfo_list *list, struct mountinfo *m)
{
	if (list->count == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 16;
		void *all = reallocarray(list->all, cap, sizeof(*m));

		if (!all) {
			mountinfo_done(m);
			return -ENOMEM;
		}
		list->all = all;
		list->cap = cap;
	}
	list->all[list->count++] = *m;
	return 0;
}

int mountinfo_read(const char *file, struct mountinfo_list *ret)
{
	_cleanup_fclose_ FILE *f = fopen(file, "re");
	_cleanup_free_ char *line = NULL;
	size_t room = 0;

	if (!f)
		return -errno;
	while (getline(&line, &room, f) > 0) {
		struct mountinfo m;
		int r = mountinfo_parse(line, &m);

		if (r == 0)
			r = append(ret, &m);
		if (r < 0 && r != -EINVAL)
			return r;
	}
	return ferror(f) ? -EIO : 0;
}

/* Is it the path itself, or a folder above it? */
static bool is_on_way(const char *dir, const char *path)
{
	size_t len = strlen(dir);

	if (strcmp(dir, "/") == 0)
		return *path == '/';
	return strncmp(path, dir, len) == 0 &&
	       (path[len] == '/' || path[len] == '\0');
}

/* Where does the mount lie: on cur, or, when that is NULL, on none of those on
 * the way? */
static bool lies_on(const struct mountinfo_list *list, const char *path,
	const struct mountinfo *m, const struct mountinfo *cur)
{
	if (cur)
		return m != cur && m->parent == cur->id;
	for (size_t i = 0; i < list->count; i++) {
		const struct mountinfo *other = &list->all[i];

		if (other != m && other->id == m->parent &&
			is_on_way(other->dir, path))
			return false;
	}
	return true;
}

/*
 * As the kernel walks: from a mount to the one that lies on it first on the way
 * to the path. What another mount hides is so never met, and the order of the
 * lines does not matter: it is not the order of the mounts on one folder.
 */
const struct mountinfo *mountinfo_walk(
	const struct mountinfo_list *list, const char *path)
{
	const struct mountinfo *cur = NULL;

	for (size_t steps = 0; steps < list->count; steps++) {
		const struct mountinfo *next = NULL;

		for (size_t i = 0; i < list->count; i++) {
			const struct mountinfo *m = &list->all[i];

			if (is_on_way(m->dir, path) &&
				lies_on(list, path, m, cur) &&
				(!next || strlen(m->dir) < strlen(next->dir)))
				next = m;
		}
		if (!next)
			break;
		cur = next;
	}
	return cur;
}

static const struct mountinfo *parent_of(
	const struct mountinfo_list *list, const struct mountinfo *m)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct mountinfo *other = &list->all[i];

		if (other != m && other->id == m->parent)
			return other;
	}
	return NULL;
}

const struct mountinfo *mountinfo_covered(
	const struct mountinfo_list *list, const struct mountinfo *m)
{
	const struct mountinfo *parent = parent_of(list, m);

	return parent && strcmp(parent->dir, m->dir) == 0 ? parent : NULL;
}

/* A mount and how many mounts lie between it and the one that was asked for. */
struct height {
	const struct mountinfo *m;
	size_t above;
};

static int compare_heights(const void *a, const void *b)
{
	const struct height *x = a, *y = b;

	return x->above < y->above ? 1 : x->above > y->above ? -1 : 0;
}

/* 0: it does not lie on base. The lines may come from anywhere, so a circle of
 * parents ends after as many steps as there are lines. */
static size_t height_above(const struct mountinfo_list *list,
	const struct mountinfo *m, const struct mountinfo *base)
{
	for (size_t n = 0; m && n <= list->count; n++) {
		if (m == base)
			return n;
		m = parent_of(list, m);
	}
	return 0;
}

ssize_t mountinfo_upon(const struct mountinfo_list *list,
	const struct mountinfo *m, const struct mountinfo ***ret)
{
	_cleanup_free_ struct height *found =
		calloc(list->count + 1, sizeof(*found));
	const struct mountinfo **all = calloc(list->count + 1, sizeof(*all));
	size_t count = 0;

	if (!found || !all) {
		free(all);
		return -ENOMEM;
	}
	for (size_t i = 0; i < list->count; i++) {
		size_t above = height_above(list, &list->all[i], m);

		if (above > 0)
			found[count++] = (struct height){&list->all[i], above};
	}
	qsort(found, count, sizeof(*found), compare_heights);
	for (size_t i = 0; i < count; i++)
		all[i] = found[i].m;
	*ret = all;
	return (ssize_t)count;
}

int mountinfo_copy(const struct mountinfo *m, struct mountinfo *ret)
{
	struct mountinfo copy = {
		.id = m->id,
		.parent = m->parent,
		.root = strdup(m->root),
		.dir = strdup(m->dir),
		.options = strdup(m->options),
		.fstype = strdup(m->fstype),
		.source = strdup(m->source),
		.super = strdup(m->super),
		.major = m->major,
		.minor = m->minor,
	};
	if (!copy.root || !copy.dir || !copy.options || !copy.fstype ||
		!copy.source || !copy.super) {
		mountinfo_done(&copy);
		return -ENOMEM;
	}
	*ret = copy;
	return 0;
}

int mountinfo_find_absolute(const char *dir, struct mountinfo *ret)
{
	struct mountinfo_list list = {0};
	int r = mountinfo_read("/proc/self/mountinfo", &list);
	const struct mountinfo *top =
		r == 0 ? mountinfo_walk(&list, dir) : NULL;

	if (top && strcmp(top->dir, dir) == 0) {
		r = mountinfo_copy(top, ret);
		r = r < 0 ? r : 1;
	}
	mountinfo_list_done(&list);
	return r;
}

/*
 * The path with links resolved in all but the last component: that one may be
 * a mount point whose server does not answer. NULL and errno on failure.
 */
static char *resolve_parent(const char *dir)
{
	_cleanup_free_ char *copy = strdup(dir), *parent = NULL;
	char *slash, *ret = NULL;
	size_t len = strlen(dir);

	if (!copy)
		return NULL;
	while (len > 1 && copy[len - 1] == '/')
		copy[--len] = '\0';
	slash = strrchr(copy, '/');

	const char *last = slash ? slash + 1 : copy;

	if (!*last || strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
		return realpath(dir, NULL);
	if (slash == copy)
		parent = strdup("");
	else if (slash) {
		*slash = '\0';
		parent = realpath(copy, NULL);
	} else {
		parent = realpath(".", NULL);
	}
	if (!parent)
		return NULL;
	if (strcmp(parent, "/") == 0)
		parent[0] = '\0';
	if (asprintf(&ret, "%s/%s", parent, last) < 0)
		return NULL;
	return ret;
}

int mountinfo_find(const char *dir, struct mountinfo *ret)
{
	_cleanup_free_ char *path = resolve_parent(dir);
	_cleanup_free_ char *whole = NULL;
	int r = path ? mountinfo_find_absolute(path, ret) : -errno;

	if (r != 0)
		return r;
	whole = realpath(dir, NULL);
	if (!whole)
		return -errno;
	return strcmp(whole, path) == 0 ? 0
					: mountinfo_find_absolute(whole, ret);
}
