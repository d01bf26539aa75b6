/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns of names; see glob.h. */
#include "fs/audit/glob.h"

#include <stdint.h>
#include <string.h>

/* Above all characters: bytes that are no UTF-8. */
#define STRAY 0x110000u

struct text {
	const uint8_t *at, *end;
};

static bool is_continuation(uint8_t byte)
{
	return (byte & 0xc0) == 0x80;
}

/* Bytes of the character that begins with this one; 1 for a stray byte. */
static size_t length_of(const struct text *t)
{
	uint8_t lead = *t->at;
	size_t len = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 1;

	if (lead > 0xf4 || len > (size_t)(t->end - t->at))
		return 1;
	for (size_t i = 1; i < len; i++)
		if (!is_continuation(t->at[i]))
			return 1;
	return len;
}

/* The next character, which there must be. */
static uint32_t next(struct text *t)
{
	static const uint8_t lead_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	size_t len = length_of(t);
	uint32_t c = *t->at;

	if (len == 1) {
		t->at++;
		return c < 0x80 ? c : STRAY + c;
	}
	c &= lead_bits[len];
	for (size_t i = 1; i < len; i++)
		c = c << 6 | (t->at[i] & 0x3f);
	t->at += len;
	return c;
}

/*
 * What follows '[': whether c is of the set. A ']' that comes first, and a '-'
 * that comes first or last, stand for themselves. False when the set has no
 * end; then nothing matches.
 */
static bool in_set(struct text *glob, uint32_t c)
{
	bool invert = false, seen = false, has_low = false;
	uint32_t low = 0;

	if (glob->at < glob->end && *glob->at == '^') {
		invert = true;
		glob->at++;
	}
	for (bool first = true; glob->at < glob->end; first = false) {
		uint32_t member = next(glob);

		if (member == ']' && !first)
			return seen != invert;
		if (member == '-' && has_low && glob->at < glob->end &&
			*glob->at != ']') {
			member = next(glob);
			seen = seen || (c >= low && c <= member);
			has_low = false;
			continue;
		}
		seen = seen || c == member;
		low = member;
		/* SQLite: "[]-a]" is no range, its first ']' is set apart. */
		has_low = !(first && member == ']');
	}
	return false;
}

static bool stands_for_itself(uint8_t byte)
{
	return byte != '*' && byte != '?' && byte != '[';
}

/* One character of the text against one element of the pattern that is no
 * star; moves on behind both when they match. */
static bool match_one(struct text *glob, struct text *text)
{
	struct text g = *glob, t = *text;

	if (*g.at < 0x80 && stands_for_itself(*g.at)) {
		if (*g.at != *t.at)
			return false;
		glob->at++;
		text->at++;
		return true;
	}

	uint32_t want = next(&g), c = next(&t);

	if (want == '[' ? !in_set(&g, c) : want != '?' && want != c)
		return false;
	*glob = g;
	*text = t;
	return true;
}

/*
 * The next place where what follows a star could match, from t on: where the
 * bytes are that stand for themselves there. Two characters are the same when
 * their bytes are, and no character begins inside of another, unless it is a
 * stray byte.
 */
static bool find_start(const struct text *glob, struct text *t)
{
	size_t left = (size_t)(t->end - t->at);
	size_t len = 0;

	if (!is_continuation(*glob->at))
		while (glob->at + len < glob->end &&
			stands_for_itself(glob->at[len]))
			len++;
	if (len == 0)
		return left > 0;
	t->at = memmem(t->at, left, glob->at, len);
	return t->at != NULL;
}

/*
 * Only the last star is ever tried again: when what stands between two stars
 * matches at its first place, no later place can make more of the rest match.
 */
static bool match_all(const struct glob *glob, const char *bytes, size_t len)
{
	const uint8_t *p = (const uint8_t *)glob->text;
	struct text g = {p, p + glob->len}, after_star = {0};
	struct text t = {(const uint8_t *)bytes, (const uint8_t *)bytes + len};
	struct text star_at = {0};

	for (;;) {
		if (g.at < g.end && *g.at == '*') {
			while (g.at < g.end && *g.at == '*')
				g.at++;
			if (g.at == g.end)
				return true;
			after_star = g;
			star_at = t;
			if (!find_start(&after_star, &star_at))
				return false;
			t = star_at;
			continue;
		}
		if (g.at == g.end && t.at == t.end)
			return true;
		if (g.at < g.end && t.at < t.end && match_one(&g, &t))
			continue;
		if (!after_star.at || star_at.at == star_at.end)
			return false;
		(void)next(&star_at); /* the star takes one more */
		if (!find_start(&after_star, &star_at))
			return false;
		g = after_star;
		t = star_at;
	}
}

/* Behind a set whose '[' is at this place. */
static const char *skip_set(const char *p)
{
	p += p[1] == '^' ? 2 : 1;
	if (*p == ']')
		p++;
	p += strcspn(p, "]");
	return *p ? p + 1 : p;
}

void glob_init(struct glob *g, const char *text)
{
	*g = (struct glob){
		.text = text,
		.len = strlen(text),
		.prefix = strcspn(text, "*?["),
		.run = text,
	};
	for (const char *p = text; *p;) {
		size_t len = strcspn(p, "*?[");

		if (len > g->run_len) {
			g->run = p;
			g->run_len = len;
		}
		p += len;
		if (*p)
			p = *p == '[' ? skip_set(p) : p + 1;
	}
}

bool glob_match(const struct glob *g, const char *text, size_t len)
{
	if (len < g->prefix || memcmp(text, g->text, g->prefix) != 0)
		return false;
	return memmem(text, len, g->run, g->run_len) && match_all(g, text, len);
}
