/* SPDX-License-Identifier: Apache-2.0 */
/* JSON of bytes that may be anything; see out.h. */
#include <string.h>

#include "fs/base/cleanup.h"
#include "util/out.h"

json_t *out_json_name(const char *bytes, size_t len)
{
	_cleanup_free_ char *text = NULL;

	if (out_is_utf8(bytes, len))
		return json_stringn(bytes, len);
	text = out_name_string(bytes, len);
	return text ? json_string(text) : NULL;
}

json_t *out_json_base64(const void *bytes, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *s = bytes;
	_cleanup_free_ char *text = NULL;
	size_t room, used = 0;

	if (__builtin_mul_overflow(len / 3 + 1, 4, &room))
		return NULL;
	text = malloc(room);
	if (!text)
		return NULL;
	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t group = (uint32_t)s[i] << 16;

		if (n > 1)
			group |= (uint32_t)s[i + 1] << 8;
		if (n > 2)
			group |= s[i + 2];
		text[used++] = digits[group >> 18];
		text[used++] = digits[group >> 12 & 63];
		text[used++] = n > 1 ? digits[group >> 6 & 63] : '=';
		text[used++] = n > 2 ? digits[group & 63] : '=';
	}
	return json_stringn(text, used);
}

int out_json_set_name(
	json_t *object, const char *key, const char *bytes, size_t len)
{
	char raw_key[64];
	int n;

	if (json_object_set_new(object, key, out_json_name(bytes, len)) < 0)
		return -ENOMEM;
	if (out_is_utf8(bytes, len))
		return 0;
	n = snprintf(raw_key, sizeof(raw_key), "%s_raw", key);
	if (n < 0 || (size_t)n >= sizeof(raw_key))
		return -EINVAL;
	if (json_object_set_new(object, raw_key, out_json_base64(bytes, len)) <
		0)
		return -ENOMEM;
	return 0;
}

static int write_line(FILE *f, const json_t *object)
{
	/* ASCII: a terminal that obeys C1 controls must not meet them here
	 * either, and \uXXXX means the same to every parser. */
	_cleanup_free_ char *text =
		json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);

	if (!text)
		return -ENOMEM;
	errno = 0;
	if (fputs(text, f) == EOF || putc('\n', f) == EOF)
		return errno ? -errno : -EIO;
	return 0;
}

int out_json_line(FILE *f, json_t *object)
{
	int r = object ? write_line(f, object) : -ENOMEM;

	json_decref(object);
	return r;
}
