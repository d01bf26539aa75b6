/* SPDX-License-Identifier: Apache-2.0 */
/* One difference of `stele diff`, for a person or for a program. */
#ifndef UTIL_DIFF_TEXT_H
#define UTIL_DIFF_TEXT_H

#include "fs/tree/diff.h"

/*
 * A line on standard output: "+ /path", or what changed:
 *	~ /path  mode 0644 -> 0755, content
 *	> /path  renamed from /old, mtime ...
 * or a JSON object. 0 or -ENOMEM; what writing gives is left in the stream.
 */
int diff_text_print(const struct diff *d) must_check;
int diff_json_print(const struct diff *d) must_check;

#endif
