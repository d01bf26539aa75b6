/* SPDX-License-Identifier: Apache-2.0 */
/* The options of a build, applied to one entry; see filter.h. */
#include "fs/tree/filter.h"

#include <fnmatch.h>
#include <string.h>

/* How much passes between two calls of the progress function. */
#define PROGRESS_ENTRIES 256
#define PROGRESS_BYTES (1u << 20)

struct filter_pattern {
	char *text;	  /* without '/' at either end; owned */
	unsigned slashes; /* in text */
	bool anchored;	  /* it began with '/' */
};

static int pattern_init(struct filter_pattern *p, const char *text)
{
	size_t len = strlen(text);

	p->anchored = text[0] == '/';
	while (len && text[0] == '/') {
		text++;
		len--;
	}
	while (len && text[len - 1] == '/')
		len--;
	if (len == 0)
		return -EINVAL;
	p->text = strndup(text, len);
	if (!p->text)
		return -ENOMEM;
	for (const char *c = p->text; *c; c++)
		p->slashes += *c == '/';
	return 0;
}

int filter_init(
	struct filter *f, const struct tree_options *opt, struct diag *diag)
{
	*f = (struct filter){.opt = opt};
	if (!opt->exclude_count)
		return 0;
	f->patterns = calloc(opt->exclude_count, sizeof(*f->patterns));
	f->bytes_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	if (!f->patterns || !f->bytes_locale) {
		filter_done(f);
		return diag_errno(diag, -ENOMEM, "reading what to exclude");
	}
	for (size_t i = 0; i < opt->exclude_count; i++) {
		int r = pattern_init(&f->patterns[i], opt->exclude[i]);

		if (r < 0) {
			diag_set(diag, r, "the pattern \"%s\" names nothing",
				opt->exclude[i]);
			filter_done(f);
			return r;
		}
	}
	return 0;
}

void filter_done(struct filter *f)
{
	for (size_t i = 0; f->patterns && i < f->opt->exclude_count; i++)
		free(f->patterns[i].text);
	free(f->patterns);
	f->patterns = NULL;
	if (f->bytes_locale)
		freelocale(f->bytes_locale);
	f->bytes_locale = (locale_t)0;
}

/*
 * The end of the path that has as many slashes as the pattern, or NULL. A '/'
 * only matches itself, so no other end can match.
 */
static const char *path_tail(const struct filter_pattern *p, const char *path)
{
	unsigned slashes = p->slashes + 1;
	const char *c = path + strlen(path);

	while (c > path) {
		if (c[-1] == '/' && --slashes == 0)
			return p->anchored ? NULL : c;
		c--;
	}
	return slashes == 1 ? path : NULL;
}

bool filter_excludes(const struct filter *f, const char *path)
{
	bool found = false;

	if (!f->patterns)
		return false;

	locale_t before = uselocale(f->bytes_locale);

	for (size_t i = 0; i < f->opt->exclude_count && !found; i++) {
		const char *tail = path_tail(&f->patterns[i], path);

		found = tail &&
			fnmatch(f->patterns[i].text, tail, FNM_PATHNAME) == 0;
	}
	(void)uselocale(before); /* it was good before */
	return found;
}

bool filter_keeps_xattr(const char *name, size_t len)
{
	static const struct {
		const char *text;
		bool whole; /* else what it begins with */
	} kept[] = {
		{"user.", false},
		{"trusted.", false},
		{"security.", false},
		{"system.posix_acl_access", true},
		{"system.posix_acl_default", true},
	};

	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		size_t n = strlen(kept[i].text);

		if ((kept[i].whole ? len == n : len > n) &&
			memcmp(name, kept[i].text, n) == 0)
			return true;
	}
	return false;
}

void filter_attributes(const struct filter *f, struct tree_node *node)
{
	const struct tree_options *opt = f->opt;

	if (opt->set_uid)
		node->uid = opt->uid;
	if (opt->set_gid)
		node->gid = opt->gid;
	if (opt->clamp_mtime && node->mtime >= opt->mtime) {
		node->mtime = opt->mtime;
		node->mtime_nsec = 0;
	}
}

void filter_progress(struct filter *f)
{
	f->told = f->bytes;
	if (f->opt->progress)
		f->opt->progress(f->opt->arg, f->entries, f->bytes);
}

void filter_count(struct filter *f)
{
	f->entries++;
	if (f->entries % PROGRESS_ENTRIES == 0)
		filter_progress(f);
}

void filter_count_bytes(struct filter *f, uint64_t bytes)
{
	f->bytes += bytes;
	if (f->bytes - f->told >= PROGRESS_BYTES)
		filter_progress(f);
}

void filter_remark(const struct filter *f, const char *fmt, ...)
{
	struct diag line;
	va_list ap;

	if (!f->opt->remark)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(line.text, sizeof(line.text), fmt, ap);
	va_end(ap);
	f->opt->remark(f->opt->arg, line.text);
}
