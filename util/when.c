/* SPDX-License-Identifier: Apache-2.0 */
/* Moments as people type them; see when.h. */
#include "util/when.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#define SECOND INT64_C(1000000000)

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *skip_spaces(const char *p)
{
	while (*p == ' ')
		p++;
	return p;
}

/* From min to max digits; NULL when there are fewer. */
static const char *number(const char *p, int min, int max, int64_t *ret)
{
	int64_t value = 0;
	int n = 0;

	for (; n < max && is_digit(*p); n++, p++)
		value = value * 10 + (*p - '0');
	if (n < min)
		return NULL;
	*ret = value;
	return p;
}

/* ".123", at most to the nanosecond; nothing is no fraction. */
static const char *fraction(const char *p, int64_t *ret)
{
	int64_t unit = SECOND;

	*ret = 0;
	if (*p != '.' || !is_digit(p[1]))
		return p;
	for (p++; is_digit(*p); p++) {
		unit /= 10;
		*ret += unit * (*p - '0');
	}
	return p;
}

static int at_second(int64_t sec, int64_t nsec, int64_t *ret)
{
	int64_t ns;

	if (__builtin_mul_overflow(sec, SECOND, &ns) ||
		__builtin_add_overflow(ns, nsec, &ns))
		return -EINVAL;
	*ret = ns;
	return 0;
}

static int parse_epoch(const char *p, int64_t *ret)
{
	int64_t sec, nsec;

	p = number(p, 1, 18, &sec);
	if (!p)
		return -EINVAL;
	p = fraction(p, &nsec);
	return *p ? -EINVAL : at_second(sec, nsec, ret);
}

/* ---- "-2h", "1h 30m ago", "2 days ago" ---- */

static const struct {
	const char *name;
	int64_t seconds;
} units[] = {
	{"s", 1},
	{"sec", 1},
	{"secs", 1},
	{"second", 1},
	{"seconds", 1},
	{"m", 60},
	{"min", 60},
	{"mins", 60},
	{"minute", 60},
	{"minutes", 60},
	{"h", 3600},
	{"hour", 3600},
	{"hours", 3600},
	{"d", 86400},
	{"day", 86400},
	{"days", 86400},
	{"w", 604800},
	{"week", 604800},
	{"weeks", 604800},
};

static const char *unit(const char *p, int64_t *ret)
{
	size_t len = strspn(p, "abcdefghijklmnopqrstuvwxyz");

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strlen(units[i].name) == len &&
			memcmp(units[i].name, p, len) == 0) {
			*ret = units[i].seconds;
			return p + len;
		}
	}
	return NULL;
}

static int parse_relative(const char *p, int64_t now, int64_t *ret)
{
	bool minus = *p == '-';
	int64_t total = 0;

	p = skip_spaces(p + minus);
	do {
		int64_t count, seconds;

		p = number(p, 1, 10, &count);
		p = p ? unit(skip_spaces(p), &seconds) : NULL;
		if (!p || __builtin_mul_overflow(count, seconds, &count) ||
			__builtin_add_overflow(total, count, &total))
			return -EINVAL;
		p = skip_spaces(p);
	} while (is_digit(*p));
	/* Without either it could as well be meant forward. */
	if (strcmp(p, "ago") != 0 && (!minus || *p))
		return -EINVAL;

	int64_t ns;

	if (at_second(total, 0, &ns) < 0 ||
		__builtin_sub_overflow(now, ns, ret))
		return -EINVAL;
	return 0;
}

/* ---- dates ---- */

static int from_local(struct tm *tm, int64_t nsec, int64_t *ret)
{
	struct tm given = *tm;

	tm->tm_isdst = -1;

	time_t sec = mktime(tm);

	/* mktime makes the 3rd of March of the 31st of February. */
	if (tm->tm_mday != given.tm_mday || tm->tm_mon != given.tm_mon)
		return -EINVAL;
	return at_second(sec, nsec, ret);
}

static int midnight(int64_t now, int days_before, int64_t *ret)
{
	time_t sec = (time_t)(now / SECOND);
	struct tm tm;

	if (!localtime_r(&sec, &tm))
		return -EINVAL;
	tm.tm_mday -= days_before;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_isdst = -1;
	return at_second(mktime(&tm), 0, ret);
}

/* "2026-11-22" */
static const char *date(const char *p, struct tm *tm)
{
	int64_t year, month, day;

	p = number(p, 4, 4, &year);
	p = p && *p == '-' ? number(p + 1, 2, 2, &month) : NULL;
	p = p && *p == '-' ? number(p + 1, 2, 2, &day) : NULL;
	if (!p || month < 1 || month > 12 || day < 1 || day > 31)
		return NULL;
	tm->tm_year = (int)year - 1900;
	tm->tm_mon = (int)month - 1;
	tm->tm_mday = (int)day;
	return p;
}

/* "14:30", "14:30:05", "14:30:05.123" */
static const char *clock_time(const char *p, struct tm *tm, int64_t *ret_nsec)
{
	int64_t hour, min, sec = 0;

	p = number(p, 2, 2, &hour);
	p = p && *p == ':' ? number(p + 1, 2, 2, &min) : NULL;
	if (!p || hour > 23 || min > 59)
		return NULL;
	if (*p == ':') {
		p = number(p + 1, 2, 2, &sec);
		if (!p || sec > 60)
			return NULL;
		p = fraction(p, ret_nsec);
	}
	tm->tm_hour = (int)hour;
	tm->tm_min = (int)min;
	tm->tm_sec = (int)sec;
	return p;
}

/* "Z", "+01:00": seconds east of UTC. */
static const char *zone(const char *p, int64_t *ret)
{
	int64_t hour, min, sign = *p == '-' ? -1 : 1;

	*ret = 0;
	if (*p == 'Z' || *p == 'z')
		return p + 1;
	p = number(p + 1, 2, 2, &hour);
	p = p ? number(p + (*p == ':'), 2, 2, &min) : NULL;
	if (!p || hour > 23 || min > 59)
		return NULL;
	*ret = sign * (hour * 3600 + min * 60);
	return p;
}

static int parse_date(const char *p, int64_t *ret)
{
	struct tm tm = {0};
	int64_t nsec = 0, east;

	p = date(p, &tm);
	if (p && (*p == 'T' || *p == 't' || *p == ' '))
		p = clock_time(p + 1, &tm, &nsec);
	if (!p)
		return -EINVAL;
	if (!*p)
		return from_local(&tm, nsec, ret);
	if (!strchr("Zz+-", *p))
		return -EINVAL;
	p = zone(p, &east);
	if (!p || *p)
		return -EINVAL;

	struct tm given = tm;
	time_t sec = timegm(&tm);

	if (tm.tm_mday != given.tm_mday || tm.tm_mon != given.tm_mon)
		return -EINVAL;
	return at_second(sec - east, nsec, ret);
}

/* A time of today. */
static int parse_clock(const char *p, int64_t now, int64_t *ret)
{
	time_t sec = (time_t)(now / SECOND);
	int64_t nsec = 0;
	struct tm tm;

	if (!localtime_r(&sec, &tm))
		return -EINVAL;
	p = clock_time(p, &tm, &nsec);
	return p && !*p ? from_local(&tm, nsec, ret) : -EINVAL;
}

int when_parse(const char *text, int64_t now, int64_t *ret)
{
	int64_t ns;
	int r;

	if (strcmp(text, "now") == 0) {
		*ret = now;
		return 0;
	}
	if (strcmp(text, "today") == 0)
		return midnight(now, 0, ret);
	if (strcmp(text, "yesterday") == 0)
		return midnight(now, 1, ret);
	if (*text == '@')
		r = parse_epoch(text + 1, &ns);
	else if (strspn(text, "0123456789") == 4 && text[4] == '-')
		r = parse_date(text, &ns);
	else if (strspn(text, "0123456789") == 2 && text[2] == ':')
		r = parse_clock(text, now, &ns);
	else
		r = parse_relative(text, now, &ns);
	if (r == 0)
		*ret = ns;
	return r;
}
