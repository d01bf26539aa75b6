/* SPDX-License-Identifier: Apache-2.0 */
/* The manual page stele(1), made from the command table. */
#ifndef UTIL_MAN_H
#define UTIL_MAN_H

#include <stdio.h>

void man_print(FILE *f);

#endif
