/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The format timesketch: JSON lines as its importer wants them, each with
 * message, datetime and timestamp_desc; every other column is a flat attribute
 * under its own name.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fs/base/cleanup.h"
#include "util/log_map.h"
#include "util/log_out.h"
#include "util/log_record.h"
#include "util/out.h"

/* ISO 8601 with microseconds and the offset in digits. */
static json_t *datetime(int64_t ns)
{
	uint32_t rest;
	time_t sec = (time_t)out_time_split(ns, &rest);
	char text[80] = "";
	struct tm tm;
	size_t len;

	if (!gmtime_r(&sec, &tm))
		return log_map_time(ns);
	len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(text + len, sizeof(text) - len, ".%06u+00:00",
		(unsigned)(rest / 1000));
	return json_string(text);
}

static int set_column(
	json_t *root, enum query_column column, const struct query_row *row)
{
	const struct log_map map[] = {
		{query_columns[column].name, column,
			column == QUERY_CMDLINE ? LOG_MAP_LINE : LOG_MAP_PLAIN},
		{0},
	};

	/* "time" is what datetime says. */
	return column == QUERY_T_REAL ? 0 : log_map_flat(root, map, row);
}

static int set_ancestors(
	json_t *root, struct log_out *o, const struct query_row *row)
{
	_cleanup_free_ char *text = NULL;
	const struct log_ancestor_list *list;
	int r = log_ancestors_get(&o->ancestors, o->query, row, &list);
	size_t len;
	FILE *f;

	if (r < 0 || list->count == 0)
		return r;
	f = open_memstream(&text, &len);
	if (!f)
		return -ENOMEM;
	log_ancestors_print(f, list);
	if (fclose(f) != 0)
		return -ENOMEM;
	return log_map_text(root, "ancestors", text);
}

static int fill(json_t *root, struct log_out *o, const struct query_row *row,
	const struct log_record *r)
{
	bool event = r->class == LOG_EVENT;
	char id[LOG_OUT_ID_ROOM];
	int failed = 0, code;

	failed |= log_map_text(root, "message", r->message);
	failed |= json_object_set_new(root, "datetime", datetime(r->first));
	failed |= json_object_set_new(
		root, "timestamp", json_integer(r->first / 1000));
	failed |= log_map_text(root, "timestamp_desc",
		event	       ? "Ledger event"
		: r->count > 1 ? "First refused write"
			       : "Refused write");
	failed |= log_map_text(root, "data_type",
		event ? "stele:ledger:event" : "stele:ledger:attempt");
	failed |= log_map_text(root, "class", log_record_class_name(r->class));
	failed |= log_map_text(root, "error", r->error);
	if (log_out_id(o, row, id))
		failed |= log_map_text(root, "record_id", id);
	if (failed)
		return -ENOMEM;
	code = set_ancestors(root, o, row);
	for (int i = 0; code == 0 && i < QUERY_COLUMNS; i++)
		code = set_column(root, (enum query_column)i, row);
	return code;
}

static int print_row(struct log_out *o, const struct query_row *row)
{
	return log_out_object(o, row, fill);
}

const struct log_format log_out_timesketch = {
	.name = "timesketch",
	.what = "JSON lines for Timesketch, a flat one per record",
	.attests = true,
	.row = print_row,
};
