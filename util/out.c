/* SPDX-License-Identifier: Apache-2.0 */
/* Names, sizes, times and colour for a person's eyes; see out.h. */
#include "util/out.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/utf8.h"
#include "util/out_pager.h"

bool out_is_utf8(const char *bytes, size_t len)
{
	return utf8_is_valid(bytes, len);
}

/* Would it move the cursor, end a line or change the reading direction? */
static bool is_forging(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == '\\' ||
	       c == 0x061c || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/* Write one byte as an escape of at most four characters. */
static size_t escape(unsigned char c, char *ret)
{
	static const char digits[] = "0123456789abcdef";
	const char letter = c == '\n'	? 'n'
			    : c == '\t' ? 't'
			    : c == '\r' ? 'r'
			    : c == 0x1b ? 'e'
			    : c == '\\' ? '\\'
					: 'x';

	ret[0] = '\\';
	ret[1] = letter;
	if (letter != 'x')
		return 2;
	ret[2] = digits[c >> 4];
	ret[3] = digits[c & 15];
	return 4;
}

/*
 * Escape the character at the start of s (len > 0) into ret, room for 16 bytes;
 * *ret_len of them are used. Returns how many bytes of s that took.
 */
static size_t show(
	const unsigned char *s, size_t len, char *ret, size_t *ret_len)
{
	uint32_t c;
	size_t n = utf8_decode((const char *)s, len, &c);

	*ret_len = 0;
	if (n > 0 && !is_forging(c)) {
		memcpy(ret, s, n);
		*ret_len = n;
		return n;
	}
	if (n == 0)
		n = 1;
	for (size_t i = 0; i < n; i++)
		*ret_len += escape(s[i], ret + *ret_len);
	return n;
}

void out_name(FILE *f, const char *bytes, size_t len)
{
	const unsigned char *s = (const unsigned char *)bytes;

	for (size_t i = 0; i < len;) {
		char text[16];
		size_t n;

		i += show(s + i, len - i, text, &n);
		fwrite(text, 1, n, f);
	}
}

char *out_name_string(const char *bytes, size_t len)
{
	const unsigned char *s = (const unsigned char *)bytes;
	size_t room, used = 0;
	char *text;

	if (__builtin_mul_overflow(len, 4, &room) || room > SIZE_MAX - 16)
		return NULL;
	text = malloc(room + 16);
	if (!text)
		return NULL;
	for (size_t i = 0; i < len;) {
		size_t n;

		i += show(s + i, len - i, text + used, &n);
		used += n;
	}
	text[used] = '\0';
	return text;
}

bool out_color(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	if (no && *no)
		return false;
	if (!term || strcmp(term, "dumb") == 0)
		return false;
	return out_pager_runs() || isatty(STDOUT_FILENO);
}

void out_size(uint64_t bytes, char ret[16])
{
	static const char units[] = "KMGTPE";
	double v = (double)bytes;
	size_t unit = 0;

	if (bytes < 1024) {
		(void)snprintf(ret, 16, "%" PRIu64, bytes);
		return;
	}
	/* 1023.5K would round to 1024K */
	for (v /= 1024; v >= 1023.5 && units[unit + 1]; v /= 1024)
		unit++;
	(void)snprintf(ret, 16, v < 9.95 ? "%.1f%c" : "%.0f%c", v, units[unit]);
}

void out_time(int64_t sec, uint32_t nsec, char ret[40])
{
	/* RFC 3339 has years of four digits: 0000-01-01 to 9999-12-31. */
	const int64_t first = -62167219200, last = 253402300799;
	time_t t = (time_t)sec;
	char text[96]; /* as much as the compiler thinks a tm may need */
	struct tm tm;

	if (sec < first || sec > last || !gmtime_r(&t, &tm)) {
		(void)snprintf(ret, 40, "@%" PRId64 ".%09" PRIu32, sec, nsec);
		return;
	}
	(void)snprintf(text, sizeof(text),
		"%04d-%02d-%02dT%02d:%02d:%02d.%09" PRIu32 "Z",
		tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
		tm.tm_min, tm.tm_sec, nsec);
	(void)snprintf(ret, 40, "%.39s", text);
}

int64_t out_time_split(int64_t ns, uint32_t *ret_nsec)
{
	int64_t sec = ns / 1000000000, rest = ns % 1000000000;

	*ret_nsec = (uint32_t)(rest < 0 ? rest + 1000000000 : rest);
	return rest < 0 ? sec - 1 : sec;
}

void out_time_ns(int64_t ns, char ret[40])
{
	uint32_t nsec;
	int64_t sec = out_time_split(ns, &nsec);

	out_time(sec, nsec, ret);
}
