/* SPDX-License-Identifier: Apache-2.0 */
/* Ed25519 against the vectors of RFC 8032, section 7.1, and damaged. */
#include <string.h>

#include "fs/codec/sign.h"
#include "tests/unit/unit.h"

#define TEXT_MAX 64

static const struct vector {
	const char *seed, *key, *text, *signature;
} vectors[] = {
	{"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
		"d75a980182b10ab7d54bfed3c964073a"
		"0ee172f3daa62325af021a68f707511a",
		"",
		"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901"
		"555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a"
		"100b"},
	{"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
		"3d4017c3e843895a92b70aa74d1b7ebc"
		"9c982ccf2ec4968cc0cd55f12af4660c",
		"72",
		"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69"
		"da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb"
		"0c00"},
	{"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
		"fc51cd8e6218a1a38da47ed00230f058"
		"0816ed13ba3303ac5deb911548908025",
		"af82",
		"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3"
		"ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1e"
		"c40a"},
	{"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
		"ec172b93ad5e563bf4932c70e1245034"
		"c35467ef2efd4d64ebf819683467e2bf",
		"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d3"
		"9a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54c"
		"a49f",
		"dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b5"
		"8909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331"
		"a704"},
};

/* How many bytes the text stands for; they go to ret. */
static size_t unhex(const char *text, uint8_t *ret, size_t max)
{
	size_t len = strlen(text) / 2;

	assert_true(len <= max && strlen(text) == 2 * len);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(sscanf(text + 2 * i, "%2hhx", &ret[i]), 1);
	return len;
}

static void test_the_vectors_of_the_rfc(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		const struct vector *v = &vectors[i];
		uint8_t seed[SIGN_SEED_LEN], key[SIGN_PUBLIC_LEN];
		uint8_t text[TEXT_MAX], signature[SIGN_LEN];
		uint8_t public[SIGN_PUBLIC_LEN], made[SIGN_LEN];
		size_t len = unhex(v->text, text, sizeof(text));

		assert_int_equal(unhex(v->seed, seed, sizeof(seed)), 32);
		assert_int_equal(unhex(v->key, key, sizeof(key)), 32);
		assert_int_equal(
			unhex(v->signature, signature, sizeof(signature)), 64);

		assert_int_equal(sign_public(seed, public), 0);
		assert_memory_equal(public, key, sizeof(key));
		assert_int_equal(sign_make(seed, text, len, made), 0);
		assert_memory_equal(made, signature, sizeof(signature));
		assert_int_equal(sign_check(key, text, len, signature), 0);
	}
}

struct signed_text {
	uint8_t key[SIGN_PUBLIC_LEN];
	uint8_t text[16];
	uint8_t signature[SIGN_LEN];
};

static int check(const struct signed_text *s)
{
	return sign_check(s->key, s->text, sizeof(s->text), s->signature);
}

static void test_each_damaged_bit_is_refused(void **state)
{
	uint8_t seed[SIGN_SEED_LEN];
	struct signed_text s = {.text = "one ledger"};

	assert_int_equal(sign_new(seed), 0);
	assert_int_equal(sign_public(seed, s.key), 0);
	assert_int_equal(
		sign_make(seed, s.text, sizeof(s.text), s.signature), 0);
	assert_int_equal(check(&s), 0);
	for (size_t bit = 0; bit < 8 * sizeof(s); bit++) {
		struct signed_text bad = s;

		((uint8_t *)&bad)[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(check(&bad), -EBADMSG);
	}
	assert_int_equal(sign_check(s.key, s.text, 15, s.signature), -EBADMSG);
}

/* Adding the order of the group gives a second signature of the same text,
 * unless it is refused as RFC 8032 demands. */
static void test_the_other_form_of_a_signature_is_refused(void **state)
{
	static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63,
		0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
		0x14, [31] = 0x10};
	uint8_t seed[SIGN_SEED_LEN] = {1};
	struct signed_text s = {.text = "twice"};
	unsigned carry = 0;

	assert_int_equal(sign_public(seed, s.key), 0);
	assert_int_equal(
		sign_make(seed, s.text, sizeof(s.text), s.signature), 0);
	for (size_t i = 0; i < 32; i++) {
		carry += s.signature[32 + i] + order[i];
		s.signature[32 + i] = (uint8_t)carry;
		carry >>= 8;
	}
	assert_int_equal(check(&s), -EBADMSG);
}

static void test_new_secrets_differ(void **state)
{
	uint8_t a[SIGN_SEED_LEN], b[SIGN_SEED_LEN], zero[SIGN_SEED_LEN] = {0};

	assert_int_equal(sign_new(a), 0);
	assert_int_equal(sign_new(b), 0);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_memory_not_equal(a, zero, sizeof(a));
}

static void test_what_is_forgotten_is_gone(void **state)
{
	uint8_t secret[SIGN_SEED_LEN], zero[SIGN_SEED_LEN] = {0};

	memset(secret, 7, sizeof(secret));
	sign_forget(secret, sizeof(secret) - 1);
	assert_memory_equal(secret, zero, sizeof(secret) - 1);
	assert_int_equal(secret[sizeof(secret) - 1], 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_vectors_of_the_rfc),
		cmocka_unit_test(test_each_damaged_bit_is_refused),
		cmocka_unit_test(test_the_other_form_of_a_signature_is_refused),
		cmocka_unit_test(test_new_secrets_differ),
		cmocka_unit_test(test_what_is_forgotten_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
