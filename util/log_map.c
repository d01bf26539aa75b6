/* SPDX-License-Identifier: Apache-2.0 */
/* Cells into fields, by tables; see log_map.h. */
#include "util/log_map.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "fs/base/cleanup.h"
#include "util/out.h"

#define MAX_KEY 64

/* In the order of their bits. */
static const char *const caps[] = {"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH",
	"FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
	"LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN",
	"NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO",
	"SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT",
	"SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD",
	"LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE",
	"MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
	"PERFMON", "BPF", "CHECKPOINT_RESTORE"};

json_t *log_map_time(int64_t ns)
{
	char text[40];

	out_time_ns(ns, text);
	return json_string(text);
}

json_t *log_map_words(const struct query_cell *c)
{
	json_t *array = json_array();
	const char *p = c->bytes, *end = p + c->len;

	while (array && p < end) {
		size_t len = strnlen(p, (size_t)(end - p));

		if (json_array_append_new(array, out_json_name(p, len)) < 0) {
			json_decref(array);
			return NULL;
		}
		p += len + 1;
	}
	return array;
}

/* Arguments with spaces between. What may stand in them is escaped, so a line
 * is one line; where one argument ends and another begins it does not say. */
static json_t *words_line(const struct query_cell *c)
{
	size_t len = c->len;
	_cleanup_free_ char *text = malloc(len + 1);

	if (!text)
		return NULL;
	while (len > 0 && c->bytes[len - 1] == '\0')
		len--;
	for (size_t i = 0; i < len; i++)
		text[i] = c->bytes[i] ? c->bytes[i] : ' ';
	return out_json_name(text, len);
}

static json_t *digits(const char *format, int64_t number)
{
	char text[32];

	/* The formats are those in this file. */
	if (format[1] == 'o')
		(void)snprintf(text, sizeof(text), "%04" PRIo64,
			(uint64_t)number & 07777);
	else if (format[1] == 'x')
		(void)snprintf(
			text, sizeof(text), "0x%" PRIx64, (uint64_t)number);
	else
		(void)snprintf(text, sizeof(text), "%" PRId64, number);
	return json_string(text);
}

static json_t *number_list(const struct query_cell *c)
{
	json_t *array = json_array();
	const char *p = c->bytes, *end = p + c->len;

	while (array && p < end) {
		const char *space = memchr(p, ' ', (size_t)(end - p));
		size_t len = (size_t)((space ? space : end) - p);

		if (len > 0 && json_array_append_new(
				       array, out_json_name(p, len)) < 0) {
			json_decref(array);
			return NULL;
		}
		p += len + 1;
	}
	return array;
}

static json_t *cap_names(int64_t bits)
{
	json_t *array = json_array();

	for (unsigned i = 0; array && i < 64; i++) {
		char name[32];

		if (!((uint64_t)bits >> i & 1))
			continue;
		if (i < ARRAY_LEN(caps))
			(void)snprintf(name, sizeof(name), "CAP_%s", caps[i]);
		else
			(void)snprintf(name, sizeof(name), "%u", i);
		if (json_array_append_new(array, json_string(name)) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

/* As in Documentation/admin-guide/devices.txt of the kernel. */
static json_t *tty_name(int64_t number)
{
	unsigned top = major((dev_t)number), rest = minor((dev_t)number);
	char text[32];

	if (top >= 136 && top <= 143)
		(void)snprintf(
			text, sizeof(text), "pts/%u", (top - 136) * 256 + rest);
	else if (top == 4 && rest < 64)
		(void)snprintf(text, sizeof(text), "tty%u", rest);
	else if (top == 4)
		(void)snprintf(text, sizeof(text), "ttyS%u", rest - 64);
	else
		(void)snprintf(text, sizeof(text), "%u:%u", top, rest);
	return json_string(text);
}

static json_t *digest_text(const struct query_cell *c)
{
	char hex[DIGEST_HEX_LEN + 1];
	struct digest d;

	/* Only a forged ledger has another length. */
	if (c->len != DIGEST_LEN)
		return out_json_name(c->bytes, c->len);
	memcpy(d.bytes, c->bytes, DIGEST_LEN);
	digest_hex(&d, hex);
	return json_string(hex);
}

static json_t *plain(enum query_kind kind, const struct query_cell *c)
{
	switch (kind) {
	case QUERY_NUMBER: return json_integer(c->number);
	case QUERY_FLAG: return json_boolean(c->number);
	case QUERY_TIME: return log_map_time(c->number);
	case QUERY_DIGEST: return digest_text(c);
	case QUERY_BLOB: return out_json_base64(c->bytes, c->len);
	case QUERY_TEXT:
	case QUERY_NAME: break;
	}
	return out_json_name(c->bytes, c->len);
}

/* Where the last part of a path begins: behind the last slash that is not at
 * its end. */
static size_t base_at(const struct query_cell *c)
{
	size_t at = c->len;

	while (at > 1 && c->bytes[at - 1] == '/')
		at--;
	while (at > 0 && c->bytes[at - 1] != '/')
		at--;
	return at == c->len ? 0 : at;
}

static json_t *folder(const struct query_cell *c)
{
	size_t at = base_at(c);

	while (at > 1 && c->bytes[at - 1] == '/')
		at--;
	return out_json_name(c->bytes, at ? at : c->len);
}

/* ~0 is how the kernel says that none is set. */
static bool has_value(enum log_map_as as, const struct query_cell *c)
{
	switch (as) {
	case LOG_MAP_ID:
	case LOG_MAP_ID_STRING: return c->number != UINT32_MAX;
	case LOG_MAP_RAW: return !out_is_utf8(c->bytes, c->len);
	case LOG_MAP_TTY: return c->number != 0;
	case LOG_MAP_LIST:
	case LOG_MAP_WORDS:
	case LOG_MAP_LINE: return c->len > 0;
	default: return true;
	}
}

static json_t *value(
	enum log_map_as as, enum query_kind kind, const struct query_cell *c)
{
	switch (as) {
	case LOG_MAP_ID:
	case LOG_MAP_PLAIN: break;
	case LOG_MAP_ID_STRING:
	case LOG_MAP_STRING: return digits("%d", c->number);
	case LOG_MAP_OCTAL: return digits("%o", c->number);
	case LOG_MAP_HEX: return digits("%x", c->number);
	case LOG_MAP_MILLI: return json_integer(c->number / 1000000);
	case LOG_MAP_NANO: return json_integer(c->number);
	case LOG_MAP_RAW: return out_json_base64(c->bytes, c->len);
	case LOG_MAP_BASE:
		return out_json_name(
			c->bytes + base_at(c), c->len - base_at(c));
	case LOG_MAP_FOLDER: return folder(c);
	case LOG_MAP_WORDS: return log_map_words(c);
	case LOG_MAP_LINE: return words_line(c);
	case LOG_MAP_LIST: return number_list(c);
	case LOG_MAP_CAPS: return cap_names(c->number);
	case LOG_MAP_TTY: return tty_name(c->number);
	}
	return plain(kind, c);
}

int log_map_value(
	const struct log_map *line, const struct query_row *row, json_t **ret)
{
	const struct query_cell *c = &row->cell[line->column];

	*ret = NULL;
	if (c->null || !has_value(line->as, c))
		return 0;
	*ret = value(line->as, query_columns[line->column].kind, c);
	return *ret ? 0 : -ENOMEM;
}

/* The object at a key; made when there is none. */
static json_t *member(json_t *object, const char *key)
{
	json_t *found = json_object_get(object, key);

	if (found)
		return found;
	if (json_object_set_new(object, key, json_object()) < 0)
		return NULL;
	return json_object_get(object, key);
}

int log_map_set(json_t *root, const char *key, json_t *value)
{
	json_t *object = root;

	for (const char *dot; object && (dot = strchr(key, '.'));
		key = dot + 1) {
		char part[MAX_KEY];

		(void)snprintf(
			part, sizeof(part), "%.*s", (int)(dot - key), key);
		object = member(object, part);
	}
	if (!object) {
		json_decref(value);
		return -ENOMEM;
	}
	return json_object_set_new(object, key, value) < 0 ? -ENOMEM : 0;
}

int log_map_text(json_t *root, const char *key, const char *text)
{
	return text ? log_map_set(root, key, json_string(text)) : 0;
}

int log_map_number(json_t *root, const char *key, int64_t number)
{
	return log_map_set(root, key, json_integer(number));
}

static int apply(json_t *root, const struct log_map *map,
	const struct query_row *row, bool nested)
{
	int r = 0;

	for (; r == 0 && map->key; map++) {
		json_t *found;

		r = log_map_value(map, row, &found);
		if (r < 0 || !found)
			continue;
		if (nested)
			r = log_map_set(root, map->key, found);
		else if (json_object_set_new(root, map->key, found) < 0)
			r = -ENOMEM;
	}
	return r;
}

int log_map_nested(
	json_t *root, const struct log_map *map, const struct query_row *row)
{
	return apply(root, map, row, true);
}

int log_map_flat(
	json_t *root, const struct log_map *map, const struct query_row *row)
{
	return apply(root, map, row, false);
}
