/* SPDX-License-Identifier: Apache-2.0 */
/* Strict lines of text; see text.h. */
#include "fs/seal/text.h"

#include <string.h>

#include "fs/base/base64.h"

bool text_until(struct text *t, char end, struct text *ret)
{
	const char *at = t->len ? memchr(t->at, end, t->len) : NULL;

	if (!at)
		return false;
	*ret = (struct text){t->at, (size_t)(at - t->at)};
	t->at += ret->len + 1;
	t->len -= ret->len + 1;
	return true;
}

bool text_line(struct text *t, struct text *ret)
{
	return text_until(t, '\n', ret);
}

bool text_skip(struct text *t, const char *prefix)
{
	size_t len = strlen(prefix);

	if (t->len < len || memcmp(t->at, prefix, len) != 0)
		return false;
	t->at += len;
	t->len -= len;
	return true;
}

bool text_number(struct text t, uint64_t *ret)
{
	uint64_t n = 0;

	if (t.len == 0 || (t.len > 1 && t.at[0] == '0'))
		return false;
	for (size_t i = 0; i < t.len; i++) {
		unsigned digit = (unsigned)(t.at[i] - '0');

		if (digit > 9 || n > ((uint64_t)INT64_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*ret = n;
	return true;
}

bool text_bytes(struct text t, void *ret, size_t len)
{
	return t.len == BASE64_LEN(len) &&
	       base64_read(t.at, t.len, ret, len) == (ssize_t)len;
}
