/* SPDX-License-Identifier: Apache-2.0 */
/* The formats of stele log; see log_out.h. */
#include "util/log_out.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/out.h"

const struct log_format *const log_out_formats[] = {&log_out_short,
	&log_out_wide, &log_out_json, &log_out_ocsf, &log_out_ecs,
	&log_out_falco, &log_out_csv, &log_out_timesketch, NULL};

const struct log_format *log_out_find(const char *name)
{
	for (const struct log_format *const *f = log_out_formats; *f; f++) {
		if (strcmp((*f)->name, name) == 0)
			return *f;
	}
	return NULL;
}

int log_out_begin(struct log_out *o)
{
	return o->format->begin ? o->format->begin(o) : 0;
}

/* A name of a record, and a copy of the record to say it with. */
struct each {
	struct log_out *out;
	struct query_row row;
};

static int print_name(void *arg, const struct query_target *t)
{
	struct each *e = arg;
	struct query_cell *cell = e->row.cell;

	e->out->name++;
	cell[QUERY_PATH] = t->path;
	cell[QUERY_PATH2] = t->path2;
	cell[QUERY_T_REAL] = (struct query_cell){.number = t->first};
	cell[QUERY_T_LAST] =
		(struct query_cell){.null = t->count == 1, .number = t->last};
	cell[QUERY_COUNT] = (struct query_cell){.number = t->count};
	return e->out->format->row(e->out, &e->row);
}

/* A record as one row for each of its names. What the list does not keep of
 * each, its inode, is left out. */
static int print_names(struct log_out *o, const struct query_row *row)
{
	static const enum query_column lost[] = {QUERY_INO, QUERY_PARENT_INO,
		QUERY_TARGET_MODE, QUERY_TARGET_UID, QUERY_TARGET_GID,
		QUERY_TARGET_SIZE, QUERY_TARGET_DIGEST, QUERY_TIMES};
	struct each e = {.out = o, .row = *row};
	int r;

	for (size_t i = 0; i < ARRAY_LEN(lost); i++)
		e.row.cell[lost[i]] = (struct query_cell){.null = true};
	e.row.cell[QUERY_TARGETS] = (struct query_cell){.number = 1};
	e.row.names = (struct query_cell){.null = true};
	o->name = 0;
	r = query_targets(o->query, row, print_name, &e);
	o->name = 0;
	return r;
}

int log_out_row(struct log_out *o, const struct query_row *row)
{
	const struct query_cell *targets = &row->cell[QUERY_TARGETS];

	if (o->names && !targets->null && targets->number > 1)
		return print_names(o, row);
	return o->format->row(o, row);
}

int log_out_flush(struct log_out *o)
{
	return o->format->flush ? o->format->flush(o) : 0;
}

bool log_out_id(const struct log_out *o, const struct query_row *row,
	char ret[LOG_OUT_ID_ROOM])
{
	const struct query_cell *seq = &row->cell[QUERY_SEQ];
	char name[24] = "";

	if (seq->null)
		return false;
	if (o->name)
		(void)snprintf(name, sizeof(name), ".%" PRId64, o->name);
	(void)snprintf(ret, LOG_OUT_ID_ROOM, "%s:%" PRId64 "%s",
		*o->origin ? o->origin : "ledger", seq->number, name);
	return true;
}

int log_out_leaf(struct log_out *o, int64_t seq, struct digest *ret)
{
	int r = attest_leaf(o->attest, seq, ret);

	return r == -ENOENT || r == -EBADMSG ? 0 : r < 0 ? r : 1;
}

int log_out_object(struct log_out *o, const struct query_row *row,
	int (*fill)(json_t *root, struct log_out *o,
		const struct query_row *row, const struct log_record *r))
{
	struct log_record record;
	json_t *root = json_object();
	int r = root ? log_record_read(row, &record) : -ENOMEM;

	if (r == 0) {
		r = fill(root, o, row, &record);
		log_record_done(&record);
	}
	if (r < 0) {
		json_decref(root);
		return r;
	}
	return out_json_line(stdout, root);
}

void log_out_done(struct log_out *o)
{
	log_ancestors_done(&o->ancestors);
	free(o->text.line);
	o->text.line = NULL;
}
