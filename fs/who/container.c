/* SPDX-License-Identifier: Apache-2.0 */
/* Containers from the names of cgroups; see container.h. */
#include "fs/who/container.h"

#include <stdbool.h>
#include <string.h>

/* Some bytes of the text, not NUL-terminated. */
struct part {
	const char *p;
	size_t len;
};

static bool part_is(struct part s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.p, text, s.len) == 0;
}

static bool drop_prefix(struct part *s, const char *prefix)
{
	size_t len = strlen(prefix);

	if (s->len < len || memcmp(s->p, prefix, len) != 0)
		return false;
	s->p += len;
	s->len -= len;
	return true;
}

static bool drop_suffix(struct part *s, const char *suffix)
{
	size_t len = strlen(suffix);

	if (s->len < len || memcmp(s->p + s->len - len, suffix, len) != 0)
		return false;
	s->len -= len;
	return true;
}

/* What lies before and behind the last occurrence of a text. */
static bool split_last(
	struct part s, const char *at, struct part *before, struct part *behind)
{
	size_t len = strlen(at);

	for (size_t i = s.len; i-- > 0;) {
		if (s.len - i < len || memcmp(s.p + i, at, len) != 0)
			continue;
		*before = (struct part){s.p, i};
		*behind = (struct part){s.p + i + len, s.len - i - len};
		return true;
	}
	return false;
}

/* No runtime writes capitals. */
static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* Whether it has the form of a pattern: x stands for a digit. */
static bool has_form(struct part s, const char *form)
{
	if (s.len != strlen(form))
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (form[i] == 'x' ? !is_hex(s.p[i]) : s.p[i] != form[i])
			return false;
	}
	return true;
}

static bool is_id(struct part s)
{
	return has_form(s, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
			   "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
}

/* As the API server gives them; with _ where systemd means a slice by -; and,
 * of pods that a node has from a file, the digest of that file. */
static bool is_pod_uid(struct part s)
{
	return has_form(s, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx") ||
	       has_form(s, "xxxxxxxx_xxxx_xxxx_xxxx_xxxxxxxxxxxx") ||
	       has_form(s, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
}

static bool in_kubepods(struct part s)
{
	struct part before, behind;

	/* kubelet-kubepods-..., below a kubelet with a root of its own */
	return split_last(s, "kubepods", &before, &behind) &&
	       (before.len == 0 || before.p[before.len - 1] == '-') &&
	       (behind.len == 0 || behind.p[0] == '-');
}

/* "pod<uid>", or "kubepods-<qos>-pod<uid>.slice". */
static bool pod_of(struct part s, struct part *ret)
{
	struct part before, uid = s;

	if (drop_prefix(&uid, "pod") && is_pod_uid(uid)) {
		*ret = uid;
		return true;
	}
	if (!drop_suffix(&s, ".slice") ||
		!split_last(s, "-pod", &before, &uid) || !in_kubepods(before) ||
		!is_pod_uid(uid))
		return false;
	*ret = uid;
	return true;
}

static void copy(char *dst, struct part s)
{
	memcpy(dst, s.p, s.len);
	dst[s.len] = '\0';
}

static void keep_pod(struct container *c, struct part s)
{
	struct part uid;

	if (c->pod[0] || !pod_of(s, &uid))
		return;
	copy(c->pod, uid);
	for (char *p = c->pod; *p; p++) {
		if (*p == '_')
			*p = '-';
	}
}

/* A bare id says by where it lies whose it is. */
static const char *runtime_of_parent(struct part parent)
{
	if (part_is(parent, "docker") || part_is(parent, "actions_job"))
		return "docker";
	if (drop_prefix(&parent, "pod") && is_pod_uid(parent))
		return "containerd";
	return NULL;
}

/* The container that a cgroup is made for: id and runtime. conmon, which
 * watches over one from a cgroup beside it, has a longer prefix and no match.
 */
static const char *match(struct part name, struct part parent, struct part *id)
{
	static const struct {
		const char *prefix, *runtime;
	} prefixes[] = {
		{"docker-", "docker"},
		{"cri-containerd-", "containerd"},
		{"crio-", "cri-o"},
		{"libpod-", "podman"},
	};
	struct part before;

	(void)drop_suffix(&name, ".scope");
	*id = name;
	if (has_form(name, "xxxxxxxx-xxxx-xxxx-xxxx-xxxx"))
		return "garden";
	if (is_id(name))
		return runtime_of_parent(parent);
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		*id = name;
		if (drop_prefix(id, prefixes[i].prefix) && is_id(*id))
			return prefixes[i].runtime;
	}
	if (split_last(name, ":cri-containerd:", &before, id) && is_id(*id))
		return "containerd";
	return NULL;
}

/* From the end of a path: its last name, and the path before that. */
static struct part take_last(struct part *path)
{
	struct part name = *path, before;

	if (split_last(*path, "/", &before, &name))
		*path = before;
	else
		path->len = 0;
	return name;
}

static struct part last_of(struct part path)
{
	return take_last(&path);
}

/*
 * The innermost container of one path. A pod that lies further in than the
 * container is not its own; where there is no container it still counts.
 */
static void parse_path(struct part path, struct container *ret)
{
	while (path.len) {
		struct part name = take_last(&path), id, before, behind;
		const char *runtime = NULL;

		if (!ret->runtime)
			runtime = match(name, last_of(path), &id);
		if (runtime) {
			copy(ret->id, id);
			ret->runtime = runtime;
			ret->pod[0] = '\0';
		}
		/* "kubepods-...-pod<uid>.slice:cri-containerd:<id>" */
		if (split_last(name, ":cri-containerd:", &before, &behind))
			name = before;
		keep_pod(ret, name);
	}
}

/* "HIERARCHY:CONTROLLERS:PATH" */
static bool path_of(struct part line, struct part *ret)
{
	const char *at = line.p, *end = line.p + line.len;

	for (int i = 0; i < 2; i++) {
		at = memchr(at, ':', (size_t)(end - at));
		if (!at)
			return false;
		at++;
	}
	*ret = (struct part){at, (size_t)(end - at)};
	/* The kernel says so of a cgroup that was removed with its members. */
	(void)drop_suffix(ret, " (deleted)");
	return true;
}

void container_parse(const char *text, size_t len, struct container *ret)
{
	const char *end = text + len;

	*ret = (struct container){.runtime = NULL};
	while (text < end && !ret->runtime) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		struct part line = {text, (size_t)((stop ? stop : end) - text)};
		struct container found = {.runtime = NULL};
		struct part path;

		if (path_of(line, &path))
			parse_path(path, &found);
		if (found.runtime || (found.pod[0] && !ret->pod[0]))
			*ret = found;
		text = stop ? stop + 1 : end;
	}
}
