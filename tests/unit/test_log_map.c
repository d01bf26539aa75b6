/* SPDX-License-Identifier: Apache-2.0 */
/* Cells of a ledger as fields of other schemas, and what a record says. */
#include "util/log_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/unit.h"
#include "util/log_record.h"

static void clear(struct query_row *row)
{
	for (int i = 0; i < QUERY_COLUMNS; i++)
		row->cell[i] = (struct query_cell){.null = true};
	row->names = (struct query_cell){.null = true};
}

static struct query_cell bytes(const char *text, size_t len)
{
	return (struct query_cell){.bytes = text, .len = len};
}

#define B(text) bytes(text, sizeof(text) - 1)
#define N(n) ((struct query_cell){.number = (n)})

/* A cell, and the value as JSON; NULL: none. */
static const struct {
	enum query_column column;
	enum log_map_as as;
	const char *text;
	size_t len;
	int64_t number;
	const char *json;
} values[] = {
	{QUERY_PATH, LOG_MAP_PLAIN, "/a", 2, 0, "\"/a\""},
	{QUERY_PATH, LOG_MAP_PLAIN, "/\xff\n", 3, 0, "\"/\\\\xff\\\\n\""},
	{QUERY_PATH, LOG_MAP_RAW, "/a", 2, 0, NULL},
	{QUERY_PATH, LOG_MAP_RAW, "/\xff", 2, 0, "\"L/8=\""},
	{QUERY_PATH, LOG_MAP_BASE, "/a/b", 4, 0, "\"b\""},
	{QUERY_PATH, LOG_MAP_BASE, "/a/b/", 5, 0, "\"b/\""},
	{QUERY_PATH, LOG_MAP_BASE, "/", 1, 0, "\"/\""},
	{QUERY_PATH, LOG_MAP_BASE, "", 0, 0, "\"\""},
	{QUERY_PATH, LOG_MAP_BASE, "plain", 5, 0, "\"plain\""},
	{QUERY_PATH, LOG_MAP_FOLDER, "/a/b", 4, 0, "\"/a\""},
	{QUERY_PATH, LOG_MAP_FOLDER, "/a", 2, 0, "\"/\""},
	{QUERY_PATH, LOG_MAP_FOLDER, "/", 1, 0, "\"/\""},
	{QUERY_CMDLINE, LOG_MAP_WORDS, "a\0b c\0", 6, 0, "[\"a\",\"b c\"]"},
	{QUERY_CMDLINE, LOG_MAP_WORDS, "cut", 3, 0, "[\"cut\"]"},
	{QUERY_CMDLINE, LOG_MAP_WORDS, "", 0, 0, NULL},
	{QUERY_CMDLINE, LOG_MAP_LINE, "a\0b\0\0", 5, 0, "\"a b\""},
	{QUERY_GROUPS, LOG_MAP_LIST, "0 4  24 ", 8, 0, "[\"0\",\"4\",\"24\"]"},
	{QUERY_GROUPS, LOG_MAP_LIST, "", 0, 0, NULL},
	{QUERY_UID, LOG_MAP_STRING, NULL, 0, 4294967294, "\"4294967294\""},
	{QUERY_AUID, LOG_MAP_ID, NULL, 0, 4294967295, NULL},
	{QUERY_AUID, LOG_MAP_ID, NULL, 0, 1000, "1000"},
	{QUERY_SES, LOG_MAP_ID_STRING, NULL, 0, 4294967295, NULL},
	{QUERY_SES, LOG_MAP_ID_STRING, NULL, 0, 7, "\"7\""},
	{QUERY_MODE, LOG_MAP_OCTAL, NULL, 0, S_IFREG | 0640, "\"0640\""},
	{QUERY_MODE, LOG_MAP_OCTAL, NULL, 0, -1, "\"7777\""},
	{QUERY_FLAGS, LOG_MAP_HEX, NULL, 0, 0x8241, "\"0x8241\""},
	{QUERY_DAC_DENIED, LOG_MAP_PLAIN, NULL, 0, 1, "true"},
	{QUERY_T_REAL, LOG_MAP_MILLI, NULL, 0, 1500000, "1"},
	{QUERY_T_REAL, LOG_MAP_NANO, NULL, 0, 15, "15"},
	{QUERY_T_REAL, LOG_MAP_PLAIN, NULL, 0, -1,
		"\"1969-12-31T23:59:59.999999999Z\""},
	{QUERY_CAP_EFF, LOG_MAP_CAPS, NULL, 0, 0, "[]"},
	{QUERY_CAP_EFF, LOG_MAP_CAPS, NULL, 0, 1 | 1 << 21,
		"[\"CAP_CHOWN\",\"CAP_SYS_ADMIN\"]"},
	{QUERY_CAP_EFF, LOG_MAP_CAPS, NULL, 0, INT64_MIN, "[\"63\"]"},
	{QUERY_TTY, LOG_MAP_TTY, NULL, 0, 0, NULL},
	{QUERY_TTY, LOG_MAP_TTY, NULL, 0, 0x8803, "\"pts/3\""},
	{QUERY_TTY, LOG_MAP_TTY, NULL, 0, 0x0401, "\"tty1\""},
	{QUERY_TTY, LOG_MAP_TTY, NULL, 0, 0x0440, "\"ttyS0\""},
	{QUERY_IMAGE_ID, LOG_MAP_PLAIN, "short", 5, 0, "\"short\""},
};

static void test_values(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		struct log_map line = {
			.column = values[i].column, .as = values[i].as};
		struct query_row row;
		json_t *value;
		char *text;

		clear(&row);
		row.cell[values[i].column] =
			(struct query_cell){.bytes = values[i].text,
				.len = values[i].len,
				.number = values[i].number};
		assert_int_equal(log_map_value(&line, &row, &value), 0);
		text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT)
			     : NULL;
		if (values[i].json)
			assert_string_equal(
				text ? text : "none", values[i].json);
		else
			assert_null(text);
		free(text);
		json_decref(value);
	}
}

static void test_a_null_cell_is_no_field(void **state)
{
	static const struct log_map map[] = {
		{"a.b", QUERY_PATH, LOG_MAP_PLAIN},
		{"a.c", QUERY_UID, LOG_MAP_STRING},
		{0},
	};
	struct query_row row;
	json_t *root = json_object();

	clear(&row);
	assert_int_equal(log_map_nested(root, map, &row), 0);
	assert_int_equal(json_object_size(root), 0);
	json_decref(root);
}

static void test_keys_with_dots_are_objects(void **state)
{
	static const struct log_map map[] = {
		{"a.b.c", QUERY_PATH, LOG_MAP_PLAIN},
		{"a.d", QUERY_UID, LOG_MAP_STRING},
		{0},
	};
	struct query_row row;
	json_t *root = json_object(), *flat = json_object();
	char *text;

	clear(&row);
	row.cell[QUERY_PATH] = B("/x");
	row.cell[QUERY_UID] = N(5);
	assert_int_equal(log_map_nested(root, map, &row), 0);
	assert_int_equal(log_map_flat(flat, map, &row), 0);
	text = json_dumps(root, JSON_COMPACT);
	assert_string_equal(text, "{\"a\":{\"b\":{\"c\":\"/x\"},\"d\":\"5\"}}");
	free(text);
	text = json_dumps(flat, JSON_COMPACT);
	assert_string_equal(text, "{\"a.b.c\":\"/x\",\"a.d\":\"5\"}");
	free(text);
	json_decref(root);
	json_decref(flat);
}

/* ---- what a record says ---- */

static void attempt(struct query_row *row, const char *op)
{
	clear(row);
	row->cell[QUERY_SEQ] = N(1);
	row->cell[QUERY_T_REAL] = N(1000);
	row->cell[QUERY_OP] = bytes(op, strlen(op));
	row->cell[QUERY_ERRNO] = N(EPERM);
	row->cell[QUERY_COUNT] = N(1);
	row->cell[QUERY_TARGETS] = N(1);
	row->cell[QUERY_PATH] = B("/a\nb");
	row->cell[QUERY_UID] = N(0);
}

static void test_every_kind_has_a_class(void **state)
{
	struct log_record r;
	struct query_row row;

	for (int op = 0; op < LEDGER_OP_COUNT; op++) {
		attempt(&row, ledger_op_name((enum ledger_op)op));
		assert_int_equal(log_record_read(&row, &r), 0);
		assert_int_not_equal(r.class, LOG_EVENT);
		assert_string_equal(r.op, ledger_op_name((enum ledger_op)op));
		log_record_done(&r);
	}
	for (int event = 0; event < LEDGER_EVENT_COUNT; event++) {
		attempt(&row, ledger_event_name((enum ledger_event)event));
		row.cell[QUERY_TEXT_OF_EVENT] = B("what");
		assert_int_equal(log_record_read(&row, &r), 0);
		assert_int_equal(r.class, LOG_EVENT);
		log_record_done(&r);
	}
}

static void test_message(void **state)
{
	struct log_record r;
	struct query_row row;

	attempt(&row, "unlink");
	assert_int_equal(log_record_read(&row, &r), 0);
	assert_string_equal(r.message, "refused: unlink /a\\nb by a process "
				       "that is not visible, uid 0: EPERM");
	log_record_done(&r);

	row.cell[QUERY_COMM] = B("rm\x1b");
	row.cell[QUERY_PID] = N(12);
	row.cell[QUERY_COUNT] = N(30);
	row.cell[QUERY_TARGETS] = N(20);
	row.cell[QUERY_T_LAST] = N(5000);
	assert_int_equal(log_record_read(&row, &r), 0);
	assert_string_equal(r.message,
		"refused: unlink 20 names in /a\\nb by rm\\e[12], uid 0: "
		"EPERM, 30 times");
	assert_int_equal(r.first, 1000);
	assert_int_equal(r.end, 5000);
	log_record_done(&r);
}

static void test_forged_records_are_bounded(void **state)
{
	struct log_record r;
	struct query_row row;

	attempt(&row, "an operation of a name that is longer than any is");
	row.cell[QUERY_COUNT] = N(INT64_MAX);
	row.cell[QUERY_TARGETS] = N(INT64_MIN);
	row.cell[QUERY_ERRNO] = N(INT64_MAX);
	assert_int_equal(log_record_read(&row, &r), 0);
	assert_string_equal(r.op, "?");
	assert_null(r.error);
	assert_true(r.count <= INT64_C(1) << 32);
	assert_int_equal(r.targets, 1);
	log_record_done(&r);
}

static void test_security_attributes(void **state)
{
	struct log_record r;
	struct query_row row;

	attempt(&row, "setxattr");
	row.cell[QUERY_XATTR] = B("user.x");
	assert_int_equal(log_record_read(&row, &r), 0);
	assert_int_equal(r.class, LOG_ATTRIBUTES);
	log_record_done(&r);
	row.cell[QUERY_XATTR] = B("security.selinux");
	assert_int_equal(log_record_read(&row, &r), 0);
	assert_int_equal(r.class, LOG_SECURITY);
	log_record_done(&r);
	row.cell[QUERY_XATTR] = B("system.posix_acl_access");
	assert_int_equal(log_record_read(&row, &r), 0);
	assert_int_equal(r.class, LOG_SECURITY);
	log_record_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_a_null_cell_is_no_field),
		cmocka_unit_test(test_keys_with_dots_are_objects),
		cmocka_unit_test(test_every_kind_has_a_class),
		cmocka_unit_test(test_message),
		cmocka_unit_test(test_forged_records_are_bounded),
		cmocka_unit_test(test_security_attributes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
