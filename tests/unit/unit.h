/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka with what it needs before it. */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* The reason goes where tests/run finds it. */
#define skip_because(reason)                                 \
	do {                                                 \
		(void)fprintf(stderr, "skip: %s\n", reason); \
		skip();                                      \
	} while (0)

#endif
