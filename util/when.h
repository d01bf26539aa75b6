/* SPDX-License-Identifier: Apache-2.0 */
/* Moments as people type them. */
#ifndef UTIL_WHEN_H
#define UTIL_WHEN_H

#include <stdint.h>

/* For messages: what when_parse accepts. */
#define WHEN_FORMS                                                        \
	"\"2026-11-22 14:30[:05]\", \"2026-11-22\", \"14:30\", "          \
	"2026-11-22T14:30:05Z, -2h, \"10m ago\", today, yesterday, now, " \
	"@SECONDS"

/*
 * Nanoseconds since 1970 (UTC) of a moment; without a time zone it is local
 * time. now is what relative ones start from. 0 or -EINVAL.
 */
int when_parse(const char *text, int64_t now, int64_t *ret)
	__attribute__((warn_unused_result));

#endif
