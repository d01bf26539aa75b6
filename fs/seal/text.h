/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading strict lines of text that anybody may have made: notes, proofs and
 * key files. Nothing is copied, nothing is read past the end, nothing is taken
 * in more than one spelling.
 */
#ifndef FS_SEAL_TEXT_H
#define FS_SEAL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/base/cleanup.h"

/* Bytes of somebody else's, without a NUL. */
struct text {
	const char *at;
	size_t len;
};

/* Take the first line off, without its newline. False when no newline is left;
 * then nothing is taken. */
bool text_line(struct text *t, struct text *ret) must_check;

/* Take what stands before a character off, and the character. */
bool text_until(struct text *t, char end, struct text *ret) must_check;

/* Take a prefix off, if it is there. */
bool text_skip(struct text *t, const char *prefix) must_check;

/* All of it is a decimal number below 2^63, without leading zeros. */
bool text_number(struct text t, uint64_t *ret) must_check;

/* All of it is the base64 of exactly len bytes. */
bool text_bytes(struct text t, void *ret, size_t len) must_check;

#endif
