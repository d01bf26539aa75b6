/* SPDX-License-Identifier: Apache-2.0 */
/* Digests against known answers; frames there and back, and bad ones. */
#include <string.h>

#include "fs/codec/digest.h"
#include "fs/codec/zstd.h"
#include "tests/unit/unit.h"

static const struct {
	const char *text;
	const char *sha256;
} known[] = {
	{"", "e3b0c44298fc1c149afbf4c8996fb924"
	     "27ae41e4649b934ca495991b7852b855"},
	{"abc", "ba7816bf8f01cfea414140de5dae2223"
		"b00361a396177a9cb410ff61f20015ad"},
};

static void test_sha256(void **state)
{
	_cleanup_(hasher_free) struct hasher *h = hasher_new();

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		struct digest a, b, c;
		char hex[DIGEST_HEX_LEN + 1];
		size_t len = strlen(known[i].text);

		hasher_begin(h);
		for (size_t k = 0; k < len; k++)
			hasher_add(h, known[i].text + k, 1);
		hasher_end(h, &a);
		digest_hex(&a, hex);
		assert_string_equal(hex, known[i].sha256);
		assert_int_equal(digest_of(known[i].text, len, &b), 0);
		assert_true(digest_equal(&a, &b));
		assert_int_equal(digest_parse(hex, &c), 0);
		assert_true(digest_equal(&a, &c));
	}
}

static const char *const not_hex[] = {
	"",
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85",
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8555",
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85g",
	" 3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
};

static void test_digest_parse(void **state)
{
	struct digest d;

	for (size_t i = 0; i < ARRAY_LEN(not_hex); i++)
		assert_int_equal(digest_parse(not_hex[i], &d), -EINVAL);
}

static void test_checksum(void **state)
{
	/* XXH3 of nothing with seed 0, as its specification gives it. */
	assert_true(checksum("", 0) == 0x2d06800538d394c2);
	assert_true(checksum("a", 1) != checksum("b", 1));
}

static void test_zstd(void **state)
{
	_cleanup_(compressor_free) struct compressor *c =
		compressor_new(ZSTD_LEVEL_MAX);
	_cleanup_(decompressor_free) struct decompressor *d =
		decompressor_new();
	char raw[1000], packed[2002], again[2000];

	memset(raw, 'x', sizeof(raw));

	size_t n = compressor_run(c, packed, raw, sizeof(raw));

	assert_in_range(n, 1, sizeof(raw) - 1);
	assert_int_equal(decompressor_run(d, again, 1000, packed, n), 0);
	assert_memory_equal(raw, again, sizeof(raw));
	assert_int_equal(decompressor_run(d, again, 999, packed, n), -EBADMSG);
	assert_int_equal(decompressor_run(d, again, 1001, packed, n), -EBADMSG);
	assert_int_equal(
		decompressor_run(d, again, 1000, packed, n - 1), -EBADMSG);
	assert_int_equal(decompressor_run(d, again, 1000, raw, 1000), -EBADMSG);

	/* Two frames are not one, and nothing may hide behind one. */
	memcpy(packed + n, packed, n);
	assert_int_equal(
		decompressor_run(d, again, 2000, packed, 2 * n), -EBADMSG);
	memcpy(packed + n, "\x50\x2a\x4d\x18\4\0\0\0hide", 12);
	assert_int_equal(
		decompressor_run(d, again, 1000, packed, n + 12), -EBADMSG);
}

static void test_incompressible(void **state)
{
	_cleanup_(compressor_free) struct compressor *c = compressor_new(3);
	uint8_t raw[64], packed[64];
	struct digest d;

	assert_int_equal(digest_of("seed", 4, &d), 0);
	memcpy(raw, d.bytes, 32);
	assert_int_equal(digest_of(raw, 32, &d), 0);
	memcpy(raw + 32, d.bytes, 32);
	assert_int_equal(compressor_run(c, packed, raw, sizeof(raw)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha256),
		cmocka_unit_test(test_digest_parse),
		cmocka_unit_test(test_checksum),
		cmocka_unit_test(test_zstd),
		cmocka_unit_test(test_incompressible),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
