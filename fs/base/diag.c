/* SPDX-License-Identifier: Apache-2.0 */
/* The one line that explains a failure; see diag.h. */
#include "fs/base/diag.h"

#include <assert.h>
#include <string.h>

static void make_printable(char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
	}
}

static format_like(2, 0) void format_line(
	struct diag *d, const char *fmt, va_list ap)
{
	if (vsnprintf(d->text, sizeof(d->text), fmt, ap) < 0)
		d->text[0] = '\0';
	make_printable(d->text);
}

int diag_set(struct diag *d, int err, const char *fmt, ...)
{
	va_list ap;

	assert(err < 0);
	if (!d)
		return err;
	va_start(ap, fmt);
	format_line(d, fmt, ap);
	va_end(ap);
	return err;
}

int diag_errno(struct diag *d, int err, const char *fmt, ...)
{
	va_list ap;

	assert(err < 0);
	if (!d)
		return err;
	va_start(ap, fmt);
	format_line(d, fmt, ap);
	va_end(ap);

	char reason[128];
	size_t used = strlen(d->text);

	/* The GNU strerror_r: returns the text, thread-safe. */
	(void)snprintf(d->text + used, sizeof(d->text) - used, ": %s",
		strerror_r(-err, reason, sizeof(reason)));
	return err;
}
