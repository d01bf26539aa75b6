/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints from elsewhere; see expect.h. */
#include "fs/audit/expect.h"

#include <fcntl.h>
#include <string.h>

#include "fs/base/io.h"
#include "fs/seal/note.h"

/* What a signature line begins with: an em dash and a space. */
#define DASH "\xe2\x80\x94 "

static const char word[] = "stele checkpoint ";

/* The bytes being read, and where in them. */
struct cursor {
	struct expect *expect;
	const char *next, *end;
	const char *name; /* of the file */
	uint64_t line;
};

struct line {
	const char *at;
	size_t len;
};

void expect_init(struct expect *e)
{
	*e = (struct expect){0};
	buf_init(&e->text, EXPECT_FILE_MAX);
}

void expect_done(struct expect *e)
{
	buf_done(&e->text);
	free(e->all);
	*e = (struct expect){0};
}

/* ---- lines ---- */

static bool next_line(const char **at, const char *end, struct line *ret)
{
	if (*at == end)
		return false;

	const char *stop = memchr(*at, '\n', (size_t)(end - *at));

	ret->at = *at;
	ret->len = (size_t)((stop ? stop : end) - *at);
	*at = stop ? stop + 1 : end;
	if (ret->len > 0 && ret->at[ret->len - 1] == '\r')
		ret->len--;
	return true;
}

static bool begins(const struct line *l, const char *with)
{
	size_t len = strlen(with);

	return l->len >= len && memcmp(l->at, with, len) == 0;
}

/* Cut the text up to the next space off. */
static struct line take_word(struct line *l)
{
	const char *space = memchr(l->at, ' ', l->len);
	size_t len = space ? (size_t)(space - l->at) : l->len;
	struct line first = {l->at, len};

	l->at += len + (space != NULL);
	l->len -= len + (space != NULL);
	return first;
}

/* ---- notes ---- */

static int grow(struct expect *e)
{
	size_t cap = e->cap ? 2 * e->cap : 16;
	struct expect_one *all = reallocarray(e->all, cap, sizeof(*all));

	if (!all)
		return -ENOMEM;
	e->all = all;
	e->cap = cap;
	return 0;
}

/* A note was appended to the text from `at` on: is it a checkpoint? */
static int keep(struct cursor *c, size_t at, struct diag *diag)
{
	struct expect *e = c->expect;
	struct expect_one one = {.at = at, .len = e->text.len - at};
	struct note note;
	int r = note_parse(e->text.data + at, one.len, &note);

	if (r < 0 || note.kind != NOTE_CHECKPOINT)
		return diag_set(diag, -EBADMSG,
			"%s, line %llu: this checkpoint is malformed; give it "
			"as it was written",
			c->name, (unsigned long long)c->line);
	r = e->count == e->cap ? grow(e) : 0;
	if (r < 0)
		return diag_errno(diag, r, "reading %s", c->name);
	one.size = note.size;
	one.root = note.root;
	e->all[e->count++] = one;
	return 0;
}

static int too_much(const struct cursor *c, int r, struct diag *diag)
{
	return r == -E2BIG ? diag_set(diag, r,
				     "%s: more checkpoints than can be "
				     "compared at once; give its last lines",
				     c->name)
			   : diag_errno(diag, r, "reading %s", c->name);
}

/* "... stele checkpoint ORIGIN SIZE ROOT SIGNATURE-LINE" */
static int parse_one_line(struct cursor *c, struct line rest, struct diag *diag)
{
	struct buf *text = &c->expect->text;
	size_t at = text->len;
	int r = 0;

	for (int i = 0; r == 0 && i < 3; i++) {
		struct line part = take_word(&rest);

		r = buf_add(text, part.at, part.len);
		if (r == 0)
			r = buf_add(text, "\n", 1);
	}
	if (r == 0)
		r = buf_add(text, "\n", 1);
	if (r == 0)
		r = buf_add(text, rest.at, rest.len);
	if (r == 0)
		r = buf_add(text, "\n", 1);
	return r < 0 ? too_much(c, r, diag) : keep(c, at, diag);
}

/* Do four more lines make a checkpoint of this one? Their contents are for
 * note_parse to judge. A '+' is in a key, and so in another kind of note. */
static bool is_note(const struct cursor *c, const struct line *first)
{
	const char *at = c->next;
	struct line size, root, empty, signature;

	return first->len > 0 && !memchr(first->at, '+', first->len) &&
	       next_line(&at, c->end, &size) && next_line(&at, c->end, &root) &&
	       next_line(&at, c->end, &empty) && empty.len == 0 &&
	       next_line(&at, c->end, &signature) && begins(&signature, DASH);
}

static int add_line(struct cursor *c, const struct line *l)
{
	int r = buf_add(&c->expect->text, l->at, l->len);

	return r < 0 ? r : buf_add(&c->expect->text, "\n", 1);
}

static int parse_note(struct cursor *c, struct line l, struct diag *diag)
{
	size_t at = c->expect->text.len;
	const char *ahead;
	int r = add_line(c, &l);

	for (int i = 0; r == 0 && i < 3 && next_line(&c->next, c->end, &l); i++)
		r = add_line(c, &l);
	for (ahead = c->next;
		r == 0 && next_line(&ahead, c->end, &l) && begins(&l, DASH);
		c->next = ahead)
		r = add_line(c, &l);
	return r < 0 ? too_much(c, r, diag) : keep(c, at, diag);
}

static int parse_line(struct cursor *c, struct line l, struct diag *diag)
{
	const char *found = memmem(l.at, l.len, word, sizeof(word) - 1);

	if (found) {
		found += sizeof(word) - 1;
		l = (struct line){found, (size_t)(l.at + l.len - found)};
		return parse_one_line(c, l, diag);
	}
	return is_note(c, &l) ? parse_note(c, l, diag) : 0;
}

int expect_parse(struct expect *e, const char *text, size_t len,
	const char *name, struct diag *diag)
{
	struct cursor c = {.expect = e,
		.next = text,
		.end = text + len,
		.name = name,
		.line = 1};
	size_t before = e->count;
	const char *from = text;
	struct line l;
	int r = 0;

	while (r == 0 && next_line(&c.next, c.end, &l)) {
		/* A note took several. */
		for (; from < l.at; from++)
			c.line += *from == '\n';
		r = parse_line(&c, l, diag);
	}
	if (r == 0 && e->count == before)
		return diag_set(diag, -EBADMSG,
			"%s holds no checkpoint; give a signed note, or the "
			"line that an anchor wrote",
			name);
	return r;
}

int expect_read(struct expect *e, const char *path, struct diag *diag)
{
	_cleanup_buf_ struct buf text;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n = fd < 0 ? -errno : 1;

	buf_init(&text, EXPECT_FILE_MAX);
	while (n > 0) {
		enum { STEP = 1 << 16 };
		char *to = buf_reserve(&text, STEP);

		if (!to)
			return diag_set(diag, -E2BIG,
				"%s is too long; give its last lines", path);
		n = io_read(fd, to, STEP);
		if (n > 0)
			text.len += (size_t)n;
	}
	if (n < 0)
		return diag_errno(diag, (int)n, "reading %s", path);
	return expect_parse(
		e, text.data ? text.data : "", text.len, path, diag);
}

static int compare(const void *a, const void *b)
{
	const struct expect_one *x = a, *y = b;

	return x->size < y->size ? -1 : x->size > y->size;
}

void expect_sort(struct expect *e)
{
	if (e->count > 0)
		qsort(e->all, e->count, sizeof(*e->all), compare);
}
