/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A progress bar on standard error, only when that is a terminal and nobody
 * asked for quiet: label, bar, percent, amount, rate, time left. Redrawn at
 * most ten times a second.
 */
#ifndef UTIL_PROGRESS_H
#define UTIL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *label;
	bool shown;	/* is it drawn at all */
	uint64_t start; /* nanoseconds, CLOCK_MONOTONIC */
	uint64_t drawn; /* when it was last drawn */
};

void progress_begin(struct progress *p, const char *label, bool quiet);
/* total 0: unknown, then only amount and rate. Amounts are bytes. */
void progress_update(struct progress *p, uint64_t done, uint64_t total);
/* Erase the line, for good or for another one to be printed: the next update
 * draws it again. */
void progress_end(struct progress *p);

#endif
