/* SPDX-License-Identifier: Apache-2.0 */
/* Records as lines for people. Lines that are alike but for their time, one
 * after another, become one with a count. */
#ifndef UTIL_LOG_TEXT_H
#define UTIL_LOG_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* The line that is held back until another comes. Zeroed at first. */
struct log_text {
	char *line;	/* all of it but time and count; owned; NULL: none */
	size_t tail_at; /* where the count goes */
	int64_t time, last, count;
};

#endif
