/* SPDX-License-Identifier: Apache-2.0 */
/* JSON of bytes that may be anything; see out.h. */
#include <string.h>

#include "fs/base/base64.h"
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
	_cleanup_free_ char *text = NULL;

	if (len > SIZE_MAX / 2)
		return NULL;
	text = malloc(BASE64_LEN(len) + 1);
	if (!text)
		return NULL;
	base64_write(bytes, len, text);
	return json_stringn(text, BASE64_LEN(len));
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
