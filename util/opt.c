/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options from a table; see opt.h. Long names are never abbreviated: a script
 * that relies on an abbreviation breaks when a longer option comes.
 */
#include "util/opt.h"

#include <stdarg.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "util/cmd.h"
#include "util/exit.h"
#include "util/help.h"
#include "util/suggest.h"

/* The walk over argv. */
struct parse {
	const struct command *cmd;
	char **argv;
	int argc;
	int next; /* the word after the one being looked at */
	char *values;
	int exit;
};

enum {
	PARSE_GO_ON = 0,
	PARSE_STOP = -1, /* p->exit says how */
};

static int stop(struct parse *p, int code)
{
	p->exit = code;
	return PARSE_STOP;
}

/* "--level" or, for an option that only has a letter, "-l". */
static const char *spelled(const struct opt *o, char ret[64])
{
	if (o->name)
		(void)snprintf(ret, 64, "--%s", o->name);
	else
		(void)snprintf(ret, 64, "-%c", o->letter);
	return ret;
}

/* The table ends with an entry that has neither a name nor a letter. */
static bool is_opt(const struct opt *o)
{
	return o && (o->name || o->letter);
}

static const struct opt *find_long(
	const struct command *cmd, const char *name, size_t len)
{
	for (const struct opt *o = cmd->options; is_opt(o); o++) {
		if (o->name && strlen(o->name) == len &&
			memcmp(o->name, name, len) == 0)
			return o;
	}
	return NULL;
}

static const struct opt *find_letter(const struct command *cmd, char letter)
{
	for (const struct opt *o = cmd->options; is_opt(o); o++) {
		if (o->letter && o->letter == letter)
			return o;
	}
	return NULL;
}

/* Decimal digits with an optional minus, the whole text, in range; no spaces,
 * no plus, no 0x: what strtoll would let pass is more often a mistake. */
static int parse_number(
	const char *text, int64_t min, int64_t max, int64_t *ret)
{
	bool negative = *text == '-';
	int64_t value = 0;

	text += negative;
	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		int digit = *text - '0';

		if (digit < 0 || digit > 9)
			return -EINVAL;
		if (__builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(
				value, negative ? -digit : digit, &value))
			return -ERANGE;
	}
	if (value < min || value > max)
		return -ERANGE;
	*ret = value;
	return 0;
}

static int store_number(
	struct parse *p, const struct opt *o, const char *value, int64_t *ret)
{
	char name[64];

	if (parse_number(value, o->min, o->max, ret) == 0)
		return PARSE_GO_ON;
	if (o->max == INT64_MAX)
		return stop(
			p, opt_misuse(p->cmd,
				   "%s: '%s' is no number of at least %lld",
				   spelled(o, name), value, (long long)o->min));
	return stop(
		p, opt_misuse(p->cmd, "%s: '%s' is no number from %lld to %lld",
			   spelled(o, name), value, (long long)o->min,
			   (long long)o->max));
}

static int store_list(struct parse *p, struct opt_list *l, const char *value)
{
	const char **items =
		reallocarray(l->items, l->count + 1, sizeof(*items));

	if (!items)
		return stop(p, fail(EXIT_SYSTEM, "out of memory"));
	items[l->count] = value;
	l->items = items;
	l->count++;
	return PARSE_GO_ON;
}

/* value is NULL for a flag and only for a flag. */
static int store(struct parse *p, const struct opt *o, const char *value)
{
	void *at = p->values + o->offset;

	switch (o->kind) {
	case OPT_FLAG: *(bool *)at = true; return PARSE_GO_ON;
	case OPT_STRING: *(const char **)at = value; return PARSE_GO_ON;
	case OPT_LIST: return store_list(p, at, value);
	case OPT_NUMBER: return store_number(p, o, value, at);
	}
	return PARSE_GO_ON;
}

/* The next word of the command line is the value of o. */
static int store_next(struct parse *p, const struct opt *o)
{
	char name[64];

	if (p->next == p->argc)
		return stop(p, opt_misuse(p->cmd, "%s needs a value (%s)",
				       spelled(o, name), o->value));
	return store(p, o, p->argv[p->next++]);
}

static int unknown_long(struct parse *p, const char *name, size_t len)
{
	_cleanup_free_ char *typed = strndup(name, len);
	struct suggest near = {.typed = typed ? typed : ""};

	for (const struct opt *o = p->cmd->options; is_opt(o); o++) {
		if (o->name)
			suggest_offer(&near, o->name);
	}
	suggest_offer(&near, "help");
	if (near.best)
		return stop(
			p, opt_misuse(p->cmd,
				   "unknown option --%s (did you mean --%s?)",
				   near.typed, near.best));
	return stop(p, opt_misuse(p->cmd, "unknown option --%s", near.typed));
}

/* word is what follows "--". */
static int parse_long(struct parse *p, const char *word)
{
	size_t len = strcspn(word, "=");
	const char *value = word[len] ? word + len + 1 : NULL;
	const struct opt *o = find_long(p->cmd, word, len);
	bool help = !o && len == 4 && memcmp(word, "help", 4) == 0;

	if (!o && !help)
		return unknown_long(p, word, len);
	if (value && (help || o->kind == OPT_FLAG))
		return stop(p, opt_misuse(p->cmd, "--%.*s takes no value",
				       (int)len, word));
	if (help) {
		help_command(stdout, p->cmd);
		return stop(p, EXIT_OK);
	}
	if (value || o->kind == OPT_FLAG)
		return store(p, o, value);
	return store_next(p, o);
}

/* word is what follows "-": flags in a row, the last may take a value. */
static int parse_letters(struct parse *p, const char *word)
{
	for (; *word; word++) {
		const struct opt *o = find_letter(p->cmd, *word);
		int r;

		if (!o)
			return stop(p, opt_misuse(p->cmd, "unknown option -%c",
					       *word));
		if (o->kind != OPT_FLAG)
			return word[1] ? store(p, o, word + 1)
				       : store_next(p, o);
		r = store(p, o, NULL);
		if (r < 0)
			return r;
	}
	return PARSE_GO_ON;
}

/* Whoever returns because parsing failed has nothing to give back. */
static void drop_lists(struct parse *p)
{
	for (const struct opt *o = p->cmd->options; is_opt(o); o++) {
		if (o->kind == OPT_LIST)
			opt_list_done((void *)(p->values + o->offset));
	}
}

int opt_parse(const struct command *cmd, int argc, char **argv, void *values,
	int *ret_exit)
{
	struct parse p = {
		.cmd = cmd,
		.argv = argv,
		.argc = argc,
		.next = 1,
		.values = values,
	};
	int operands = 0, r = PARSE_GO_ON;

	while (r == PARSE_GO_ON && p.next < argc) {
		char *word = argv[p.next++];

		if (strcmp(word, "--") == 0)
			break;
		if (word[0] != '-' || !word[1])
			argv[++operands] = word;
		else if (word[1] == '-')
			r = parse_long(&p, word + 2);
		else
			r = parse_letters(&p, word + 1);
	}
	if (r != PARSE_GO_ON) {
		drop_lists(&p);
		*ret_exit = p.exit;
		return -1;
	}
	while (p.next < argc)
		argv[++operands] = argv[p.next++];
	return operands;
}

void opt_list_done(struct opt_list *l)
{
	free(l->items);
	*l = (struct opt_list){0};
}

int opt_misuse(const struct command *cmd, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	return fail(EXIT_USAGE, "%s; try 'stele %s --help'",
		text ? text : "wrong arguments", cmd->name);
}
