/* SPDX-License-Identifier: Apache-2.0 */
/* Base64, see base64.h. Three bytes are four characters of six bits each. */
#include "fs/base/base64.h"

#include <stdbool.h>

void base64_write(const void *data, size_t len, char *ret)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *in = data;

	for (size_t i = 0; i < len; i += 3, ret += 4) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t bits = (uint32_t)in[i] << 16;

		if (n > 1)
			bits |= (uint32_t)in[i + 1] << 8;
		if (n > 2)
			bits |= in[i + 2];
		ret[0] = digits[bits >> 18];
		ret[1] = digits[bits >> 12 & 63];
		ret[2] = n > 1 ? digits[bits >> 6 & 63] : '=';
		ret[3] = n > 2 ? digits[bits & 63] : '=';
	}
}

static int value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* How many bytes a text of this length stands for; -1: none has it. */
static ssize_t measure(const char *text, size_t len)
{
	size_t padding = 0;

	if (len % 4 != 0)
		return -1;
	while (padding < 2 && padding < len && text[len - 1 - padding] == '=')
		padding++;
	return (ssize_t)(len / 4 * 3 - padding);
}

/* Bits that the last character has and no byte takes must be zero. */
static bool decode(const char *text, uint8_t *ret, size_t count)
{
	for (size_t i = 0; i < count; i += 3, text += 4) {
		size_t n = count - i < 3 ? count - i : 3;
		uint32_t bits = 0;

		for (size_t k = 0; k < 4; k++) {
			int six = k <= n ? value(text[k]) : 0;

			if (six < 0)
				return false;
			bits = bits << 6 | (uint32_t)six;
		}
		for (size_t k = 0; k < n; k++)
			ret[i + k] = (uint8_t)(bits >> (16 - 8 * k));
		if (bits & (0xffffffu >> 8 * n))
			return false;
	}
	return true;
}

ssize_t base64_read(const char *text, size_t len, void *ret, size_t max)
{
	ssize_t n = measure(text, len);

	if (n < 0)
		return -EBADMSG;
	if ((size_t)n > max)
		return -E2BIG;
	return decode(text, ret, (size_t)n) ? n : -EBADMSG;
}

int base64_add(struct buf *ret, const void *data, size_t len)
{
	if (len > SIZE_MAX / 4 || BASE64_LEN(len) > ret->max - ret->len)
		return -E2BIG;

	char *to = buf_reserve(ret, BASE64_LEN(len));

	if (!to)
		return -ENOMEM;
	base64_write(data, len, to);
	ret->len += BASE64_LEN(len);
	return 0;
}

int base64_parse(const char *text, size_t len, struct buf *ret)
{
	ssize_t n = measure(text, len);

	if (n <= 0)
		return n < 0 ? -EBADMSG : 0;
	if ((size_t)n > ret->max - ret->len)
		return -E2BIG;

	uint8_t *to = buf_reserve(ret, (size_t)n);

	if (!to)
		return -ENOMEM;
	if (!decode(text, to, (size_t)n))
		return -EBADMSG;
	ret->len += (size_t)n;
	return 0;
}
