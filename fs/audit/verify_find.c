/* SPDX-License-Identifier: Apache-2.0 */
/* Telling what was found; see verify_internal.h. */
#include <stdarg.h>
#include <string.h>

#include "fs/audit/verify_internal.h"

/* The wall clock of the nearest record on one side of a number. */
static bool time_beside(struct db_stmt *s, uint64_t seq, int64_t *ret)
{
	bool found;

	db_bind_int(s, (int64_t)seq);
	db_bind_int(s, (int64_t)seq);
	/* A failure here only makes the finding shorter; it shows again. */
	found = db_next(s) > 0;
	if (found)
		*ret = db_int(s, 0);
	db_rewind(s);
	return found;
}

static void one_line(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
	}
}

void verify_find(struct verify *v, enum verify_kind kind,
	const struct verify_about *about, const char *fmt, ...)
{
	struct verify_finding f = {
		.kind = kind,
		.first = about->first,
		.last = about->last,
		.has_checkpoint = about->has_checkpoint,
		.checkpoint = about->checkpoint,
	};
	char text[1024];
	va_list ap;

	if (v->ret->kind < kind)
		v->ret->kind = kind;
	if (v->ret->found[kind]++ >= VERIFY_TOLD || !v->hooks->found)
		return;
	if (f.first > 0) {
		f.has_before = time_beside(v->before_stmt, f.first, &f.before);
		f.has_after = time_beside(v->after_stmt, f.last, &f.after);
	}
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* may be cut */
	va_end(ap);
	one_line(text);
	f.text = text;
	v->hooks->found(v->hooks->arg, &f);
}
