/* SPDX-License-Identifier: Apache-2.0 */
/* Mount points of this process; see mountinfo.h. */
#include "fs/base/mountinfo.h"

#include <limits.h>
#include <string.h>

void mountinfo_done(struct mountinfo *m)
{
	free(m->dir);
	free(m->fstype);
	free(m->source);
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

/* The next field of *line, unescaped. */
static int take_field(const char **line, char **ret)
{
	size_t len = strcspn(*line, " \n");

	if (len == 0)
		return -EINVAL;
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
 * "36 35 98:0 /root /dir rw,noatime opt:1 opt:2 - fstype source rw": the dir is
 * the fifth, how many fields come before the dash varies.
 */
int mountinfo_parse(const char *line, struct mountinfo *ret)
{
	struct mountinfo m = {0};
	const char *dash = strstr(line, " - ");
	int r = dash ? 0 : -EINVAL;

	if (sscanf(line, "%*u %*u %u:%u", &m.major, &m.minor) != 2)
		r = -EINVAL;
	for (int i = 0; r == 0 && i < 5; i++)
		r = take_field(&line, i == 4 ? &m.dir : NULL);
	if (r == 0) {
		line = dash + 3;
		r = take_field(&line, &m.fstype);
	}
	if (r == 0)
		r = take_field(&line, &m.source);
	if (r < 0) {
		mountinfo_done(&m);
		return r;
	}
	*ret = m;
	return 0;
}

/* The last mount on an absolute path without links: the one on top. */
int mountinfo_find_absolute(const char *dir, struct mountinfo *ret)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	struct mountinfo found = {0};
	size_t room = 0;
	int r = 0;

	if (!f)
		return -errno;
	while (r >= 0 && getline(&line, &room, f) > 0) {
		struct mountinfo m;

		if (mountinfo_parse(line, &m) < 0)
			continue;
		if (strcmp(m.dir, dir) == 0) {
			mountinfo_done(&found);
			found = m;
			r = 1;
		} else {
			mountinfo_done(&m);
		}
	}
	if (r == 1)
		*ret = found;
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
