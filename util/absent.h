/* SPDX-License-Identifier: Apache-2.0 */
/* Saying that a path is not in an image. */
#ifndef UTIL_ABSENT_H
#define UTIL_ABSENT_H

/*
 * Print why resolve_path failed on a path of an image. EXIT_NO for a path that
 * is not there, otherwise the code for err.
 */
int absent_fail(const char *image, const char *path, int err);

#endif
