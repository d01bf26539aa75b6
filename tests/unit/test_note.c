/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signed notes: the reference note of other implementations, ours there and
 * back, and everything that is nearly one.
 */
#include <string.h>

#include "fs/seal/note.h"
#include "tests/unit/unit.h"

#define ORIGIN "host.example/stele/0123456789abcdef"
#define DASH "\xe2\x80\x94 "

/* The key and the note that golang.org/x/mod/sumdb/note documents; the secret
 * is published with them. */
#define PETER_KEY \
	"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
#define PETER_SEED "gQoUAtUUbI2E8kQzMPVAgOv5juF9nHT2JS/F1ccoMXM="
#define PETER_TEXT                                                   \
	"If you think cryptography is the answer to your problem,\n" \
	"then you don't know what your problem is.\n"
#define PETER_LINE                                                          \
	DASH "PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIu" \
	     "GUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"

/* The example of C2SP signed-note, by a key that is not published. */
#define POEM                                                                  \
	"Ognuno sta solo sul cuor della terra\n"                              \
	"trafitto da un raggio di sole:\n\ned \xc3\xa8 subito sera.\n\n" DASH \
	"quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5dd"   \
	"nGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"

/* The example of C2SP tlog-checkpoint. */
#define SOFA                                                                \
	"example.com/behind-the-sofa\n20852163\n"                           \
	"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n" DASH             \
	"example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJ" \
	"urmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"

struct fixture {
	uint8_t seed[2][SIGN_SEED_LEN];
	struct note_key key[2];
	struct note checkpoint, next_key;
	struct buf text[2]; /* of the two, signed with key 0 */
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	*state = f;
	for (int i = 0; i < 2; i++) {
		memset(f->seed[i], 'a' + i, SIGN_SEED_LEN);
		assert_int_equal(sign_public(f->seed[i], f->key[i].key), 0);
		(void)snprintf(f->key[i].name, sizeof(f->key[i].name), ORIGIN);
		buf_init(&f->text[i], NOTE_MAX);
	}
	f->checkpoint = (struct note){.size = 20852163};
	(void)snprintf(
		f->checkpoint.origin, sizeof(f->checkpoint.origin), ORIGIN);
	memset(&f->checkpoint.root, 0xa5, sizeof(f->checkpoint.root));
	f->next_key = f->checkpoint;
	f->next_key.kind = NOTE_NEXT_KEY;
	f->next_key.number = 17;
	f->next_key.next = f->key[1];
	assert_int_equal(note_make(&f->checkpoint, f->seed[0], &f->text[0]), 0);
	assert_int_equal(note_make(&f->next_key, f->seed[0], &f->text[1]), 0);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	buf_done(&f->text[0]);
	buf_done(&f->text[1]);
	free(f);
	return 0;
}

static struct note_key key_of(const char *text)
{
	struct note_key k;

	assert_int_equal(note_key_parse(text, strlen(text), &k), 0);
	return k;
}

/* On the heap and no longer than it is, so that reading past it is seen. */
static char *exact(const char *text, size_t len)
{
	char *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	if (len)
		memcpy(copy, text, len);
	return copy;
}

static int parse(const char *text, size_t len, struct note *ret)
{
	_cleanup_free_ char *copy = exact(text, len);

	return note_parse(copy, len, ret);
}

static int check(const char *text, size_t len, const struct note_key *k)
{
	_cleanup_free_ char *copy = exact(text, len);

	return note_check(copy, len, k);
}

static int check_text(const char *text, const struct note_key *k)
{
	return check(text, strlen(text), k);
}

static bool same_note(const struct note *a, const struct note *b)
{
	return a->kind == b->kind && strcmp(a->origin, b->origin) == 0 &&
	       a->size == b->size && digest_equal(&a->root, &b->root) &&
	       a->number == b->number &&
	       strcmp(a->next.name, b->next.name) == 0 &&
	       memcmp(a->next.key, b->next.key, SIGN_PUBLIC_LEN) == 0;
}

static void test_the_reference_note(void **state)
{
	struct note_key peter = key_of(PETER_KEY), other = peter;
	_cleanup_buf_ struct buf seed = {.max = SIGN_SEED_LEN};
	uint8_t public[SIGN_PUBLIC_LEN], signature[SIGN_LEN + 4];
	char again[NOTE_KEY_MAX];

	assert_int_equal(note_key_print(&peter, again), 0);
	assert_string_equal(again, PETER_KEY);
	assert_int_equal(check_text(PETER_TEXT "\n" PETER_LINE, &peter), 0);

	/* Ed25519 has no chance in it: our signature is the one published. */
	assert_int_equal(
		base64_parse(PETER_SEED, strlen(PETER_SEED), &seed), 0);
	assert_int_equal(sign_public((uint8_t *)seed.data, public), 0);
	assert_memory_equal(public, peter.key, sizeof(public));
	assert_int_equal(sign_make((uint8_t *)seed.data, PETER_TEXT,
				 strlen(PETER_TEXT), signature + 4),
		0);
	memcpy(signature, "\xc7\x4f\x20\xa3", 4);

	char line[BASE64_LEN(sizeof(signature)) + 2] = "";

	base64_write(signature, sizeof(signature), line);
	memcpy(line + BASE64_LEN(sizeof(signature)), "\n", 2);
	assert_string_equal(strstr(PETER_LINE, "x08"), line);

	/* Of another text, by another key, by another name. */
	assert_int_equal(
		check_text("x" PETER_TEXT "\n" PETER_LINE, &peter), -EBADMSG);
	other.key[0] ^= 1;
	assert_int_equal(
		check_text(PETER_TEXT "\n" PETER_LINE, &other), -ENOKEY);
	other = peter;
	other.name[0] = 'p';
	assert_int_equal(
		check_text(PETER_TEXT "\n" PETER_LINE, &other), -ENOKEY);
}

static void test_the_examples_of_the_specifications(void **state)
{
	struct note_key peter = key_of(PETER_KEY);
	struct note n;

	assert_int_equal(check_text(POEM, &peter), -ENOKEY);
	assert_int_equal(parse(POEM, strlen(POEM), &n), -EBADMSG);
	assert_int_equal(check_text(SOFA, &peter), -ENOKEY);
	assert_int_equal(parse(SOFA, strlen(SOFA), &n), 0);
	assert_int_equal(n.kind, NOTE_CHECKPOINT);
	assert_string_equal(n.origin, "example.com/behind-the-sofa");
	assert_int_equal(n.size, 20852163);
	assert_int_equal(n.root.bytes[0], 0x0a);
	assert_int_equal(n.root.bytes[DIGEST_LEN - 1], 0x62);
}

static void test_there_and_back(void **state)
{
	struct fixture *f = *state;
	struct note *notes[] = {&f->checkpoint, &f->next_key};
	static const uint64_t sizes[] = {0, 1, 10, INT64_MAX};

	for (size_t i = 0; i < ARRAY_LEN(notes); i++)
		for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
			_cleanup_buf_ struct buf b = {.max = NOTE_MAX};
			struct note back;

			notes[i]->size = sizes[k];
			assert_int_equal(
				note_make(notes[i], f->seed[0], &b), 0);
			assert_int_equal(parse(b.data, b.len, &back), 0);
			assert_true(same_note(&back, notes[i]));
			assert_int_equal(check(b.data, b.len, &f->key[0]), 0);
			assert_int_equal(
				check(b.data, b.len, &f->key[1]), -ENOKEY);
		}
}

/* The text is the contract: other tools read it. */
static void test_what_a_note_says(void **state)
{
	struct fixture *f = *state;
	static const char head[] = ORIGIN
		"\n20852163\n"
		"paWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaU=\n\n" DASH ORIGIN
		" ";
	char key[NOTE_KEY_MAX], second[NOTE_KEY_MAX + 100];

	assert_true(f->text[0].len > strlen(head));
	assert_memory_equal(f->text[0].data, head, strlen(head));
	assert_int_equal(note_key_print(&f->key[1], key), 0);
	(void)snprintf(second, sizeof(second),
		ORIGIN "\nstele key 17\n%s\n20852163\n", key);
	assert_memory_equal(f->text[1].data, second, strlen(second));
}

static void test_the_longest_origin(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf b = {.max = NOTE_MAX};
	struct note n = f->next_key, back;
	char text[NOTE_KEY_MAX];

	memset(n.origin, 'o', NOTE_ORIGIN_MAX);
	n.origin[NOTE_ORIGIN_MAX] = '\0';
	memcpy(n.next.name, n.origin, sizeof(n.origin));
	n.number = n.size = INT64_MAX;
	assert_int_equal(note_make(&n, f->seed[0], &b), 0);
	assert_true(b.len < NOTE_MAX / 2);
	assert_int_equal(parse(b.data, b.len, &back), 0);
	assert_true(same_note(&back, &n));
	assert_int_equal(note_key_print(&n.next, text), 0);
	assert_int_equal(strlen(text), NOTE_ORIGIN_MAX + 1 + 8 + 1 + 44);
}

static const char *const bad_origins[] = {"", " ", "a b", "a+b", "a\nb", "a\tb",
	"a\rb", "a\x7f", "a\xc2\x85", "a\xc2\xa0", "a\xe1\x9a\x80",
	"a\342\200\203b", "\xe2\x80\xa8", "\xe3\x80\x80", "\xff", "a\xc3",
	"\xc0\xaf", "\xed\xa0\x80"};

static void test_origins(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf b = {.max = NOTE_MAX};
	char long_one[NOTE_ORIGIN_MAX + 2];

	for (size_t i = 0; i < ARRAY_LEN(bad_origins); i++) {
		struct note n = f->checkpoint;

		assert_false(note_is_origin(bad_origins[i]));
		(void)snprintf(
			n.origin, sizeof(n.origin), "%s", bad_origins[i]);
		assert_int_equal(note_make(&n, f->seed[0], &b), -EINVAL);
	}
	assert_true(note_is_origin("h"));
	assert_true(note_is_origin(ORIGIN));
	assert_true(note_is_origin("r\xc3\xa4um/st\xc3\xa9le"));
	memset(long_one, 'x', sizeof(long_one));
	long_one[NOTE_ORIGIN_MAX + 1] = '\0';
	assert_false(note_is_origin(long_one));
	long_one[NOTE_ORIGIN_MAX] = '\0';
	assert_true(note_is_origin(long_one));
	assert_int_equal(b.len, 0);
}

static void test_what_can_not_be_made(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf b = {.max = 6 + 100};
	struct note n = f->checkpoint;

	assert_int_equal(buf_add(&b, "before", 6), 0);
	assert_int_equal(note_make(&n, f->seed[0], &b), -E2BIG);
	n.size = 1ull << 63;
	assert_int_equal(note_make(&n, f->seed[0], &b), -EINVAL);
	n = f->next_key;
	n.number = 0;
	assert_int_equal(note_make(&n, f->seed[0], &b), -EINVAL);
	n = f->next_key;
	n.next.name[0]++;
	assert_int_equal(note_make(&n, f->seed[0], &b), -EINVAL);
	assert_int_equal(b.len, 6);
	assert_memory_equal(b.data, "before", 6);
}

static void test_each_cut_is_refused(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 2; i++)
		for (size_t len = 0; len < f->text[i].len; len++) {
			struct note n;

			assert_int_equal(
				parse(f->text[i].data, len, &n), -EBADMSG);
			assert_int_equal(
				check(f->text[i].data, len, &f->key[0]),
				-EBADMSG);
		}
}

/*
 * Whatever a byte is changed to, the note says what it said or is refused, or
 * is no longer signed: nobody believes what the key has not signed.
 */
static void test_no_changed_byte_is_believed(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 2; i++)
		for (size_t at = 0; at < f->text[i].len; at++) {
			_cleanup_free_ char *copy =
				exact(f->text[i].data, f->text[i].len);

			for (int c = 0; c < 256; c++) {
				int r;

				if ((char)c == f->text[i].data[at])
					continue;
				copy[at] = (char)c;
				r = note_check(
					copy, f->text[i].len, &f->key[0]);
				assert_true(r == -EBADMSG || r == -ENOKEY);
			}
		}
}

/* A byte that is inserted or left out, likewise. */
static void test_no_shifted_byte_is_believed(void **state)
{
	struct fixture *f = *state;
	static const char inserted[] = "\n\r \0=A0+";
	const struct buf *b = &f->text[0];

	for (size_t at = 0; at <= b->len; at++)
		for (size_t c = 0; c < sizeof(inserted); c++) {
			_cleanup_free_ char *copy = malloc(b->len + 1);

			assert_non_null(copy);
			memcpy(copy, b->data, at);
			copy[at] = inserted[c];
			memcpy(copy + at + 1, b->data + at, b->len - at);
			assert_true(
				note_check(copy, b->len + 1, &f->key[0]) < 0);
		}
	for (size_t at = 0; at < b->len; at++) {
		_cleanup_free_ char *copy = exact(b->data, b->len);

		memmove(copy + at, copy + at + 1, b->len - at - 1);
		assert_true(note_check(copy, b->len - 1, &f->key[0]) < 0);
	}
}

#define ROOT "paWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaU=\n"
#define SIGNED         \
	"\n" DASH "w " \
	"AAAAAAA=\n"

static const char *const bad_notes[] = {
	"",
	"\n",
	"\n\n",
	SIGNED,
	"h\n1\n" ROOT,
	"h\n1\n" ROOT "\n",
	"h\n1\n" SIGNED,
	"h\n" ROOT SIGNED,
	"h\n\n" ROOT SIGNED,
	"h\n01\n" ROOT SIGNED,
	"h\n00\n" ROOT SIGNED,
	"h\n-1\n" ROOT SIGNED,
	"h\n+1\n" ROOT SIGNED,
	"h\n 1\n" ROOT SIGNED,
	"h\n1 \n" ROOT SIGNED,
	"h\n0x1\n" ROOT SIGNED,
	"h\n1\r\n" ROOT SIGNED,
	"h\r\n1\n" ROOT SIGNED,
	"h\n9223372036854775808\n" ROOT SIGNED,
	"h\n18446744073709551617\n" ROOT SIGNED,
	"h\n99999999999999999999999999\n" ROOT SIGNED,
	"h h\n1\n" ROOT SIGNED,
	"h+h\n1\n" ROOT SIGNED,
	"\xc3\n1\n" ROOT SIGNED,
	"h\n1\n" ROOT "more\n" SIGNED,
	"h\n1\npaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaV=\n" SIGNED,
	"h\n1\npaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaU\n" SIGNED,
	"h\n1\npaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWl\n" SIGNED,
	"h\n1\npaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpQ==\n" SIGNED,
	"h\n1\n" ROOT "\n" DASH "w AAAAAAA=",
	"h\n1\n" ROOT "\n" DASH "w AAAAAAA=\n\n",
	"h\n1\n" ROOT "\n" DASH "w AAAAAAA=\nx\n",
	"h\n1\n" ROOT "\n" DASH "w AAAAAA==\n",
	"h\n1\n" ROOT "\n" DASH "w \n",
	"h\n1\n" ROOT "\n" DASH "w\n",
	"h\n1\n" ROOT "\n" DASH " AAAAAAA=\n",
	"h\n1\n" ROOT "\n" DASH "w w AAAAAAA=\n",
	"h\n1\n" ROOT "\n" DASH "w+ AAAAAAA=\n",
	"h\n1\n" ROOT "\n" DASH "\xff AAAAAAA=\n",
	"h\n1\n" ROOT "\n" DASH "w\x01 AAAAAAA=\n",
	"h\n1\n" ROOT "\n- w AAAAAAA=\n",
	"h\n1\n" ROOT "\n\xe2\x80\x94w AAAAAAA=\n",
	"h\nstele key 1\n1\n" ROOT SIGNED,
	"PeterNeumann\nstele key 0\n" PETER_KEY "\n1\n" ROOT SIGNED,
	"PeterNeumann\nstele key 01\n" PETER_KEY "\n1\n" ROOT SIGNED,
	"PeterNeumann\nstele key\n" PETER_KEY "\n1\n" ROOT SIGNED,
	"peterNeumann\nstele key 1\n" PETER_KEY "\n1\n" ROOT SIGNED,
	"PeterNeumann\nstele key 1\n" PETER_KEY "\n" SIGNED,
	"PeterNeumann\nstele key 1\n" PETER_KEY "\n1\n" SIGNED,
};

static void test_malformed_notes(void **state)
{
	static const char good[] = "h\n1\n" ROOT SIGNED;
	static const char good_key[] =
		"PeterNeumann\nstele key 1\n" PETER_KEY "\n1\n" ROOT SIGNED;
	struct note n = {.size = 7};

	for (size_t i = 0; i < ARRAY_LEN(bad_notes); i++) {
		if (parse(bad_notes[i], strlen(bad_notes[i]), &n) != -EBADMSG)
			fail_msg("taken for a note: %s", bad_notes[i]);
		assert_int_equal(n.size, 7); /* untouched */
	}
	assert_int_equal(parse(good, strlen(good), &n), 0);
	assert_int_equal(parse(good_key, strlen(good_key), &n), 0);
	assert_int_equal(parse("h\n\0001\n" ROOT SIGNED,
				 sizeof("h\n\0001\n" ROOT SIGNED) - 1, &n),
		-EBADMSG);
}

static void test_a_note_has_a_longest(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf b = {.max = NOTE_MAX + 100};
	static const char line[] = DASH "w AAAAAAA=\n";
	struct note n;

	assert_int_equal(buf_add(&b, f->text[0].data, f->text[0].len), 0);
	while (b.len + strlen(line) <= NOTE_MAX) {
		assert_int_equal(buf_add(&b, line, strlen(line)), 0);
		assert_int_equal(parse(b.data, b.len, &n), 0);
	}
	assert_int_equal(check(b.data, b.len, &f->key[0]), 0);
	assert_int_equal(buf_add(&b, line, strlen(line)), 0);
	assert_int_equal(parse(b.data, b.len, &n), -EBADMSG);
	assert_int_equal(check(b.data, b.len, &f->key[0]), -EBADMSG);
}

/* Append a signature line of any key to a note. */
static void cosign(struct buf *note, size_t body, const char *name,
	const uint8_t seed[SIGN_SEED_LEN], uint8_t damage)
{
	struct note_key k;
	uint8_t raw[4 + SIGN_LEN];
	char text[NOTE_KEY_MAX];
	unsigned id;

	(void)snprintf(k.name, sizeof(k.name), "%s", name);
	assert_int_equal(sign_public(seed, k.key), 0);
	assert_int_equal(note_key_print(&k, text), 0);
	assert_int_equal(sscanf(strchr(text, '+'), "+%8x", &id), 1);
	for (int i = 0; i < 4; i++)
		raw[i] = (uint8_t)(id >> (24 - 8 * i));
	assert_int_equal(sign_make(seed, note->data, body, raw + 4), 0);
	raw[4] ^= damage;
	assert_int_equal(buf_printf(note, DASH "%s ", name), 0);
	assert_int_equal(base64_add(note, raw, sizeof(raw)), 0);
	assert_int_equal(buf_add(note, "\n", 1), 0);
}

static void test_other_signatures_beside_ours(void **state)
{
	struct fixture *f = *state;
	const char *end = strstr(f->text[0].data, "\n\n");
	size_t body = (size_t)(end - f->text[0].data) + 1;
	_cleanup_buf_ struct buf b = {.max = NOTE_MAX};
	struct note n;

	/* A witness, before ours and after; one whose is wrong; our name with
	 * another key. None of them matters. */
	assert_int_equal(buf_add(&b, f->text[0].data, body + 1), 0);
	cosign(&b, body, "w\xc3\xaftness", f->seed[1], 0);
	cosign(&b, body, "liar", f->seed[1], 1);
	cosign(&b, body, ORIGIN, f->seed[1], 1);
	assert_int_equal(parse(b.data, b.len, &n), 0);
	assert_int_equal(check(b.data, b.len, &f->key[0]), -ENOKEY);
	cosign(&b, body, ORIGIN, f->seed[0], 0);
	cosign(&b, body, "last", f->seed[1], 0);
	assert_int_equal(check(b.data, b.len, &f->key[0]), 0);
	assert_int_equal(parse(b.data, b.len, &n), 0);
	assert_true(same_note(&n, &f->checkpoint));

	/* Ours twice is ours; ours and one that claims to be is not. */
	cosign(&b, body, ORIGIN, f->seed[0], 0);
	assert_int_equal(check(b.data, b.len, &f->key[0]), 0);
	cosign(&b, body, ORIGIN, f->seed[0], 1);
	assert_int_equal(check(b.data, b.len, &f->key[0]), -EBADMSG);
}

static void test_keys(void **state)
{
	size_t len = strlen(PETER_KEY);
	_cleanup_free_ char *copy = exact(PETER_KEY, len);
	struct note_key k;

	for (size_t from = 0; from <= len; from++)
		for (size_t to = from; to <= len; to++)
			assert_int_equal(
				note_key_parse(copy + from, to - from, &k),
				from == 0 && to == len ? 0 : -EBADMSG);
	for (size_t at = 0; at < len; at++)
		for (int c = 0; c < 256; c++) {
			copy[at] = (char)c;
			assert_int_equal(note_key_parse(copy, len, &k),
				c == PETER_KEY[at] ? 0 : -EBADMSG);
			copy[at] = PETER_KEY[at];
		}
}

#define WITH_NOTES(name) \
	cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_reference_note),
		cmocka_unit_test(test_the_examples_of_the_specifications),
		WITH_NOTES(test_there_and_back),
		WITH_NOTES(test_what_a_note_says),
		WITH_NOTES(test_the_longest_origin),
		WITH_NOTES(test_origins),
		WITH_NOTES(test_what_can_not_be_made),
		WITH_NOTES(test_each_cut_is_refused),
		WITH_NOTES(test_no_changed_byte_is_believed),
		WITH_NOTES(test_no_shifted_byte_is_believed),
		cmocka_unit_test(test_malformed_notes),
		WITH_NOTES(test_a_note_has_a_longest),
		WITH_NOTES(test_other_signatures_beside_ours),
		cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
