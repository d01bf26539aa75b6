/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One name of a file for what is known by a path or a word, readable with plain
 * ls, and never the same for two: /var/log/nginx is var-log-nginx, as
 * systemd-escape --path has it ("/": "-"; other bytes \xHH).
 */
#ifndef FS_UPPER_NAME_H
#define FS_UPPER_NAME_H

#include "fs/base/buf.h"

/* Names are never longer. */
#define NAME_LEN_MAX 200

/*
 * Append the name of an absolute path without "." and "..", no '/' twice or at
 * the end. A longer one than NAME_LEN_MAX is cut and ends in '@' and a hash of
 * the whole. -ENOMEM, -E2BIG.
 */
int name_of_path(const char *path, struct buf *ret) must_check;

/* The same for any other word, which is no path: "settings" is +settings. */
int name_of_word(const char *word, struct buf *ret) must_check;

#endif
