/* SPDX-License-Identifier: Apache-2.0 */
/* Declared paths together: their order, their contradictions, their canonical
 * text; see policy.h. */
#include "fs/policy/policy.h"

#include <string.h>

#include "fs/base/cleanup.h"

const char *policy_source_name(enum policy_source s)
{
	static const char *const names[] = {
		[POLICY_TMP] = "tmp",
		[POLICY_STORAGE] = "storage",
		[POLICY_HOST] = "host",
	};

	return names[s];
}

/* '/' sorts before every other byte. */
int policy_path_order(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}

	int x = *a == '/' ? 1 : (unsigned char)*a + 1;
	int y = *b == '/' ? 1 : (unsigned char)*b + 1;

	return (*a ? x : 0) - (*b ? y : 0);
}

static int order(const void *a, const void *b)
{
	const struct policy_path *x = a, *y = b;

	return policy_path_order(x->path, y->path);
}

bool policy_is_below(const char *path, const char *parent)
{
	size_t len = strlen(parent);

	if (len == 1) /* "/" */
		return path[1] != '\0';
	return strncmp(path, parent, len) == 0 && path[len] == '/';
}

/* "3: LINE", or the word of the command line. */
static void quote(const struct policy_path *p, char *ret, size_t size)
{
	if (p->line)
		(void)snprintf(ret, size, "%u: '%.200s'", p->line, p->text);
	else
		(void)snprintf(ret, size, "'%.200s'", p->text);
}

static int contradict(const struct policy_path *a, const struct policy_path *b,
	const char *why, struct diag *diag)
{
	char first[256], second[256];
	bool later = a->line > b->line;

	quote(later ? b : a, first, sizeof(first));
	quote(later ? a : b, second, sizeof(second));
	return diag_set(diag, -EBADMSG, "%s and %s: %s", first, second, why);
}

/* Two paths with the same name are two doors to one storage. That has a meaning
 * only when both say the same of it. */
static int check_names(const struct policy *p, struct diag *diag)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct policy_path *a = &p->paths[i];

		for (size_t j = 0; a->name && j < i; j++) {
			const struct policy_path *b = &p->paths[j];

			if (b->name && strcmp(a->name, b->name) == 0)
				return contradict(a, b,
					"one storage for two paths; give each "
					"a name of its own",
					diag);
		}
	}
	return 0;
}

int policy_finish(struct policy *p, struct diag *diag)
{
	if (p->count)
		qsort(p->paths, p->count, sizeof(*p->paths), order);
	for (size_t i = 1; i < p->count; i++) {
		const struct policy_path *a = &p->paths[i - 1];
		const struct policy_path *b = &p->paths[i];

		if (strcmp(a->path, b->path) == 0)
			return contradict(
				a, b, "the path is declared twice", diag);
	}
	for (size_t i = 0; i < p->count; i++) {
		const struct policy_path *b = &p->paths[i];

		for (size_t j = 0; j < i; j++) {
			const struct policy_path *a = &p->paths[j];

			/* It would have to be made in a folder that is not
			 * ours. */
			if (a->source == POLICY_HOST &&
				policy_is_below(b->path, a->path))
				return contradict(a, b,
					"nothing can be declared below a path "
					"of the host",
					diag);
		}
	}
	return check_names(p, diag);
}

const struct policy_path *policy_find(const struct policy *p, const char *path)
{
	const struct policy_path *found = NULL;

	/* The last one that matches is the longest: children come later. */
	for (size_t i = 0; i < p->count; i++) {
		const char *declared = p->paths[i].path;

		if (strcmp(declared, path) == 0 ||
			policy_is_below(path, declared))
			found = &p->paths[i];
	}
	return found;
}

/* A path as a double-quoted string of JSON (and so of YAML), byte by byte. */
static int add_quoted(struct buf *b, const char *text)
{
	int r = buf_add(b, "\"", 1);

	for (; r == 0 && *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f)
			r = buf_printf(b, "\\u%04x", c);
		else
			r = buf_add(b, text, 1);
	}
	return r < 0 ? r : buf_add(b, "\"", 1);
}

static int print_path(const struct policy_path *p, struct buf *b)
{
	static const char *const seeds[] = {
		[POLICY_SEED_AUTO] = "",
		[POLICY_SEED_IMAGE] = ", seed: image",
		[POLICY_SEED_EMPTY] = ", seed: empty",
	};
	int r = buf_add(b, "  ", 2);

	if (r == 0)
		r = add_quoted(b, p->path);
	if (r == 0)
		r = buf_printf(
			b, ": {source: %s", policy_source_name(p->source));
	if (r == 0 && p->host)
		r = buf_add(b, ", path: ", 8);
	if (r == 0 && p->host)
		r = add_quoted(b, p->host);
	if (r == 0)
		r = buf_printf(b, "%s", seeds[p->seed]);
	if (r == 0 && p->size)
		r = buf_printf(b, ", size: %llu", (unsigned long long)p->size);
	if (r == 0 && p->inodes)
		r = buf_printf(
			b, ", inodes: %llu", (unsigned long long)p->inodes);
	if (r == 0 && p->mode != POLICY_MODE_UNSET)
		r = buf_printf(b, ", mode: \"%04o\"", (unsigned)p->mode);
	if (r == 0 && p->uid != POLICY_ID_UNSET)
		r = buf_printf(b, ", uid: %u", p->uid);
	if (r == 0 && p->gid != POLICY_ID_UNSET)
		r = buf_printf(b, ", gid: %u", p->gid);
	if (r == 0)
		r = buf_printf(b, "%s%s%s", p->noexec ? ", noexec: true" : "",
			p->nosuid ? ", nosuid: true" : "",
			p->nodev ? "" : ", nodev: false");
	/* The default name says nothing new. */
	if (r == 0 && p->name && strcmp(p->name, p->path) != 0) {
		r = buf_add(b, ", name: ", 8);
		if (r == 0)
			r = add_quoted(b, p->name);
	}
	return r < 0 ? r : buf_add(b, "}\n", 2);
}

int policy_print(const struct policy *p, struct buf *ret)
{
	int r = buf_printf(ret, "writable:%s\n", p->count ? "" : " {}");

	for (size_t i = 0; r == 0 && i < p->count; i++)
		r = print_path(&p->paths[i], ret);
	return r;
}
