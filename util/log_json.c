/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The format json: one object a line, with every column that is not null under
 * its name (query_columns), and KEY_raw in base64 for names that are no UTF-8.
 * "error" is the name of the errno, "cmdline" an array, "ancestors" the
 * recorded parents of the process, nearest first, "names" the targets of a
 * record that has several.
 */
#include <string.h>

#include "util/log_map.h"
#include "util/log_out.h"
#include "util/log_record.h"
#include "util/out.h"

/* Takes value over, also when it is NULL for lack of memory. */
static int set(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) < 0 ? -ENOMEM : 0;
}

static int set_raw(json_t *object, const char *key, const struct log_map *line,
	const struct query_row *row)
{
	struct log_map raw = {.column = line->column, .as = LOG_MAP_RAW};
	char raw_key[64];
	json_t *value;
	int r = log_map_value(&raw, row, &value);

	if (r < 0 || !value)
		return r;
	(void)snprintf(raw_key, sizeof(raw_key), "%s_raw", key);
	return set(object, raw_key, value);
}

static int set_column(json_t *object, const char *key, enum query_column c,
	const struct query_row *row)
{
	struct log_map line = {.column = c,
		.as = c == QUERY_CMDLINE ? LOG_MAP_WORDS : LOG_MAP_PLAIN};
	enum query_kind kind = query_columns[c].kind;
	json_t *value;
	int r = log_map_value(&line, row, &value);

	if (r == 0 && value)
		r = set(object, key, value);
	/* Nothing is lost where a text had to be escaped. */
	if (r == 0 && (kind == QUERY_NAME || kind == QUERY_TEXT))
		r = set_raw(object, key, &line, row);
	return r;
}

static int add_ancestor(json_t *array, const struct query_ancestor *a)
{
	static const enum query_column columns[] = {QUERY_PID, QUERY_COMM,
		QUERY_EXE, QUERY_EXE_DIGEST, QUERY_CMDLINE, QUERY_START_REAL};
	json_t *object = json_object();
	struct query_row row;
	int r = 0;

	log_ancestors_row(a, &row);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(columns); i++)
		r = set_column(object, query_columns[columns[i]].name,
			columns[i], &row);
	if (r < 0) {
		json_decref(object);
		return r;
	}
	return json_array_append_new(array, object) < 0 ? -ENOMEM : 0;
}

static int set_ancestors(
	json_t *object, struct log_out *o, const struct query_row *row)
{
	const struct log_ancestor_list *list;
	int r = log_ancestors_get(&o->ancestors, o->query, row, &list);
	json_t *array;

	if (r < 0 || row->cell[QUERY_PROC_ID].null)
		return r;
	array = json_array();
	for (size_t i = 0; r == 0 && i < list->count; i++)
		r = add_ancestor(array, &list->items[i]);
	if (r == 0)
		return set(object, "ancestors", array);
	json_decref(array);
	return r;
}

static int add_name(void *arg, const struct query_target *t)
{
	json_t *array = arg, *object = json_object();
	int r = object ? out_json_set_name(
				 object, "path", t->path.bytes, t->path.len)
		       : -ENOMEM;

	if (r == 0 && !t->path2.null)
		r = out_json_set_name(
			object, "path2", t->path2.bytes, t->path2.len);
	if (r == 0)
		r = set(object, "count", json_integer(t->count));
	if (r == 0)
		r = set(object, "time", log_map_time(t->first));
	if (r == 0 && t->count > 1)
		r = set(object, "last_time", log_map_time(t->last));
	if (r < 0) {
		json_decref(object);
		return r;
	}
	return json_array_append_new(array, object) < 0 ? -ENOMEM : 0;
}

static int set_names(
	json_t *object, struct log_out *o, const struct query_row *row)
{
	const struct query_cell *targets = &row->cell[QUERY_TARGETS];
	json_t *array;
	int r;

	if (targets->null || targets->number <= 1)
		return 0;
	array = json_array();
	r = array ? query_targets(o->query, row, add_name, array) : -ENOMEM;
	if (r == 0)
		return set(object, "names", array);
	json_decref(array);
	return r;
}

static int fill(json_t *object, struct log_out *o, const struct query_row *row)
{
	const struct query_cell *cell = row->cell, *err = &cell[QUERY_ERRNO];
	const char *error =
		err->null ? NULL : strerrorname_np((int)err->number);
	bool event = !cell[QUERY_TEXT_OF_EVENT].null;
	int r = set(object, "type", json_string(event ? "event" : "attempt"));

	for (int i = 0; r == 0 && i < QUERY_COLUMNS; i++)
		r = set_column(object, query_columns[i].name,
			(enum query_column)i, row);
	if (r == 0 && error)
		r = set(object, "error", json_string(error));
	if (r == 0)
		r = set_ancestors(object, o, row);
	return r < 0 ? r : set_names(object, o, row);
}

static int print_row(struct log_out *o, const struct query_row *row)
{
	json_t *object = json_object();
	int r = object ? fill(object, o, row) : -ENOMEM;

	if (r < 0) {
		json_decref(object);
		return r;
	}
	return out_json_line(stdout, object);
}

const struct log_format log_out_json = {
	.name = "json",
	.what = "JSON lines with everything that is known",
	.row = print_row,
};
