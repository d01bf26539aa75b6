/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GLOB as SQLite has it: * for any run of characters, slashes too, ? for one,
 * [a-z] and [^a-z] for one of a set, [*] for a star itself. Characters are
 * UTF-8; a byte that is not part of any is a character of its own, where SQLite
 * takes some of them for each other.
 */
#ifndef FS_AUDIT_GLOB_H
#define FS_AUDIT_GLOB_H

#include <stdbool.h>
#include <stddef.h>

struct glob {
	const char *text; /* borrowed */
	size_t len;
	size_t prefix;	 /* each text that matches begins with so many bytes */
	const char *run; /* and holds this one: the longest there is */
	size_t run_len;	 /* 0: none */
};

void glob_init(struct glob *g, const char *text);

/* The whole text matches. Takes at most len times the length of the pattern. */
bool glob_match(const struct glob *g, const char *text, size_t len);

#endif
