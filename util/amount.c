/* SPDX-License-Identifier: Apache-2.0 */
/* A number and a letter; see amount.h. */
#include "util/amount.h"

#include <string.h>

/* The number at the start of text, and where it ends. */
static int parse_number(const char *text, uint64_t *ret, const char **ret_end)
{
	uint64_t n = 0;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	for (; *text >= '0' && *text <= '9'; text++) {
		if (__builtin_mul_overflow(n, 10, &n) ||
			__builtin_add_overflow(n, (uint64_t)(*text - '0'), &n))
			return -EINVAL;
	}
	*ret = n;
	*ret_end = text;
	return 0;
}

int amount_size(const char *text, uint64_t *ret)
{
	static const char letters[] = "KMGT";
	const char *end;
	uint64_t n;

	if (parse_number(text, &n, &end) < 0)
		return -EINVAL;
	if (*end) {
		const char *letter = strchr(letters, *end);

		if (!letter || end[1] ||
			__builtin_mul_overflow(n,
				UINT64_C(1024) << (letter - letters) * 10, &n))
			return -EINVAL;
	}
	*ret = n;
	return 0;
}

int amount_span(const char *text, uint64_t *ret)
{
	static const struct {
		char letter;
		uint32_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400},
		{'w', 7 * 86400}};
	const char *end;
	uint64_t n;

	if (parse_number(text, &n, &end) < 0)
		return -EINVAL;
	if (!*end && n == 0) {
		*ret = 0;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (*end != units[i].letter || end[1])
			continue;
		if (__builtin_mul_overflow(n, units[i].seconds, &n))
			return -EINVAL;
		*ret = n;
		return 0;
	}
	return -EINVAL;
}
