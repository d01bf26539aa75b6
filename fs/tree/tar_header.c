/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of a tar header; see tar_header.h. */
#include "fs/tree/tar_header.h"

#include <string.h>

/* Base 256, marked by the highest bit; the one below is the sign. */
static int number_256(const uint8_t *p, size_t len, int64_t *ret)
{
	int64_t n = (p[0] & 0x40) ? (int64_t)(p[0] & 0x3f) - 0x40 : p[0] & 0x3f;

	for (size_t i = 1; i < len; i++) {
		if (__builtin_mul_overflow(n, 256, &n))
			return -EBADMSG;
		n += p[i]; /* n is a multiple of 256: no overflow */
	}
	*ret = n;
	return 0;
}

int tar_number(const char *field, size_t len, int64_t *ret)
{
	int64_t n = 0;
	size_t i = 0;

	if ((uint8_t)field[0] & 0x80)
		return number_256((const uint8_t *)field, len, ret);
	while (i < len && (field[i] == ' ' || field[i] == '\0'))
		i++;
	for (; i < len && field[i] >= '0' && field[i] <= '7'; i++)
		n = n * 8 + (field[i] - '0'); /* 12 digits: 36 bits */
	if (i < len && field[i] != ' ' && field[i] != '\0')
		return -EBADMSG;
	*ret = n;
	return 0;
}

int tar_unsigned(const char *field, size_t len, uint64_t *ret)
{
	int64_t n;

	if (tar_number(field, len, &n) < 0 || n < 0)
		return -EBADMSG;
	*ret = (uint64_t)n;
	return 0;
}

int tar_number_32(struct span pax, const char *field, size_t len, uint32_t *ret)
{
	uint64_t n;
	int r = pax.data ? span_number(pax, &n) : tar_unsigned(field, len, &n);

	if (r < 0 || n > UINT32_MAX)
		return -EBADMSG;
	*ret = (uint32_t)n;
	return 0;
}

/* Some old tars added signed bytes. */
bool tar_header_is_right(const struct tar_header *h)
{
	const uint8_t *p = (const uint8_t *)h;
	int64_t sum, plain = 0, with_sign = 0;

	if (tar_number(h->sum, sizeof(h->sum), &sum) < 0)
		return false;
	for (size_t i = 0; i < TAR_BLOCK; i++) {
		bool own = i >= offsetof(struct tar_header, sum) &&
			   i < offsetof(struct tar_header, type);

		plain += own ? ' ' : p[i];
		with_sign += own ? ' ' : (int8_t)p[i];
	}
	return sum == plain || sum == with_sign;
}

bool tar_header_is_ustar(const struct tar_header *h)
{
	return memcmp(h->magic, "ustar", 6) == 0;
}

bool tar_header_is_gnu(const struct tar_header *h)
{
	return memcmp(h->magic, "ustar  ", 8) == 0;
}

/* Name of a block: ustar may have the folders in the prefix, of which star
 * uses the end for something else. */
struct span tar_header_name(const struct tar_header *h, char room[TAR_NAME_MAX])
{
	size_t prefix = sizeof(h->prefix);
	size_t len = strnlen(h->name, sizeof(h->name));

	if (!tar_header_is_ustar(h) || !h->prefix[0])
		return (struct span){h->name, len};
	if (memcmp(h->end + 8, "tar", 4) == 0)
		prefix = 131;
	prefix = strnlen(h->prefix, prefix);
	memcpy(room, h->prefix, prefix);
	room[prefix] = '/';
	memcpy(room + prefix + 1, h->name, len);
	return (struct span){room, prefix + 1 + len};
}
