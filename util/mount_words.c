/* SPDX-License-Identifier: Apache-2.0 */
/* The words of -o and what they do; see mount_words.h. */
#include "util/mount_words.h"

#include <string.h>

#include "util/amount.h"
#include "util/cmd.h"
#include "util/exit.h"
#include "util/out.h"

#define TEXT_MAX (64u << 10)
#define LABEL_MAX 255

/* Bytes a second that one process and that one cgroup may add. */
#define PROCESS_RATE_DEFAULT (UINT64_C(4) << 20)
#define GROUP_RATE_FACTOR 4

/* Less would be full before the first attempt. */
#define LEDGER_MAX_LEAST (UINT64_C(1) << 20)

/* One setting while it is taken. */
struct taking {
	const struct command *self;
	struct mount_words *w;
	struct mount_options *opt;
	const char *as; /* how the user spelled its name: "--on-full" */
};

static int take_ledger(const struct taking *t, const char *value)
{
	t->w->ledger = value;
	return EXIT_OK;
}

static int take_id(const struct taking *t, const char *value)
{
	t->opt->expect_id = &t->w->expect_id;
	if (digest_parse(value, &t->w->expect_id) == 0)
		return EXIT_OK;
	return opt_misuse(t->self,
		"%s: not an image id: '%s'; it has 64 hexadecimal digits",
		t->as, value);
}

/* A decimal number within bounds; -EINVAL. */
static int parse_number(const char *text, long min, long max, long *ret)
{
	char *end;

	errno = 0;
	*ret = strtol(text, &end, 10);
	return errno || end == text || *end || *ret < min || *ret > max
		       ? -EINVAL
		       : 0;
}

static int take_threads(const struct taking *t, const char *value)
{
	long n;

	if (parse_number(value, 1, 256, &n) < 0)
		return opt_misuse(t->self,
			"%s: not a number from 1 to 256: '%s'", t->as, value);
	t->opt->threads = (unsigned)n;
	return EXIT_OK;
}

static int take_cache(const struct taking *t, const char *value)
{
	long n;

	if (parse_number(value, 1, 65536, &n) < 0)
		return opt_misuse(t->self,
			"%s: not a number of MiB from 1 to 65536: '%s'", t->as,
			value);
	t->opt->cache_bytes = (size_t)n << 20;
	return EXIT_OK;
}

static int take_label(const struct taking *t, const char *value)
{
	size_t len = strlen(value);

	t->opt->label = value;
	if (len > 0 && len <= LABEL_MAX && out_is_utf8(value, len))
		return EXIT_OK;
	return opt_misuse(t->self, "%s: a label has 1 to %d bytes and is UTF-8",
		t->as, LABEL_MAX);
}

static int take_on_full(const struct taking *t, const char *value)
{
	static const char *const actions[] = {
		[LEDGER_AGGREGATE] = "aggregate",
		[LEDGER_BLOCK] = "block",
		[LEDGER_ROTATE] = "rotate",
		[LEDGER_HALT] = "halt",
	};

	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		if (strcmp(value, actions[i]) != 0)
			continue;
		t->opt->ledger_options.on_full = (enum ledger_on_full)i;
		return EXIT_OK;
	}
	return opt_misuse(t->self,
		"%s: not aggregate, block, rotate or halt: '%s'", t->as, value);
}

static int take_max(const struct taking *t, const char *value)
{
	uint64_t n;

	if (amount_size(value, &n) < 0)
		return opt_misuse(t->self, "%s: not " AMOUNT_SIZES ": '%s'",
			t->as, value);
	if (n > 0 && n < LEDGER_MAX_LEAST)
		return opt_misuse(t->self,
			"%s: less than 1M is full from the start: '%s'", t->as,
			value);
	t->opt->ledger_options.max_bytes = n;
	return EXIT_OK;
}

static int take_keep(const struct taking *t, const char *value)
{
	if (amount_span(value, &t->opt->ledger_options.keep_seconds) == 0)
		return EXIT_OK;
	return opt_misuse(
		t->self, "%s: not " AMOUNT_SPANS ": '%s'", t->as, value);
}

static int take_budget(const struct taking *t, const char *value)
{
	struct ledger_options *l = &t->opt->ledger_options;
	_cleanup_free_ char *first = strdup(value);

	if (!first)
		return fail(EXIT_SYSTEM, "out of memory");

	char *second = strchr(first, ':');

	if (second)
		*second++ = '\0';
	if (amount_size(first, &l->process_rate) < 0 ||
		(second && amount_size(second, &l->group_rate) < 0))
		return opt_misuse(t->self,
			"%s: not RATE or RATE:GROUP_RATE, each " AMOUNT_SIZES
			" a second: '%s'",
			t->as, value);
	if (!second && __builtin_mul_overflow(l->process_rate,
			       GROUP_RATE_FACTOR, &l->group_rate))
		l->group_rate = UINT64_MAX;
	return EXIT_OK;
}

/* Lists end with a NULL that is not counted. */
static int add_item(struct opt_list *l, const char *item)
{
	const char **more =
		reallocarray(l->items, l->count + 2, sizeof(const char *));

	if (!more)
		return fail(EXIT_SYSTEM, "out of memory");
	l->items = more;
	l->items[l->count++] = item;
	l->items[l->count] = NULL;
	return EXIT_OK;
}

/* "file:/var/x" is of the kind "file:"; a daemon works in "/", so a path must
 * not depend on where it was typed. */
static bool is_place(const char *value, const char *kind)
{
	size_t len = strlen(kind);

	return strncmp(value, kind, len) == 0 && value[len] == '/';
}

static int take_anchor(const struct taking *t, const char *value)
{
	if (is_place(value, "file:") || is_place(value, "exec:") ||
		is_place(value, "syslog:") || strcmp(value, "syslog") == 0 ||
		strcmp(value, "stdout") == 0)
		return add_item(&t->w->anchors, value);
	return opt_misuse(t->self,
		"%s: not file:PATH, exec:PATH, syslog or stdout, with an "
		"absolute PATH: '%s'",
		t->as, value);
}

static int take_alert(const struct taking *t, const char *value)
{
	if (is_place(value, "exec:"))
		return add_item(&t->w->alerts, value);
	return opt_misuse(t->self,
		"%s: not exec:PATH with an absolute PATH: '%s'", t->as, value);
}

static int take_metrics(const struct taking *t, const char *value)
{
	t->opt->ledger_options.metrics = value;
	if (is_place(value, "file:") || is_place(value, "unix:"))
		return EXIT_OK;
	return opt_misuse(t->self,
		"%s: not file:PATH or unix:PATH with an absolute PATH: '%s'",
		t->as, value);
}

static int take_policy(const struct taking *t, const char *value)
{
	t->w->policy = value;
	return EXIT_OK;
}

static int take_state(const struct taking *t, const char *value)
{
	t->w->state = value;
	return EXIT_OK;
}

static int take_writable(const struct taking *t, const char *value)
{
	return add_item(&t->w->writable, value);
}

static int take_on_change(const struct taking *t, const char *value)
{
	static const char *const words[] = {
		[ATTACH_KEEP] = "keep",
		[ATTACH_RESET] = "reset",
		[ATTACH_REFUSE] = "refuse",
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcmp(value, words[i]) != 0)
			continue;
		t->w->on_change = (enum attach_change)i;
		return EXIT_OK;
	}
	return opt_misuse(
		t->self, "%s: not keep, reset or refuse: '%s'", t->as, value);
}

typedef int (*take_fn)(const struct taking *t, const char *value);

static take_fn find_setting(const char *name, size_t len)
{
	static const struct {
		const char *name;
		take_fn take;
	} settings[] = {
		{"alert", take_alert},
		{"anchor", take_anchor},
		{"budget", take_budget},
		{"cache", take_cache},
		{"id", take_id},
		{"label", take_label},
		{"ledger", take_ledger},
		{"ledger_keep", take_keep},
		{"ledger_max", take_max},
		{"metrics", take_metrics},
		{"on_full", take_on_full},
		{"on_image_change", take_on_change},
		{"policy", take_policy},
		{"state", take_state},
		{"threads", take_threads},
		{"writable", take_writable},
	};

	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		if (strlen(settings[i].name) == len &&
			memcmp(name, settings[i].name, len) == 0)
			return settings[i].take;
	}
	return NULL;
}

/* Words that say what is so anyway; those of fstab that are for mount(8) have
 * been taken out by the mount helper. */
static bool is_given(const char *word)
{
	static const char *const given[] = {"rw", "nosuid", "nodev", "exec",
		"atime", "noatime", "relatime", "async"};

	for (size_t i = 0; i < ARRAY_LEN(given); i++) {
		if (strcmp(word, given[i]) == 0)
			return true;
	}
	return false;
}

static int take_flag(struct mount_options *opt, const char *word)
{
	const struct {
		const char *word;
		bool *flag;
		bool value;
	} flags[] = {
		{"allow_other", &opt->allow_other, true},
		{"noallow_other", &opt->allow_other, false},
		{"suid", &opt->suid, true},
		{"noexec", &opt->noexec, true},
		{"nonempty", &opt->nonempty, true},
		{"verify=always", &opt->verify_always, true},
		{"verify=once", &opt->verify_always, false},
		{"durability=fsync", &opt->ledger_options.fsync, true},
		{"durability=crash", &opt->ledger_options.fsync, false},
		{"recover", &opt->ledger_options.recover, true},
	};

	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		if (strcmp(word, flags[i].word) == 0) {
			*flags[i].flag = flags[i].value;
			return 0;
		}
	}
	return -ENOENT;
}

static int take_word(struct taking *t, const char *word)
{
	const char *equals = strchr(word, '=');
	char as[64];

	if (*word == '\0' || is_given(word) || take_flag(t->opt, word) == 0)
		return EXIT_OK;
	if (strcmp(word, "ro") == 0)
		return opt_misuse(t->self,
			"-o ro: the kernel would refuse writes before they "
			"could be recorded; the image is immutable without it");
	if (strcmp(word, "dev") == 0)
		return opt_misuse(t->self,
			"-o dev: device nodes of an image are never usable; "
			"mount a /dev over it");

	take_fn take =
		equals ? find_setting(word, (size_t)(equals - word)) : NULL;

	if (!take)
		return opt_misuse(t->self, "unknown mount option '%s'", word);
	(void)snprintf(
		as, sizeof(as), "-o %.*s", (int)(equals + 1 - word), word);
	t->as = as;
	return take(t, equals + 1);
}

static int take_words(struct taking *t, const struct opt_list *lists)
{
	struct mount_words *w = t->w;
	char *next = NULL;

	for (size_t i = 0; i < lists->count; i++) {
		if (buf_printf(&w->text, "%s%s", i ? "," : "",
			    lists->items[i]) < 0)
			return fail(EXIT_SYSTEM, "-o: too long");
	}
	w->copy = strndup(w->text.len ? w->text.data : "", w->text.len);
	if (!w->copy)
		return fail(EXIT_SYSTEM, "out of memory");
	next = w->copy;
	for (char *word; (word = strsep(&next, ","));) {
		int code = take_word(t, word);

		if (code != EXIT_OK)
			return code;
	}
	return EXIT_OK;
}

/* The long options: as words, with values that may hold commas. */
static int take_option(struct taking *t, const char *option, const char *word,
	const char *value)
{
	if (!value)
		return EXIT_OK;
	t->as = option;
	if (buf_printf(&t->w->text, "%s%s=%s", t->w->text.len ? "," : "", word,
		    value) < 0)
		return fail(EXIT_SYSTEM, "%s: too long", option);
	return find_setting(word, strlen(word))(t, value);
}

static int take_options(struct taking *t, const struct mount_values *v)
{
	int code = take_option(t, "--ledger", "ledger", v->ledger);

	if (code == EXIT_OK)
		code = take_option(
			t, "--ledger-max", "ledger_max", v->ledger_max);
	if (code == EXIT_OK)
		code = take_option(t, "--on-full", "on_full", v->on_full);
	if (code == EXIT_OK)
		code = take_option(t, "--policy", "policy", v->policy);
	if (code == EXIT_OK)
		code = take_option(t, "--state", "state", v->state);
	if (code == EXIT_OK)
		code = take_option(t, "--on-image-change", "on_image_change",
			v->on_image_change);
	for (size_t i = 0; code == EXIT_OK && i < v->writable.count; i++)
		code = take_option(
			t, "--writable", "writable", v->writable.items[i]);
	if (code == EXIT_OK)
		code = take_option(t, "--metrics", "metrics", v->metrics);
	for (size_t i = 0; code == EXIT_OK && i < v->anchors.count; i++)
		code = take_option(
			t, "--anchor", "anchor", v->anchors.items[i]);
	for (size_t i = 0; code == EXIT_OK && i < v->alerts.count; i++)
		code = take_option(t, "--alert", "alert", v->alerts.items[i]);
	if (code == EXIT_OK && v->recover) {
		t->opt->ledger_options.recover = true;
		if (buf_printf(&t->w->text, "%srecover",
			    t->w->text.len ? "," : "") < 0)
			return fail(EXIT_SYSTEM, "--recover: too long");
	}
	return code;
}

/* What no word can see for itself. */
static int check_together(const struct taking *t, const struct mount_values *v)
{
	const struct opt_list *anchors = &t->w->anchors;

	for (size_t i = 0; i < anchors->count && !v->foreground; i++) {
		if (strcmp(anchors->items[i], "stdout") == 0)
			return opt_misuse(t->self,
				"anchor stdout: a daemon has no standard "
				"output; add --foreground, or give another "
				"place");
	}
	return EXIT_OK;
}

int mount_words_parse(const struct command *self, const struct mount_values *v,
	struct mount_words *w, struct mount_options *opt)
{
	struct ledger_options *l = &opt->ledger_options;
	struct taking t = {.self = self, .w = w, .opt = opt};

	w->text.max = TEXT_MAX;
	l->process_rate = PROCESS_RATE_DEFAULT;
	l->group_rate = PROCESS_RATE_DEFAULT * GROUP_RATE_FACTOR;

	int code = take_words(&t, &v->options);

	if (code == EXIT_OK)
		code = take_options(&t, v);
	if (code == EXIT_OK)
		code = check_together(&t, v);
	if (code == EXIT_OK && buf_add(&w->text, "", 1) < 0)
		code = fail(EXIT_SYSTEM, "the mount options are too long");
	if (code != EXIT_OK)
		return code;
	opt->text = w->text.data;
	l->anchors = w->anchors.items;
	l->alerts = w->alerts.items;
	return EXIT_OK;
}

void mount_words_done(struct mount_words *w)
{
	opt_list_done(&w->anchors);
	opt_list_done(&w->alerts);
	opt_list_done(&w->writable);
	buf_done(&w->text);
	free(w->copy);
	*w = (struct mount_words){0};
}
