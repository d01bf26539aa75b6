/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes to a person or to a machine: escaped names, colour, pager, JSON.
 */
#ifndef UTIL_OUT_H
#define UTIL_OUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Print bytes of an untrusted name: control characters, DEL, backslash and
 * bytes that are not valid UTF-8 as \n, \t, \r, \e, \\ or \xHH; C1 controls
 * and bidirectional overrides too, so that no name can forge a line.
 */
void out_name(FILE *f, const char *bytes, size_t len);
/* The same into a string, to be freed; NULL: out of memory. */
char *out_name_string(const char *bytes, size_t len);

/*
 * A JSON string of untrusted bytes. Valid UTF-8 as it is; else with the bad
 * bytes as \xHH text as out_name gives them (and callers add a "_raw" field
 * with out_json_base64 so that nothing is lost). NULL: out of memory.
 */
json_t *out_json_name(const char *bytes, size_t len);
bool out_is_utf8(const char *bytes, size_t len);
json_t *out_json_base64(const void *bytes, size_t len);
/* Set key (and key_raw when needed) in an object. 0 or -ENOMEM. */
int out_json_set_name(
	json_t *object, const char *key, const char *bytes, size_t len);

/* One object on one line; takes over the reference. 0, or -errno. */
int out_json_line(FILE *f, json_t *object);

/* True when standard output is a terminal and NO_COLOR is not set. */
bool out_color(void);

/*
 * On a terminal, send standard output through $PAGER (less -FRX when unset);
 * out_pager_end waits for it. Both do nothing when it is no terminal.
 */
void out_pager_begin(void);
void out_pager_end(void);

/* 4096 -> "4.0K"; ret has room for 16 bytes. */
void out_size(uint64_t bytes, char ret[16]);

/* RFC 3339 with nanoseconds, in UTC; ret has room for 40 bytes. */
void out_time(int64_t sec, uint32_t nsec, char ret[40]);
/* Whole seconds, and what is more, of nanoseconds since 1970, also before it.
 */
int64_t out_time_split(int64_t ns, uint32_t *ret_nsec);
/* As out_time, for such nanoseconds. */
void out_time_ns(int64_t ns, char ret[40]);

#endif
