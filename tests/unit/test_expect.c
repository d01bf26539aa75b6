/* SPDX-License-Identifier: Apache-2.0 */
/* fs/audit/expect.h: checkpoints as people and logs keep them. */
#include "fs/audit/expect.h"

#include <string.h>

#include "fs/seal/note.h"
#include "tests/lib/scratch.h"
#include "tests/unit/unit.h"

#define DASH "\xe2\x80\x94 "
#define ROOT "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static void make(uint64_t size, struct buf *ret)
{
	static const uint8_t seed[SIGN_SEED_LEN] = {1};
	struct note n = {
		.kind = NOTE_CHECKPOINT, .origin = "h/s", .size = size};

	buf_init(ret, NOTE_MAX);
	assert_int_equal(note_make(&n, seed, ret), 0);
}

/* As anchors write it to a log. */
static void make_line(uint64_t size, const char *before, struct buf *ret)
{
	_cleanup_buf_ struct buf note;

	make(size, &note);

	const char *signature = memmem(note.data, note.len, "\n\n", 2);

	assert_non_null(signature);
	buf_init(ret, NOTE_MAX);
	assert_int_equal(
		buf_printf(ret, "%sstele checkpoint h/s %llu " ROOT " %.*s",
			before, (unsigned long long)size,
			(int)(note.data + note.len - signature - 2),
			signature + 2),
		0);
}

static int parse(struct expect *e, const struct buf *text)
{
	struct diag diag = {0};
	int r;

	expect_init(e);
	r = expect_parse(e, text->data, text->len, "FILE", &diag);
	assert_true(r == 0 || strncmp(diag.text, "FILE", 4) == 0);
	return r;
}

static void test_notes(void **state)
{
	_cleanup_buf_ struct buf text, one, two;
	struct expect e;
	struct note n;

	buf_init(&text, 1 << 16);
	make(7, &one);
	make(3, &two);
	/* What is around them is of no interest. */
	assert_int_equal(
		buf_printf(&text,
			"# kept by hand\n\n%.*s\n%.*s" DASH
			"witness AAAAAAAAAA==\nend\n",
			(int)one.len, one.data, (int)two.len, two.data),
		0);
	assert_int_equal(parse(&e, &text), 0);
	assert_int_equal(e.count, 2);
	expect_sort(&e);
	assert_int_equal(e.all[0].size, 3);
	assert_int_equal(e.all[1].size, 7);
	for (size_t i = 0; i < e.count; i++) {
		assert_int_equal(
			note_parse(e.text.data + e.all[i].at, e.all[i].len, &n),
			0);
		assert_int_equal(n.size, e.all[i].size);
	}
	expect_done(&e);
}

static void test_lines(void **state)
{
	static const char *const befores[] = {
		"",
		"Nov 22 06:28:51 host stele[77]: ",
		"{\"MESSAGE\":\"x\"} ",
	};

	for (size_t i = 0; i < ARRAY_LEN(befores); i++) {
		_cleanup_buf_ struct buf line, note;
		struct expect e;

		make_line(12, befores[i], &line);
		make(12, &note);
		assert_int_equal(parse(&e, &line), 0);
		assert_int_equal(e.count, 1);
		assert_int_equal(e.all[0].size, 12);
		/* It is the note again, byte by byte, so it can be checked. */
		assert_int_equal(e.text.len, note.len);
		assert_memory_equal(e.text.data, note.data, note.len);
		expect_done(&e);
	}
}

static void test_bad(void **state)
{
	static const char *const bad[] = {
		"",
		"\n\n\n",
		"nothing of interest\n",
		"stele checkpoint ",
		"stele checkpoint h/s 7 " ROOT "\n",
		"stele checkpoint h/s x " ROOT " " DASH "h/s AAAA\n",
		"stele checkpoint h/s 7 AAAA " DASH "h/s AAAA\n",
		"h/s\nx\n" ROOT "\n\n" DASH "h/s AAAA\n",
		"h/s\n7\n" ROOT "\n\n" DASH "\n",
		"h/s\n7\n" ROOT "\n\n",
		/* A change of keys is no checkpoint. */
		"h/s\nstele key 1\nh/s+00000000+AAAA\n7\n" ROOT "\n\n" DASH
		"h/s AAAA\n",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		_cleanup_buf_ struct buf text;
		struct expect e;

		print_message("%s\n", bad[i]);
		buf_init(&text, 4096);
		assert_int_equal(buf_add(&text, bad[i], strlen(bad[i]) + 1), 0);
		text.len--;
		assert_int_equal(parse(&e, &text), -EBADMSG);
		expect_done(&e);
	}
}

/* One that is malformed is told, with its line, though others are well. */
static void test_line_number(void **state)
{
	_cleanup_buf_ struct buf text, one;
	struct diag diag = {0};
	struct expect e;

	buf_init(&text, 1 << 16);
	make(7, &one);
	assert_int_equal(buf_printf(&text, "%.*s\nstele checkpoint h/s\n",
				 (int)one.len, one.data),
		0);
	expect_init(&e);
	assert_int_equal(
		expect_parse(&e, text.data, text.len, "FILE", &diag), -EBADMSG);
	assert_non_null(strstr(diag.text, "FILE, line 7:"));
	expect_done(&e);
}

/* Any byte may be another, and the text may end anywhere. */
static void test_damage(void **state)
{
	_cleanup_buf_ struct buf text, one, line;

	buf_init(&text, 1 << 16);
	make(7, &one);
	make_line(9, "x ", &line);
	assert_int_equal(buf_add(&text, one.data, one.len), 0);
	assert_int_equal(buf_add(&text, line.data, line.len), 0);
	for (size_t i = 0; i < text.len; i++) {
		/* In memory of its own: reading past the end would show. */
		_cleanup_free_ char *copy = malloc(i + 1);
		struct buf cut = {.data = copy, .len = i + 1};
		struct expect e;

		memcpy(copy, text.data, i + 1);
		assert_true(parse(&e, &cut) <= 0);
		expect_done(&e);
		text.data[i] ^= 0x11;
		assert_true(parse(&e, &text) <= 0);
		expect_done(&e);
		text.data[i] ^= 0x11;
	}
}

static void test_file(void **state)
{
	_cleanup_buf_ struct buf one;
	struct diag diag = {0};
	char path[SCRATCH_PATH];
	struct scratch s;
	struct expect e;

	assert_true(scratch_init(&s));
	make(7, &one);
	assert_true(scratch_write(&s, "note", one.data, one.len));
	expect_init(&e);
	assert_int_equal(
		expect_read(&e, scratch_name(&s, "note", path), &diag), 0);
	assert_int_equal(
		expect_read(&e, scratch_name(&s, "note", path), &diag), 0);
	assert_int_equal(e.count, 2);
	assert_int_equal(expect_read(&e, scratch_name(&s, "none", path), &diag),
		-ENOENT);
	expect_done(&e);
	scratch_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_line_number),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
