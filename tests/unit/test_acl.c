/* SPDX-License-Identifier: Apache-2.0 */
/* ACL text, as archives have it, and the bytes that the kernel has. */
#include "fs/tree/acl.h"

#include <string.h>

#include "tests/unit/unit.h"

struct entry {
	uint16_t tag, perm;
	uint32_t id;
};

#define NONE UINT32_MAX
#define MORE 8

static const struct {
	const char *text;
	uint32_t mode;
	bool minimal;
	struct entry want[MORE]; /* ends with tag 0 */
} good[] = {
	{"user::rw-\nuser:1000:rw-\ngroup::r--\nmask::rw-\nother::---\n", 0660,
		false,
		{{1, 6, NONE}, {2, 6, 1000}, {4, 4, NONE}, {16, 6, NONE},
			{32, 0, NONE}}},
	{"o::r,g::rx,u::rwx", 0754, true,
		{{1, 7, NONE}, {4, 5, NONE}, {32, 4, NONE}}},
	/* Sorted, whatever the order; comments; blanks; a name's number. */
	{"other:--x, mask:r-x,g:7:r,g:3:w,u:9:x,user:nosuchname:rwx:8,"
	 "group::---,user::rw- # effective\n#nothing\n\n",
		0651, false,
		{{1, 6, NONE}, {2, 7, 8}, {2, 1, 9}, {4, 0, NONE}, {8, 2, 3},
			{8, 4, 7}, {16, 5, NONE}, {32, 1, NONE}}},
	{"u::rw-,u:root:r--,g::r--,m::r--,o::r--", 0644, false,
		{{1, 6, NONE}, {2, 4, 0}, {4, 4, NONE}, {16, 4, NONE},
			{32, 4, NONE}}},
};

static void test_good(void **state)
{
	_cleanup_(owners_free) struct owners *owners = owners_new(false);

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct span text = {good[i].text, strlen(good[i].text)};
		_cleanup_buf_ struct buf b = {.max = 65536};
		struct acl_mode mode = {0};
		struct diag diag = {0};
		const uint8_t *p;

		assert_int_equal(
			acl_from_text(text, owners, &b, &mode, &diag), 0);
		assert_int_equal(mode.mode, good[i].mode);
		assert_int_equal(mode.minimal, good[i].minimal);
		assert_memory_equal(b.data, "\2\0\0\0", 4);
		p = (const uint8_t *)b.data + 4;
		for (size_t k = 0; k < MORE && good[i].want[k].tag; k++) {
			const struct entry *w = &good[i].want[k];
			uint8_t bytes[8] = {(uint8_t)w->tag, 0,
				(uint8_t)w->perm, 0, (uint8_t)w->id,
				(uint8_t)(w->id >> 8), (uint8_t)(w->id >> 16),
				(uint8_t)(w->id >> 24)};

			assert_memory_equal(p, bytes, 8);
			p += 8;
		}
		assert_ptr_equal(p, b.data + b.len);
	}
}

static const char *const bad[] = {
	"",
	"u::rwx,g::rwx",
	"u::rwx,u::rwx,g::rwx,o::rwx",
	"u::rwx,g::rwx,o::rwx,u:5:r", /* no mask */
	"u::rwx,g::rwx,o::rwx,m::r,u:5:r,u:5:w",
	"u::rwxr,g::rwx,o::rwx",
	"u::,g::rwx,o::rwx",
	"u::rws,g::rwx,o::rwx",
	"x::rwx,g::rwx,o::rwx",
	"u::rwx,g::rwx,o:5:rwx",
	"u::rwx,g::rwx,o::rwx,m::r,u:4294967295:r",
	"u::rwx,g::rwx,o::rwx,m::r,u:nosuchname:r",
	"u::rwx,g::rwx,o::rwx,m::r,u:nosuchname:r:x",
	"u::rwx,g::rwx,o::rwx,m::r,u:nosuchname:r:1:2",
	"u",
};

static void test_bad(void **state)
{
	_cleanup_(owners_free) struct owners *owners = owners_new(false);

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct span text = {bad[i], strlen(bad[i])};
		_cleanup_buf_ struct buf b = {.max = 65536};
		struct acl_mode mode;
		struct diag diag = {0};
		int r = acl_from_text(text, owners, &b, &mode, &diag);

		if (r != -EBADMSG || !strstr(diag.text, "access control list"))
			fail_msg("%s: %d %s", bad[i], r, diag.text);
	}
}

/* root is 0 on this machine; the archive says 5. */
static void test_numeric(void **state)
{
	static const char text[] = "u::r,u:root:r:5,g::r,m::r,o::r";
	struct span s = {text, strlen(text)};

	for (int numeric = 0; numeric < 2; numeric++) {
		_cleanup_(owners_free) struct owners *owners =
			owners_new(numeric);
		_cleanup_buf_ struct buf b = {.max = 65536};
		struct acl_mode mode;

		assert_int_equal(acl_from_text(s, owners, &b, &mode, NULL), 0);
		assert_int_equal(b.data[4 + 8 + 4], numeric ? 5 : 0);
	}
}

static void test_many(void **state)
{
	_cleanup_(owners_free) struct owners *owners = owners_new(false);
	_cleanup_buf_ struct buf text = {.max = 1 << 20};
	_cleanup_buf_ struct buf b = {.max = 65536};
	struct acl_mode mode;

	for (int i = 0; i < 10000; i++)
		assert_int_equal(buf_printf(&text, "u:%d:r\n", i), 0);

	struct span s = {text.data, text.len};

	assert_int_equal(acl_from_text(s, owners, &b, &mode, NULL), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_numeric),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
