/* SPDX-License-Identifier: Apache-2.0 */
/* A gap as the text of its event, for people and for questions; see gap.h. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "fs/base/base64.h"
#include "fs/base/json.h"
#include "fs/ledger/gap_internal.h"

static void add_time(struct json *j, const char *name, uint64_t ns)
{
	time_t sec = (time_t)((int64_t)ns / 1000000000);
	char text[64];
	struct tm tm;

	if (!gmtime_r(&sec, &tm) ||
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		text[0] = '\0';
	json_text(j, name, text);
}

static void add_ops(struct json *j, const struct counts *c)
{
	json_open(j, "ops");
	for (int op = 0; op < LEDGER_OP_COUNT; op++) {
		if (c->n[COUNT_OPS + op])
			json_int(j, ledger_op_name((enum ledger_op)op),
				(int64_t)c->n[COUNT_OPS + op]);
	}
	json_close(j);
}

#define FILTER_BEFORE ",\"bloom\":{\"bits\":"
#define FILTER_SET ",\"hashes\":4,\"set\":\""
#define FILTER_AFTER "\"}}"

_Static_assert(SKETCH_HASHES == 4, "as the text says");

/* The filter comes last, where a reader finds it and a person can stop. */
static int add_filter(const struct sketch *s, struct buf *ret)
{
	_cleanup_buf_ struct buf set = {.max = BASE64_LEN(SKETCH_BITS / 8)};
	uint32_t bits;
	int r = sketch_pack(s, &set, &bits);

	return r < 0 ? r
		     : buf_printf(ret,
			       FILTER_BEFORE "%" PRIu32 FILTER_SET
					     "%.*s" FILTER_AFTER,
			       bits, (int)set.len, set.data);
}

int gap_describe(const struct gap *g, struct buf *ret)
{
	const struct counts *c = &g->now;
	struct json j;

	json_begin(&j, ret);
	json_int(&j, "gap", (int64_t)c->n[COUNT_NUMBER]);
	json_int(&j, "attempts", (int64_t)c->n[COUNT_ATTEMPTS]);
	add_time(&j, "first", c->n[COUNT_FIRST]);
	add_time(&j, "last", c->n[COUNT_LAST]);
	add_ops(&j, c);
	json_bytes(&j, "first_path", c->first, c->n[COUNT_FIRST_LEN]);
	json_bytes(&j, "last_path", c->last, c->n[COUNT_LAST_LEN]);
	json_int(&j, "paths", (int64_t)sketch_estimate(&g->sketch));
	if (j.error < 0)
		return j.error;
	return add_filter(&g->sketch, ret);
}

/* ---- for readers ---- */

uint64_t gap_number_of(const char *text, size_t len)
{
	static const char head[] = "{\"gap\":";
	const size_t head_len = sizeof(head) - 1;
	uint64_t n = 0;

	if (len < head_len || memcmp(text, head, head_len) != 0)
		return 0;
	for (size_t i = head_len; i < len; i++) {
		if (text[i] == ',')
			return n;
		if (text[i] < '0' || text[i] > '9' ||
			__builtin_mul_overflow(n, 10, &n) ||
			__builtin_add_overflow(
				n, (uint64_t)(text[i] - '0'), &n))
			return 0;
	}
	return 0;
}

/* Take a known text off the front. */
static bool skip(const char **at, const char *end, const char *text)
{
	size_t len = strlen(text);

	if ((size_t)(end - *at) < len || memcmp(*at, text, len) != 0)
		return false;
	*at += len;
	return true;
}

/* The base64 of the filter, and how many bits it has. No string before it can
 * hold what stands before it, since there its quotes would be escaped. */
static bool find_filter(const char *text, size_t len, const char **ret,
	size_t *ret_len, uint32_t *ret_bits)
{
	const char *end = text + len;
	const char *at =
		memmem(text, len, FILTER_BEFORE, strlen(FILTER_BEFORE));
	uint32_t bits = 0;

	if (!at)
		return false;
	at += strlen(FILTER_BEFORE);
	for (; at < end && *at >= '0' && *at <= '9'; at++) {
		bits = bits * 10 + (uint32_t)(*at - '0');
		if (bits > SKETCH_BITS)
			return false;
	}
	if (bits < 8 || (bits & (bits - 1)) || !skip(&at, end, FILTER_SET))
		return false;
	*ret = at;
	*ret_len = BASE64_LEN(bits / 8);
	*ret_bits = bits;
	if ((size_t)(end - at) < *ret_len)
		return false;
	at += *ret_len;
	return skip(&at, end, FILTER_AFTER) && at == end;
}

int gap_may_hold(const char *text, size_t len, const char *path)
{
	_cleanup_free_ uint8_t *filter = malloc(SKETCH_BITS / 8);
	struct digest name;
	const char *set;
	size_t set_len;
	uint32_t bits;

	if (!filter)
		return -ENOMEM;
	if (!gap_number_of(text, len) ||
		!find_filter(text, len, &set, &set_len, &bits) ||
		base64_read(set, set_len, filter, SKETCH_BITS / 8) !=
			(ssize_t)(bits / 8))
		return -EBADMSG;

	int r = digest_of(path, strlen(path), &name);

	return r < 0 ? r : sketch_may_hold(filter, bits, &name);
}
