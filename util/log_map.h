/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the columns of a ledger to the fields of somebody else's schema: each
 * format is a table of these lines and a few fields that are computed.
 */
#ifndef UTIL_LOG_MAP_H
#define UTIL_LOG_MAP_H

#include <jansson.h>
#include <stdbool.h>

#include "fs/audit/query.h"

/* How a cell becomes a value. Cells that are null give none. */
enum log_map_as {
	LOG_MAP_PLAIN,	/* what the column's kind says; digests in hex, times
			 * as RFC 3339, names escaped where they are no UTF-8 */
	LOG_MAP_STRING, /* a number as digits in a string */
	LOG_MAP_OCTAL,	/* permission bits, "0644" */
	LOG_MAP_HEX,	/* "0x1f" */
	LOG_MAP_MILLI,	/* a time as milliseconds since 1970 */
	LOG_MAP_NANO,	/* a time as nanoseconds since 1970 */
	LOG_MAP_RAW,	/* base64 of a name, and only when it is no UTF-8 */
	LOG_MAP_BASE,	/* the last part of a path */
	LOG_MAP_FOLDER, /* what is before that */
	LOG_MAP_WORDS,	/* arguments as an array */
	LOG_MAP_LINE,	/* arguments as one line */
	LOG_MAP_LIST,	/* numbers with spaces between: an array of strings */
	LOG_MAP_CAPS,	/* capability bits as an array of names */
	LOG_MAP_TTY,	/* "pts/3" */
	LOG_MAP_ID,	/* a user or audit id, where one is set */
	LOG_MAP_ID_STRING, /* the same as digits in a string */
};

struct log_map {
	const char *key; /* "process.hash.sha256"; the table ends with NULL */
	enum query_column column;
	enum log_map_as as;
};

/*
 * Set a value at a key with dots: objects within objects, made as they are
 * needed. Takes value over; NULL is -ENOMEM.
 */
int log_map_set(json_t *root, const char *key, json_t *value) must_check;

/* The same with a text that is UTF-8, or NULL for nothing; with a number. */
int log_map_text(json_t *root, const char *key, const char *text) must_check;
int log_map_number(json_t *root, const char *key, int64_t number) must_check;

/* The value of one cell: 0, and *ret NULL when there is none; -ENOMEM. */
int log_map_value(const struct log_map *line, const struct query_row *row,
	json_t **ret) must_check;

/* All lines of a table, into objects within objects. 0 or -ENOMEM. */
int log_map_nested(json_t *root, const struct log_map *map,
	const struct query_row *row) must_check;

/* All lines of a table, with the keys as they are. 0 or -ENOMEM. */
int log_map_flat(json_t *root, const struct log_map *map,
	const struct query_row *row) must_check;

/* Arguments, each with a NUL behind it, as an array; NULL: no memory. */
json_t *log_map_words(const struct query_cell *c);

/* Nanoseconds since 1970 as RFC 3339 in UTC. NULL: no memory. */
json_t *log_map_time(int64_t ns);

#endif
