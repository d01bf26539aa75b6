/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes and spans of time as people type them. */
#ifndef UTIL_AMOUNT_H
#define UTIL_AMOUNT_H

#include <stdint.h>

#include "fs/base/cleanup.h"

/* For messages: what the functions below accept. */
#define AMOUNT_SIZES "a number of bytes, or with K, M, G or T behind it"
#define AMOUNT_SPANS "a number with s, m, h, d or w behind it"

/* Bytes; K is 1024. Digits and at most one letter. 0 or -EINVAL. */
int amount_size(const char *text, uint64_t *ret) must_check;

/* Seconds; the letter may not be missing but for 0. 0 or -EINVAL. */
int amount_span(const char *text, uint64_t *ret) must_check;

#endif
