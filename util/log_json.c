/* SPDX-License-Identifier: Apache-2.0 */
/* A record of a ledger as a JSON object; see log_print.h. */
#include "util/log_print.h"

#include <string.h>

#include "util/out.h"

/* Takes value over, also when it is NULL for lack of memory. */
static int set(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) < 0 ? -ENOMEM : 0;
}

static int set_time(json_t *object, const char *key, int64_t ns)
{
	int64_t sec = ns / 1000000000, rest = ns % 1000000000;
	char text[40];

	if (rest < 0) {
		rest += 1000000000;
		sec--;
	}
	out_time(sec, (uint32_t)rest, text);
	return set(object, key, json_string(text));
}

static int set_digest(
	json_t *object, const char *key, const struct query_cell *c)
{
	char hex[DIGEST_HEX_LEN + 1];
	struct digest d;

	/* Only a forged ledger has another length. */
	if (c->len != DIGEST_LEN)
		return out_json_set_name(object, key, c->bytes, c->len);
	memcpy(d.bytes, c->bytes, DIGEST_LEN);
	digest_hex(&d, hex);
	return set(object, key, json_string(hex));
}

/* The arguments, each of which ends with a NUL, as an array. */
static json_t *arguments(const struct query_cell *c)
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

static int set_cmdline(json_t *object, const struct query_cell *c)
{
	int r = set(object, "cmdline", arguments(c));

	if (r == 0 && !out_is_utf8(c->bytes, c->len))
		r = set(object, "cmdline_raw",
			out_json_base64(c->bytes, c->len));
	return r;
}

static int set_cell(json_t *object, const char *key, enum query_kind kind,
	const struct query_cell *c)
{
	if (c->null)
		return 0;
	switch (kind) {
	case QUERY_NUMBER: return set(object, key, json_integer(c->number));
	case QUERY_FLAG: return set(object, key, json_boolean(c->number));
	case QUERY_TIME: return set_time(object, key, c->number);
	case QUERY_DIGEST: return set_digest(object, key, c);
	case QUERY_TEXT:
	case QUERY_NAME: break;
	}
	return out_json_set_name(object, key, c->bytes, c->len);
}

static int add_ancestor(void *arg, const struct query_ancestor *a)
{
	json_t *array = arg, *object = json_object();
	int r = set(object, "pid", json_integer(a->pid));

	if (r == 0)
		r = set_cell(object, "comm", QUERY_NAME, &a->comm);
	if (r == 0)
		r = set_cell(object, "exe", QUERY_NAME, &a->exe);
	if (r == 0)
		r = set_cell(
			object, "exe_digest", QUERY_DIGEST, &a->exe_digest);
	if (r == 0 && !a->cmdline.null)
		r = set_cmdline(object, &a->cmdline);
	if (r == 0)
		r = set_cell(object, "start_time", QUERY_TIME, &a->start_real);
	if (r < 0) {
		json_decref(object);
		return r;
	}
	return json_array_append_new(array, object) < 0 ? -ENOMEM : 0;
}

/* A new reference; NULL on failure, with the reason in *ret_error. */
static json_t *read_ancestors(struct query *q, int64_t proc, int *ret_error)
{
	json_t *array = json_array();

	*ret_error =
		array ? query_ancestors(q, proc, add_ancestor, array) : -ENOMEM;
	if (*ret_error == 0)
		return array;
	json_decref(array);
	return NULL;
}

static int set_ancestors(json_t *object, struct log_json *j, struct query *q,
	const struct query_cell *proc)
{
	size_t slot = (uint64_t)proc->number % ARRAY_LEN(j->known);
	int r = 0;

	if (proc->null)
		return 0;
	if (!j->known[slot].ancestors || j->known[slot].proc != proc->number) {
		json_t *read = read_ancestors(q, proc->number, &r);

		if (!read)
			return r;
		json_decref(j->known[slot].ancestors);
		j->known[slot].ancestors = read;
		j->known[slot].proc = proc->number;
	}
	return set(object, "ancestors", json_incref(j->known[slot].ancestors));
}

static int fill(json_t *object, struct log_json *j, struct query *q,
	const struct query_row *row)
{
	const struct query_cell *cell = row->cell, *err = &cell[QUERY_ERRNO];
	const char *error =
		err->null ? NULL : strerrorname_np((int)err->number);
	bool event = !cell[QUERY_TEXT_OF_EVENT].null;
	int r = set(object, "type", json_string(event ? "event" : "attempt"));

	for (int i = 0; r == 0 && i < QUERY_COLUMNS; i++) {
		if (i == QUERY_CMDLINE && !cell[i].null)
			r = set_cmdline(object, &cell[i]);
		else
			r = set_cell(object, query_columns[i].name,
				query_columns[i].kind, &cell[i]);
	}
	if (r == 0 && error)
		r = set(object, "error", json_string(error));
	if (r == 0)
		r = set_ancestors(object, j, q, &cell[QUERY_PROC_ID]);
	return r;
}

int log_json_print(
	struct log_json *j, struct query *q, const struct query_row *row)
{
	json_t *object = json_object();
	int r = object ? fill(object, j, q, row) : -ENOMEM;

	if (r < 0) {
		json_decref(object);
		return r;
	}
	return out_json_line(stdout, object);
}

void log_json_done(struct log_json *j)
{
	for (size_t i = 0; i < ARRAY_LEN(j->known); i++)
		json_decref(j->known[i].ancestors);
	*j = (struct log_json){0};
}
