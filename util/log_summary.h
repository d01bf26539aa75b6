/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of attempts, as text for people and as JSON. */
#ifndef UTIL_LOG_SUMMARY_H
#define UTIL_LOG_SUMMARY_H

#include <stdbool.h>

#include "fs/audit/summary.h"

/* What --by takes: "path", "exe", ...; NULL past the last. */
const char *log_summary_name(enum summary_by by);
/* -EINVAL for an unknown name. */
int log_summary_parse(const char *name, enum summary_by *ret) must_check;

/* One table with all that is known of each group. */
void log_summary_table(const struct summary *s, enum summary_by by, bool color);

/* Totals, and the largest groups of each kind, on about one screen. */
void log_summary_overview(const struct summary *s, bool color);

/*
 * JSON lines: an object with the totals, then one for each group of each kind
 * that was asked for, as bits in by. 0 or -errno.
 */
int log_summary_json(const struct summary *s, unsigned by) must_check;

#endif
