/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded growing byte buffer; see buf.h. */
#include "fs/base/buf.h"

#include <stdarg.h>
#include <string.h>

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void buf_done(struct buf *b)
{
	free(b->data);
	*b = (struct buf){.max = b->max};
}

void buf_reset(struct buf *b)
{
	b->len = 0;
}

static int grow(struct buf *b, size_t len)
{
	size_t need;

	if (__builtin_add_overflow(b->len, len, &need) || need > b->max)
		return -E2BIG;
	if (need <= b->cap)
		return 0;

	size_t cap = b->cap ? b->cap : 256;

	while (cap < need)
		cap = cap > b->max / 2 ? b->max : cap * 2;

	char *data = realloc(b->data, cap);

	if (!data)
		return -ENOMEM;
	b->data = data;
	b->cap = cap;
	return 0;
}

void *buf_reserve(struct buf *b, size_t len)
{
	return grow(b, len ? len : 1) < 0 ? NULL : b->data + b->len;
}

int buf_add(struct buf *b, const void *data, size_t len)
{
	int r = grow(b, len);

	if (r < 0)
		return r;
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	return 0;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);

	_cleanup_free_ char *text = NULL;
	int n = vasprintf(&text, fmt, ap);

	va_end(ap);
	if (n < 0) {
		text = NULL;
		return -ENOMEM;
	}
	return buf_add(b, text, (size_t)n);
}
