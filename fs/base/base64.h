/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base64 of RFC 4648, section 4, with padding, as notes and proofs have it.
 * Reading is strict: there is one way to write the same bytes.
 */
#ifndef FS_BASE_BASE64_H
#define FS_BASE_BASE64_H

#include "fs/base/buf.h"

/* How many characters stand for so many bytes. */
#define BASE64_LEN(bytes) (((bytes) + 2) / 3 * 4)

/* Write BASE64_LEN(len) characters, and no NUL. */
void base64_write(const void *data, size_t len, char *ret);

/* Read what stands for at most max bytes: how many, -EBADMSG or -E2BIG. */
ssize_t base64_read(
	const char *text, size_t len, void *ret, size_t max) must_check;

/* The same, appended to a buf. 0, -EBADMSG, -E2BIG or -ENOMEM. */
int base64_add(struct buf *ret, const void *data, size_t len) must_check;
int base64_parse(const char *text, size_t len, struct buf *ret) must_check;

#endif
