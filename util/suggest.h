/* SPDX-License-Identifier: Apache-2.0 */
/* The known word that a mistyped one was probably meant to be. */
#ifndef UTIL_SUGGEST_H
#define UTIL_SUGGEST_H

#include <stddef.h>

/*
 * Begin with a zeroed struct and the word as typed, offer every known word, and
 * read best: NULL when none is near. Words are borrowed.
 */
struct suggest {
	const char *typed;
	const char *best;
	size_t distance;
};

void suggest_offer(struct suggest *s, const char *word);

#endif
