/* SPDX-License-Identifier: Apache-2.0 */
/* The canonical bytes of a row (fs/ledger/record.h), column by column. */
#ifndef UTIL_LOG_ROW_H
#define UTIL_LOG_ROW_H

#include <jansson.h>

#include "fs/base/buf.h"

/* A line for each column that is not NULL: its name and value, escaped, with
 * what it means where a number does not show that. 0 or -ENOMEM. */
int log_row_print(char table, const struct buf *bytes) must_check;

/* The same as keys of an object; times as RFC 3339, digests in hexadecimal,
 * names as everywhere in our JSON. 0 or -ENOMEM. */
int log_row_json(
	json_t *object, char table, const struct buf *bytes) must_check;

#endif
