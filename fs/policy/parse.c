/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy from YAML, event by event: what is expected at each place is known,
 * so nothing is built that is not, and no input makes this deep or large.
 * Anchors and aliases are refused: no policy needs them, and they can make a
 * short text mean a very long one.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

#include "fs/base/io.h"
#include "fs/policy/internal.h"

struct parse {
	yaml_parser_t yaml;
	yaml_event_t event; /* the current one */
	bool has_event;
	const char *text, *file;
	size_t len;
	struct policy *policy;
	struct diag *diag;
};

/* Where the current event begins, for a message: lines count from 1. */
static int bad_at(
	struct parse *p, yaml_mark_t at, const char *what, const char *why)
{
	return diag_set(p->diag, -EBADMSG, "%s:%zu:%zu: %s%s%s", p->file,
		at.line + 1, at.column + 1, what, *what ? ": " : "", why);
}

static int bad(struct parse *p, const char *what, const char *why)
{
	return bad_at(p, p->event.start_mark, what, why);
}

static int next(struct parse *p)
{
	if (p->has_event)
		yaml_event_delete(&p->event);
	p->has_event = yaml_parser_parse(&p->yaml, &p->event);
	if (!p->has_event) {
		const char *why = p->yaml.problem ? p->yaml.problem : "no YAML";

		if (p->yaml.error == YAML_MEMORY_ERROR)
			return -ENOMEM;
		return bad_at(p, p->yaml.problem_mark, "no valid YAML", why);
	}
	if (p->event.type == YAML_ALIAS_EVENT)
		return bad(p, "", "aliases are not used in a policy");
	return 0;
}

/* The value of a scalar; NULL, with the line, when it is none. */
static const char *scalar(struct parse *p, const char *expected)
{
	const char *text = (const char *)p->event.data.scalar.value;

	if (p->event.type != YAML_SCALAR_EVENT) {
		(void)bad(p, "expected", expected);
		return NULL;
	}
	if (p->event.data.scalar.anchor) {
		(void)bad(p, "", "anchors are not used in a policy");
		return NULL;
	}
	if (strlen(text) != p->event.data.scalar.length) {
		(void)bad(p, "", "a NUL byte in a value");
		return NULL;
	}
	return text;
}

static int begin_mapping(struct parse *p, const char *expected)
{
	if (p->event.type != YAML_MAPPING_START_EVENT)
		return bad(p, "expected", expected);
	if (p->event.data.mapping_start.anchor)
		return bad(p, "", "anchors are not used in a policy");
	return 0;
}

/* The whole line of a mark, for messages that quote it. */
static char *line_of(const struct parse *p, yaml_mark_t at)
{
	const char *begin = p->text + (at.index < p->len ? at.index : p->len);
	const char *end = p->text + p->len;
	const char *stop;

	while (begin > p->text && begin[-1] != '\n')
		begin--;
	while (begin < end && (*begin == ' ' || *begin == '\t'))
		begin++;
	stop = memchr(begin, '\n', (size_t)(end - begin));
	return strndup(begin, (size_t)((stop ? stop : end) - begin));
}

/* "key: value" pairs of one path, up to the end of its mapping. */
static int read_keys(struct parse *p, struct policy_draft *d)
{
	int r = begin_mapping(p, "a mapping such as {source: tmp, size: 64M}");

	while (r == 0 && (r = next(p)) == 0 &&
		p->event.type != YAML_MAPPING_END_EVENT) {
		const char *why = NULL, *text = scalar(p, "a key");
		enum policy_key key;
		char name[64];

		if (!text)
			return -EBADMSG;
		(void)snprintf(name, sizeof(name), "%s", text);
		if (draft_key(d, text, &key, &why) < 0)
			return bad(p, name, why);
		r = next(p);
		if (r < 0)
			return r;
		text = scalar(p, "a value");
		if (!text)
			return -EBADMSG;
		r = draft_set(d, key, text, &why);
		if (r == -EEXIST)
			return bad(p, name, why);
		if (r == -EINVAL)
			return diag_set(p->diag, -EBADMSG,
				"%s:%zu:%zu: %s: '%s' is not %s", p->file,
				p->event.start_mark.line + 1,
				p->event.start_mark.column + 1, name, text,
				why);
	}
	return r;
}

/* Platform.sh once wrote "shared:files/NAME". */
static int read_old_upsun(struct parse *p, struct policy_draft *d)
{
	const char *text = scalar(p, "a mapping such as {source: storage}");
	const char *why = NULL;
	int r;

	if (!text)
		return -EBADMSG;
	if (strncmp(text, "shared:files", 12) != 0 ||
		(text[12] && text[12] != '/'))
		return bad(p, text,
			"expected a mapping such as {source: storage, "
			"source_path: uploads}");
	r = draft_set(d, KEY_SOURCE, "storage", &why);
	if (r == 0)
		r = draft_set(
			d, KEY_SOURCE_PATH, text[12] ? text + 13 : "", &why);
	return r == -EINVAL ? bad(p, text, why) : r;
}

static int read_path(struct parse *p, struct policy_draft *d, bool upsun)
{
	const char *why = NULL, *path = scalar(p, "a path");
	yaml_mark_t at = p->event.start_mark;
	int r;

	if (!path)
		return -EBADMSG;
	r = draft_begin(d, path, upsun, &why);
	if (r == -EINVAL)
		return bad(p, path, why);
	if (r < 0)
		return r;
	d->p.line = (unsigned)at.line + 1;
	d->p.text = line_of(p, at);
	if (!d->p.text)
		return -ENOMEM;
	r = next(p);
	if (r == 0)
		r = upsun && p->event.type == YAML_SCALAR_EVENT
			    ? read_old_upsun(p, d)
			    : read_keys(p, d);
	if (r < 0)
		return r;
	r = draft_end(d, p->policy, &why);
	return r == -EINVAL || r == -E2BIG
		       ? bad_at(p, at, d->p.path ? d->p.path : "a path", why)
		       : r;
}

static int read_block(struct parse *p, bool upsun)
{
	int r = begin_mapping(p, "paths with what each of them is");

	while (r == 0 && (r = next(p)) == 0 &&
		p->event.type != YAML_MAPPING_END_EVENT) {
		struct policy_draft d = {0};

		r = read_path(p, &d, upsun);
		draft_done(&d);
	}
	return r;
}

static int read_document(struct parse *p)
{
	bool seen[2] = {false};
	int r = begin_mapping(p, "a block 'writable:' (or 'mounts:')");

	while (r == 0 && (r = next(p)) == 0 &&
		p->event.type != YAML_MAPPING_END_EVENT) {
		const char *name = scalar(p, "'writable' or 'mounts'");
		bool upsun;

		if (!name)
			return -EBADMSG;
		upsun = strcmp(name, "mounts") == 0;
		if (!upsun && strcmp(name, "writable") != 0)
			return bad(p, name,
				"a policy has the blocks 'writable' and "
				"'mounts' only");
		if (seen[upsun])
			return bad(p, name, "this block is there twice");
		seen[upsun] = true;
		r = next(p);
		if (r == 0)
			r = read_block(p, upsun);
	}
	return r;
}

/* stream start, document start, ..., document end, stream end */
static int read_stream(struct parse *p)
{
	int r = next(p);

	if (r == 0)
		r = next(p);
	if (r == 0 && p->event.type == YAML_STREAM_END_EVENT)
		return bad(p, "", "the policy is empty: expected 'writable:'");
	if (r == 0)
		r = next(p);
	if (r == 0)
		r = read_document(p);
	if (r == 0)
		r = next(p);
	if (r == 0)
		r = next(p);
	if (r == 0 && p->event.type != YAML_STREAM_END_EVENT)
		return bad(p, "", "a second document: a policy is one");
	return r;
}

/* Two blocks, or one, may name a path twice: found here, with both lines. */
static int finish(struct parse *p)
{
	struct diag line = {.text = ""};
	int r = policy_finish(p->policy, &line);

	if (r < 0 && line.text[0])
		(void)diag_set(p->diag, r, "%s:%s", p->file, line.text);
	return r;
}

int policy_parse(const char *text, size_t len, const char *file,
	struct policy *ret, struct diag *diag)
{
	struct parse p = {.text = text,
		.len = len,
		.file = file,
		.policy = ret,
		.diag = diag};
	int r;

	*ret = (struct policy){0};
	if (len > POLICY_TEXT_MAX)
		return diag_set(diag, -E2BIG,
			"%s: a policy of more than %u bytes", file,
			POLICY_TEXT_MAX);
	if (!yaml_parser_initialize(&p.yaml))
		return diag_errno(diag, -ENOMEM, "%s", file);
	yaml_parser_set_encoding(&p.yaml, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p.yaml, (const unsigned char *)text, len);
	r = read_stream(&p);
	if (r == 0)
		r = finish(&p);
	if (p.has_event)
		yaml_event_delete(&p.event);
	yaml_parser_delete(&p.yaml);
	if (r < 0)
		policy_done(ret);
	return r == -ENOMEM ? diag_errno(diag, r, "%s", file) : r;
}

int policy_read(const char *file, struct policy *ret, struct diag *diag)
{
	/* O_NONBLOCK: a FIFO of that name must not hold us. */
	_cleanup_close_ int fd =
		open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	ssize_t n;

	*ret = (struct policy){0};
	if (fd < 0 || fstat(fd, &st) < 0)
		return diag_errno(diag, -errno, "policy %s", file);
	if (!S_ISREG(st.st_mode))
		return diag_set(diag, -EINVAL,
			"policy %s: it is not a regular file", file);
	if (st.st_size > POLICY_TEXT_MAX)
		return diag_set(diag, -E2BIG,
			"%s: a policy of more than %u bytes", file,
			POLICY_TEXT_MAX);
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return diag_errno(diag, -ENOMEM, "policy %s", file);
	n = io_read(fd, text, (size_t)st.st_size);
	if (n < 0)
		return diag_errno(diag, (int)n, "reading the policy %s", file);
	return policy_parse(text, (size_t)n, file, ret, diag);
}
