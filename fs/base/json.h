/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON, one object on one line, written value by value into a buf. Only ASCII
 * comes out, so that nothing in a name can play tricks on a terminal or a
 * parser. A failure is kept and given by json_end. Not thread-safe.
 */
#ifndef FS_BASE_JSON_H
#define FS_BASE_JSON_H

#include <stdbool.h>

#include "fs/base/buf.h"

struct json {
	struct buf *out; /* borrowed */
	int error;
	bool more; /* a value stands before: a comma is due */
};

/* Begin the object; values go in by name, which must need no escapes. */
void json_begin(struct json *j, struct buf *out);

void json_int(struct json *j, const char *name, int64_t value);
void json_bool(struct json *j, const char *name, bool value);
void json_none(struct json *j, const char *name);

/*
 * Bytes as text; NULL gives null. What is no UTF-8 becomes U+FFFD, byte by
 * byte, and then a second value, NAME_raw, has all of the bytes in base64.
 */
void json_bytes(
	struct json *j, const char *name, const void *bytes, size_t len);
void json_text(struct json *j, const char *name, const char *text);

/* An object as a value: what follows is in it, up to the matching close. */
void json_open(struct json *j, const char *name);
void json_close(struct json *j);

/* End the object: 0, or the first failure (-E2BIG, -ENOMEM). */
int json_end(struct json *j) must_check;

#endif
