/* SPDX-License-Identifier: Apache-2.0 */
/* A writer of JSON; see json.h. */
#include "fs/base/json.h"

#include <inttypes.h>
#include <string.h>

#include "fs/base/base64.h"
#include "fs/base/utf8.h"

static void add(struct json *j, const char *text, size_t len)
{
	if (j->error == 0)
		j->error = buf_add(j->out, text, len);
}

static void add_text(struct json *j, const char *text)
{
	add(j, text, strlen(text));
}

static void begin_value(struct json *j, const char *name, const char *suffix)
{
	add_text(j, j->more ? ",\"" : "\"");
	add_text(j, name);
	add_text(j, suffix);
	add_text(j, "\":");
	j->more = true;
}

void json_begin(struct json *j, struct buf *out)
{
	*j = (struct json){.out = out};
	add_text(j, "{");
}

int json_end(struct json *j)
{
	add_text(j, "}");
	return j->error;
}

void json_open(struct json *j, const char *name)
{
	begin_value(j, name, "");
	add_text(j, "{");
	j->more = false;
}

void json_close(struct json *j)
{
	add_text(j, "}");
	j->more = true;
}

void json_int(struct json *j, const char *name, int64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRId64, value);
	begin_value(j, name, "");
	add_text(j, text);
}

void json_bool(struct json *j, const char *name, bool value)
{
	begin_value(j, name, "");
	add_text(j, value ? "true" : "false");
}

void json_none(struct json *j, const char *name)
{
	begin_value(j, name, "");
	add_text(j, "null");
}

/* ---- bytes as text ---- */

static void add_unit(struct json *j, uint32_t unit)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "\\u%04x", (unsigned)unit);
	add_text(j, text);
}

static void add_character(struct json *j, uint32_t c)
{
	const char plain = (char)c;

	switch (c) {
	case '"': add_text(j, "\\\""); return;
	case '\\': add_text(j, "\\\\"); return;
	case '\n': add_text(j, "\\n"); return;
	case '\t': add_text(j, "\\t"); return;
	default: break;
	}
	if (c >= 0x20 && c < 0x7f) {
		add(j, &plain, 1);
	} else if (c < 0x10000) {
		add_unit(j, c);
	} else {
		add_unit(j, 0xd800 + ((c - 0x10000) >> 10));
		add_unit(j, 0xdc00 + ((c - 0x10000) & 0x3ff));
	}
}

static void add_base64(struct json *j, const char *s, size_t len)
{
	char text[BASE64_LEN(48)];

	for (size_t i = 0; i < len; i += 48) {
		size_t n = len - i < 48 ? len - i : 48;

		base64_write(s + i, n, text);
		add(j, text, BASE64_LEN(n));
	}
}

void json_bytes(struct json *j, const char *name, const void *bytes, size_t len)
{
	const char *s = bytes;
	bool whole = true;

	if (!bytes) {
		json_none(j, name);
		return;
	}
	begin_value(j, name, "");
	add_text(j, "\"");
	for (size_t i = 0; i < len;) {
		uint32_t c;
		size_t n = utf8_decode(s + i, len - i, &c);

		whole = whole && n > 0;
		add_character(j, n ? c : 0xfffd);
		i += n ? n : 1;
	}
	add_text(j, "\"");
	if (whole)
		return;
	begin_value(j, name, "_raw");
	add_text(j, "\"");
	add_base64(j, s, len);
	add_text(j, "\"");
}

void json_text(struct json *j, const char *name, const char *text)
{
	json_bytes(j, name, text, text ? strlen(text) : 0);
}
