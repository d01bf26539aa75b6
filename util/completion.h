/* SPDX-License-Identifier: Apache-2.0 */
/* Completion of the command line in bash, made from the command table. */
#ifndef UTIL_COMPLETION_H
#define UTIL_COMPLETION_H

#include <stdio.h>

void completion_bash(FILE *f);

#endif
