/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, strictly: no overlong forms, no surrogates, nothing past U+10FFFF. */
#ifndef FS_BASE_UTF8_H
#define FS_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the sequence at the start of s (len > 0), 0 when there is none; its
 * code point in *ret. */
size_t utf8_decode(const char *s, size_t len, uint32_t *ret);

/* True when all of it is. */
bool utf8_is_valid(const char *s, size_t len);

#endif
