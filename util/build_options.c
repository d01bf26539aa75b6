/* SPDX-License-Identifier: Apache-2.0 */
/* Options of `stele build`; see build_options.h. */
#include "util/build_options.h"

#include <string.h>
#include <time.h>

#include "fs/image/layout.h"
#include "util/exit.h"

/* Digits from *text on, at most max of them; *text is then behind them. */
static int take_number(const char **text, unsigned max, int64_t *ret)
{
	int64_t n = 0;
	unsigned digits = 0;

	for (; **text >= '0' && **text <= '9' && digits < max; digits++)
		n = n * 10 + (*(*text)++ - '0');
	*ret = n;
	return digits ? 0 : -EINVAL;
}

static bool take_byte(const char **text, const char *any_of)
{
	if (!**text || !strchr(any_of, **text))
		return false;
	(*text)++;
	return true;
}

/* Exactly two digits, up to max, into a field of struct tm. */
static int take_pair(const char **text, int64_t min, int64_t max, int *ret)
{
	const char *start = *text;
	int64_t n;

	if (take_number(text, 2, &n) < 0 || *text - start != 2 || n < min ||
		n > max)
		return -EINVAL;
	*ret = (int)n;
	return 0;
}

static int parse_seconds(const char *text, int64_t *ret)
{
	bool negative = take_byte(&text, "-");
	int64_t n;

	if (take_number(&text, 18, &n) < 0 || *text)
		return -EINVAL;
	*ret = negative ? -n : n;
	return 0;
}

int build_parse_time(const char *text, int64_t *ret)
{
	struct tm tm = {0}, given;
	const char *start = text;
	int64_t year;

	if (take_byte(&text, "@"))
		return parse_seconds(text, ret);
	if (take_number(&text, 4, &year) < 0 || text - start != 4 ||
		!take_byte(&text, "-") ||
		take_pair(&text, 1, 12, &tm.tm_mon) < 0 ||
		!take_byte(&text, "-") ||
		take_pair(&text, 1, 31, &tm.tm_mday) < 0)
		return -EINVAL;
	if (take_byte(&text, "T ") &&
		(take_pair(&text, 0, 23, &tm.tm_hour) < 0 ||
			!take_byte(&text, ":") ||
			take_pair(&text, 0, 59, &tm.tm_min) < 0 ||
			!take_byte(&text, ":") ||
			take_pair(&text, 0, 59, &tm.tm_sec) < 0))
		return -EINVAL;
	(void)take_byte(&text, "Z"); /* it is UTC anyway */
	if (*text)
		return -EINVAL;
	tm.tm_year = (int)year - 1900;
	tm.tm_mon--;
	given = tm;
	*ret = timegm(&tm);
	/* timegm takes the 31st of April for the 1st of May. */
	return tm.tm_mday == given.tm_mday ? 0 : -EINVAL;
}

static int take_id(const char **text, uint32_t *ret)
{
	int64_t n;

	if (take_number(text, 10, &n) < 0 || n >= UINT32_MAX)
		return -EINVAL;
	*ret = (uint32_t)n;
	return 0;
}

int build_parse_owner(const char *text, struct tree_options *ret)
{
	uint32_t uid = 0, gid = 0;
	bool has_uid = *text != ':', has_gid = false;

	if (has_uid && take_id(&text, &uid) < 0)
		return -EINVAL;
	if (take_byte(&text, ":")) {
		has_gid = true;
		if (take_id(&text, &gid) < 0)
			return -EINVAL;
	}
	if (*text)
		return -EINVAL;
	ret->set_uid = has_uid;
	ret->uid = uid;
	ret->set_gid = has_gid;
	ret->gid = gid;
	return 0;
}

int build_parse_size(const char *text, uint32_t *ret)
{
	int64_t n;

	if (take_number(&text, 8, &n) < 0)
		return -EINVAL;
	if (take_byte(&text, "kK"))
		n <<= 10;
	else if (take_byte(&text, "mM"))
		n <<= 20;
	if (*text || n < LAYOUT_FRAME_MIN || n > LAYOUT_FRAME_MAX ||
		(n & (n - 1)))
		return -EINVAL;
	*ret = (uint32_t)n;
	return 0;
}

void build_patterns_done(struct build_patterns *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->items[i]);
	free(p->items);
	*p = (struct build_patterns){0};
}

static int add_pattern(struct build_patterns *p, const char *text)
{
	if (p->count == p->cap) {
		size_t cap = p->cap ? p->cap * 2 : 16;
		char **items = reallocarray(p->items, cap, sizeof(*items));

		if (!items)
			return -ENOMEM;
		p->items = items;
		p->cap = cap;
	}

	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	p->items[p->count++] = copy;
	return 0;
}

static int add_file(struct build_patterns *p, const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	_cleanup_free_ char *line = NULL;
	size_t room = 0;
	ssize_t len;
	int r = 0;

	if (!f)
		return -errno;
	while (r == 0 && (len = getline(&line, &room, f)) >= 0) {
		if (len && line[len - 1] == '\n')
			line[--len] = '\0';
		if (len && line[0] != '#')
			r = add_pattern(p, line);
	}
	return r == 0 && ferror(f) ? -EIO : r;
}

static int collect_patterns(
	const struct build_options *o, struct build_patterns *p)
{
	for (size_t i = 0; i < o->exclude.count; i++) {
		if (add_pattern(p, o->exclude.items[i]) < 0)
			return fail(EXIT_SYSTEM, "out of memory");
	}
	for (size_t i = 0; i < o->exclude_from.count; i++) {
		int r = add_file(p, o->exclude_from.items[i]);

		if (r < 0)
			return fail(exit_code_of(r),
				"read patterns from %s: %s",
				o->exclude_from.items[i], strerror(-r));
	}
	return EXIT_OK;
}

static int apply_time(const struct command *self, const struct build_options *o,
	struct tree_options *tree)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");

	if (o->mtime) {
		tree->clamp_mtime = true;
		if (build_parse_time(o->mtime, &tree->mtime) < 0)
			return opt_misuse(self,
				"--mtime: '%s' is no time like 2026-01-31, "
				"2026-01-31T23:59:59 or @1769903999",
				o->mtime);
	} else if (epoch && *epoch) {
		tree->clamp_mtime = true;
		if (parse_seconds(epoch, &tree->mtime) < 0)
			return opt_misuse(self,
				"SOURCE_DATE_EPOCH: '%s' is no number of "
				"seconds",
				epoch);
	}
	return EXIT_OK;
}

int build_options_apply(const struct command *self,
	const struct build_options *o, struct build_patterns *patterns,
	struct tree_options *tree, struct pack_options *pack)
{
	if (o->owner_names && o->numeric_owner)
		return opt_misuse(
			self, "--owner-names and --numeric-owner contradict");
	if (o->owner && build_parse_owner(o->owner, tree) < 0)
		return opt_misuse(self,
			"--owner: '%s' is no number of a user, or two: UID:GID",
			o->owner);
	pack->frame_size = LAYOUT_FRAME_DEFAULT;
	if (o->frame_size &&
		build_parse_size(o->frame_size, &pack->frame_size) < 0)
		return opt_misuse(self,
			"--frame-size: '%s' is no power of two from 4K to 1M",
			o->frame_size);

	int code = apply_time(self, o, tree);

	if (code == EXIT_OK)
		code = collect_patterns(o, patterns);
	if (code != EXIT_OK)
		return code;
	tree->exclude = (const char *const *)patterns->items;
	tree->exclude_count = patterns->count;
	tree->numeric = !o->owner_names;
	tree->one_file_system = o->one_file_system;
	return EXIT_OK;
}
