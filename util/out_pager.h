/* SPDX-License-Identifier: Apache-2.0 */
/* What out.c must know of the pager; everybody else uses out.h. */
#ifndef UTIL_OUT_PAGER_H
#define UTIL_OUT_PAGER_H

#include <stdbool.h>

/* Does standard output lead to a terminal, through a pager? */
bool out_pager_runs(void);

#endif
