/* SPDX-License-Identifier: Apache-2.0 */
/* Proofs: of every leaf, through changes of keys, and all that proves nothing.
 */
#include <string.h>

#include "fs/seal/proof.h"
#include "tests/unit/unit.h"

#define ORIGIN "h/stele/0"
#define LEAVES 37
#define KEYS 3

struct fixture {
	struct hasher *h;
	uint8_t seed[KEYS][SIGN_SEED_LEN];
	struct note_key key[KEYS];
	struct digest root;
	struct buf handover[KEYS]; /* to key 1, to key 2 */
	struct diag diag;
};

static void record_of(uint64_t i, char ret[32])
{
	(void)snprintf(ret, 32, "record %u", (unsigned)i);
}

static int ask(void *arg, uint64_t first, unsigned level, struct digest *ret)
{
	struct fixture *f = arg;
	struct merkle m = {0};

	for (uint64_t i = first; i < first + (1ull << level); i++) {
		struct digest leaf;
		char record[32];

		record_of(i, record);
		merkle_leaf(f->h, record, strlen(record), &leaf);
		merkle_add(&m, f->h, &leaf);
	}
	merkle_root(&m, f->h, ret);
	return 0;
}

static struct note head_of(struct fixture *f, uint64_t size)
{
	struct note n = {.origin = ORIGIN, .size = size, .root = f->root};

	return n;
}

/* The note by which a key hands over to the next. */
static void make_handover(
	struct fixture *f, unsigned from, uint64_t size, struct buf *ret)
{
	struct note n = head_of(f, size);

	n.kind = NOTE_NEXT_KEY;
	n.number = from + 1;
	n.next = f->key[from + 1];
	assert_int_equal(note_make(&n, f->seed[from], ret), 0);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct merkle m = {0};

	if (!f)
		return -1;
	*state = f;
	f->h = hasher_new();
	assert_non_null(f->h);
	for (uint64_t i = 0; i < LEAVES; i++) {
		struct digest leaf;

		(void)ask(f, i, 0, &leaf);
		merkle_add(&m, f->h, &leaf);
	}
	merkle_root(&m, f->h, &f->root);
	for (unsigned i = 0; i < KEYS; i++) {
		memset(f->seed[i], (int)i + 1, SIGN_SEED_LEN);
		(void)snprintf(f->key[i].name, sizeof(f->key[i].name), ORIGIN);
		assert_int_equal(sign_public(f->seed[i], f->key[i].key), 0);
		buf_init(&f->handover[i], NOTE_MAX);
	}
	make_handover(f, 0, 10, &f->handover[0]);
	make_handover(f, 1, 20, &f->handover[1]);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < KEYS; i++)
		buf_done(&f->handover[i]);
	hasher_free(f->h);
	free(f);
	return 0;
}

static void add_note(struct proof *p, const struct buf *note)
{
	assert_int_equal(proof_add(p, PROOF_KEY, note->data, note->len), 0);
}

/* A proof without notes, its checkpoint signed by one of the keys. */
static void begin(
	struct fixture *f, uint64_t index, unsigned signer, struct proof *ret)
{
	struct note head = head_of(f, LEAVES);
	char record[32];

	proof_init(ret);
	ret->index = index;
	record_of(index, record);
	assert_int_equal(
		proof_add(ret, PROOF_RECORD, record, strlen(record)), 0);
	assert_int_equal(
		merkle_inclusion(f->h, index, LEAVES, ask, f, &ret->path), 0);
	assert_int_equal(note_make(&head, f->seed[signer], &ret->note), 0);
}

/* There and back as text, from exactly as many bytes as there are. */
static void through_text(const struct proof *p, struct proof *ret)
{
	_cleanup_buf_ struct buf text = {.max = PROOF_MAX};
	_cleanup_free_ char *copy = NULL;
	struct diag diag;

	assert_int_equal(proof_make(p, &text), 0);
	copy = malloc(text.len);
	assert_non_null(copy);
	memcpy(copy, text.data, text.len);
	assert_int_equal(proof_parse(copy, text.len, ret, &diag), 0);
}

/* What a reader with this key finds; the proof goes through its text first. */
static int check(struct fixture *f, const struct proof *p, unsigned key)
{
	struct proof back;
	struct note head = {.size = 1};
	int r;

	through_text(p, &back);
	f->diag.text[0] = '\0';
	r = proof_check(&back, &f->key[key], &head, &f->diag);
	proof_done(&back);
	if (r == 0) {
		assert_int_equal(head.size, LEAVES);
		assert_memory_equal(&head.root, &f->root, sizeof(f->root));
	} else {
		assert_int_equal(head.size, 1); /* untouched */
		assert_true(f->diag.text[0]);
	}
	return r;
}

static void test_every_leaf(void **state)
{
	struct fixture *f = *state;

	for (uint64_t i = 0; i < LEAVES; i++) {
		struct proof p;

		begin(f, i, 0, &p);
		assert_int_equal(check(f, &p, 0), 0);
		assert_int_equal(check(f, &p, 1), -ENOKEY);
		p.index = (i + 1) % LEAVES;
		assert_int_equal(check(f, &p, 0), -EBADMSG);
		p.index = i;
		p.extra.data[p.extra.len - 1] ^= 1;
		assert_int_equal(check(f, &p, 0), -EBADMSG);
		proof_done(&p);
	}
}

/* The text is the contract: other tools read it. */
static void test_what_a_proof_says(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf text = {.max = PROOF_MAX};
	_cleanup_buf_ struct buf expected = {.max = PROOF_MAX};
	struct proof p;

	begin(f, 36, 0, &p); /* the last: its path has two hashes */
	assert_int_equal(p.path.len, 2 * DIGEST_LEN);
	assert_int_equal(buf_printf(&expected, "c2sp.org/tlog-proof@v1\n"
					       "extra cgAAAAlyZWNvcmQgMzY=\n"
					       "index 36\n"),
		0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(
			base64_add(&expected, p.path.data + i * DIGEST_LEN,
				DIGEST_LEN),
			0);
		assert_int_equal(buf_add(&expected, "\n", 1), 0);
	}
	assert_int_equal(
		buf_printf(&expected, "\n%.*s", (int)p.note.len, p.note.data),
		0);
	assert_int_equal(proof_make(&p, &text), 0);
	assert_int_equal(text.len, expected.len);
	assert_memory_equal(text.data, expected.data, text.len);
	proof_done(&p);
}

static void test_through_changes_of_keys(void **state)
{
	struct fixture *f = *state;
	struct proof p;

	begin(f, 5, 2, &p);
	assert_int_equal(check(f, &p, 2), 0);
	assert_int_equal(check(f, &p, 0), -ENOKEY);
	add_note(&p, &f->handover[0]);
	add_note(&p, &f->handover[1]);
	for (unsigned known = 0; known < KEYS; known++)
		assert_int_equal(check(f, &p, known), 0);
	proof_done(&p);

	/* A note is missing, or the two have changed places. */
	begin(f, 5, 2, &p);
	add_note(&p, &f->handover[0]);
	assert_int_equal(check(f, &p, 0), -ENOKEY);
	assert_int_equal(check(f, &p, 2), 0);
	proof_done(&p);
	begin(f, 5, 2, &p);
	add_note(&p, &f->handover[1]);
	add_note(&p, &f->handover[0]);
	assert_int_equal(check(f, &p, 0), -ENOKEY);
	proof_done(&p);

	/* The notes go on after the key that signed. */
	begin(f, 5, 1, &p);
	add_note(&p, &f->handover[0]);
	assert_int_equal(check(f, &p, 0), 0);
	add_note(&p, &f->handover[1]);
	assert_int_equal(check(f, &p, 0), -ENOKEY);
	proof_done(&p);
}

static void must_fail_with(
	struct fixture *f, const struct note *n, unsigned signer)
{
	_cleanup_buf_ struct buf note = {.max = NOTE_MAX};
	struct proof p;

	begin(f, 5, 2, &p);
	add_note(&p, &f->handover[0]);
	assert_int_equal(note_make(n, f->seed[signer], &note), 0);
	add_note(&p, &note);
	assert_int_equal(check(f, &p, 0), -EBADMSG);
	proof_done(&p);
}

static void test_notes_that_do_not_follow(void **state)
{
	struct fixture *f = *state;
	struct note good = head_of(f, 20), n;
	struct proof p;

	good.kind = NOTE_NEXT_KEY;
	good.number = 2;
	good.next = f->key[2];
	n = good;
	n.number = 3;
	must_fail_with(f, &n, 1);
	n = good;
	n.size = 9; /* before the key took over */
	must_fail_with(f, &n, 1);
	must_fail_with(f, &good, 0); /* by the key before */
	n = head_of(f, 20);
	must_fail_with(f, &n, 1); /* a checkpoint */

	/* A checkpoint of a time when the last key was not yet in use. */
	begin(f, 5, 2, &p);
	add_note(&p, &f->handover[0]);
	f->handover[2].len = 0;
	make_handover(f, 1, LEAVES + 1, &f->handover[2]);
	add_note(&p, &f->handover[2]);
	assert_int_equal(check(f, &p, 0), -EBADMSG);
	proof_done(&p);

	/* What is no note at all. */
	begin(f, 5, 0, &p);
	assert_int_equal(proof_add(&p, PROOF_KEY, "note", 4), 0);
	assert_int_equal(check(f, &p, 0), -EBADMSG);
	proof_done(&p);
}

/* A key of the same bytes, but of another log. */
static void test_the_key_of_another_log(void **state)
{
	struct fixture *f = *state;
	struct note_key other = f->key[0];
	struct note head;
	struct proof p;

	begin(f, 5, 0, &p);
	other.name[0] = 'x';
	assert_int_equal(proof_check(&p, &other, &head, &f->diag), -ENOKEY);
	proof_done(&p);
}

/* The key's own signature, but of a text that names another log. */
static void test_a_checkpoint_that_names_another_log(void **state)
{
	struct fixture *f = *state;
	uint8_t raw[4 + SIGN_LEN];
	struct note head;
	struct proof p;

	begin(f, 5, 0, &p);

	char *body = p.note.data;
	char *end = memmem(body, p.note.len, "\n\n", 2);
	char *line = body + p.note.len - 1 - BASE64_LEN(sizeof(raw));

	assert_non_null(end);
	assert_int_equal(
		base64_read(line, BASE64_LEN(sizeof(raw)), raw, sizeof(raw)),
		sizeof(raw));
	body[0] = 'x';
	assert_int_equal(
		sign_make(f->seed[0], body, (size_t)(end - body) + 1, raw + 4),
		0);
	base64_write(raw, sizeof(raw), line);
	assert_int_equal(note_check(body, p.note.len, &f->key[0]), 0);
	assert_int_equal(
		proof_check(&p, &f->key[0], &head, &f->diag), -EBADMSG);
	proof_done(&p);
}

static void test_items(void **state)
{
	struct fixture *f = *state;
	static const char row[] = "m\0row";
	struct proof_item item;
	struct proof p, back;
	size_t at = 0;

	begin(f, 5, 1, &p);
	assert_int_equal(proof_add(&p, PROOF_ROW, row, sizeof(row)), 0);
	assert_int_equal(proof_add(&p, PROOF_ROW, NULL, 0), 0);
	add_note(&p, &f->handover[0]);
	through_text(&p, &back);
	assert_int_equal(proof_next(&back, &at, &item), 1);
	assert_int_equal(item.type, PROOF_RECORD);
	assert_int_equal(item.len, strlen("record 5"));
	assert_memory_equal(item.bytes, "record 5", item.len);
	assert_int_equal(proof_next(&back, &at, &item), 1);
	assert_int_equal(item.type, PROOF_ROW);
	assert_int_equal(item.len, sizeof(row));
	assert_memory_equal(item.bytes, row, sizeof(row));
	assert_int_equal(proof_next(&back, &at, &item), 1);
	assert_true(item.type == PROOF_ROW && item.len == 0);
	assert_int_equal(proof_next(&back, &at, &item), 1);
	assert_int_equal(item.type, PROOF_KEY);
	assert_int_equal(proof_next(&back, &at, &item), 0);
	assert_int_equal(
		proof_check(&back, &f->key[0], &(struct note){0}, NULL), 0);
	proof_done(&back);
	proof_done(&p);
}

static int parse_text(const char *text, size_t len, struct diag *diag)
{
	_cleanup_free_ char *copy = malloc(len + !len);
	struct proof p;
	int r;

	assert_non_null(copy);
	memcpy(copy, text, len);
	diag->text[0] = '\0';
	r = proof_parse(copy, len, &p, diag);
	if (r == 0)
		proof_done(&p);
	else
		assert_true(diag->text[0]);
	return r;
}

/* Nothing in it can be changed and still be believed. */
static void test_no_cut_and_no_changed_bit_is_believed(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf text = {.max = PROOF_MAX};
	struct proof p;

	begin(f, 5, 1, &p);
	add_note(&p, &f->handover[0]);
	assert_int_equal(proof_make(&p, &text), 0);
	proof_done(&p);
	for (size_t n = 0; n < text.len; n++)
		assert_int_equal(parse_text(text.data, n, &f->diag), -EBADMSG);
	for (size_t bit = 0; bit < 8 * text.len; bit++) {
		struct note head;
		int r;

		text.data[bit / 8] ^= (char)(1 << bit % 8);
		r = proof_parse(text.data, text.len, &p, &f->diag);
		if (r == 0) {
			r = proof_check(&p, &f->key[0], &head, &f->diag);
			proof_done(&p);
		}
		assert_true(r == -EBADMSG || r == -ENOKEY);
		text.data[bit / 8] ^= (char)(1 << bit % 8);
	}
}

#define HEADER "c2sp.org/tlog-proof@v1\n"
#define RECORD "extra cgAAAAlyZWNvcmQgMzY=\n"
#define HASH "paWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaU=\n"
#define NOTE "h\n9\n" HASH "\n\xe2\x80\x94 w AAAAAAA=\n"

static const struct {
	const char *text, *diag;
} bad_proofs[] = {
	{"", "line 1 "},
	{"\n", "line 1 "},
	{"c2sp.org/tlog-proof@v2\n", "line 1 "},
	{"c2sp.org/tlog-proof@v1 \n", "line 1 "},
	{HEADER, "line 2 "},
	{HEADER "index 1", "line 2 "},
	{HEADER "index 1\n", "line 3 "},
	{HEADER "index 01\n\n" NOTE, "line 2 "},
	{HEADER "index -1\n\n" NOTE, "line 2 "},
	{HEADER "index\n\n" NOTE, "line 2 "},
	{HEADER "index 99999999999999999999\n\n" NOTE, "line 2 "},
	{HEADER "index 9\n\n" NOTE, "line 4 "}, /* not under it */
	{HEADER "extra\nindex 1\n\n" NOTE, "line 2 "},
	{HEADER "extra \nindex 1\n\n" NOTE, "line 2 "},
	{HEADER "extra cgAAAAE\nindex 1\n\n" NOTE, "line 2 "},
	{HEADER "extra cgAAAAlyZWNvcmQgMw==\nindex 1\n\n" NOTE, "line 2 "},
	{HEADER "extra cgAAAAA=\nextra cgAAAAA=\nindex 1\n\n" NOTE, "line 3 "},
	{HEADER "extra cgAAAAByAAAAAA==\nindex 1\n\n" NOTE, "line 2 "},
	{HEADER "extra ZAAAAAA=\nindex 1\n\n" NOTE, "line 2 "},
	{HEADER "extra eAAAAAA=\nindex 1\n\n" NOTE, "line 2 "},
	{HEADER "extra cv////8=\nindex 1\n\n" NOTE, "line 2 "},
	{HEADER "index 1\n" RECORD "\n" NOTE, "line 3 "},
	{HEADER RECORD "index 1\n" HASH NOTE, "line 5 "},
	{HEADER RECORD "index 1\nx" HASH "\n" NOTE, "line 4 "},
	{HEADER RECORD "index 1\n" HASH HASH "AAAA\n\n" NOTE, "line 6 "},
	{HEADER RECORD "index 1\r\n\r\n" NOTE, "line 3 "},
	{HEADER RECORD "index 1\n\n", "line 5 "},
	{HEADER RECORD "index 1\n\n\n" NOTE, "line 5 "},
	{HEADER RECORD "index 1\n\n" NOTE "x\n", "line 5 "},
};

static void test_malformed_proofs(void **state)
{
	struct fixture *f = *state;
	static const char good[] = HEADER RECORD "index 8\n" HASH "\n" NOTE;
	static const char bare[] = HEADER "index 0\n\n" NOTE;
	struct proof p;

	for (size_t i = 0; i < ARRAY_LEN(bad_proofs); i++) {
		const char *text = bad_proofs[i].text;

		if (parse_text(text, strlen(text), &f->diag) != -EBADMSG)
			fail_msg("taken for a proof: %s", text);
		if (strncmp(f->diag.text, bad_proofs[i].diag,
			    strlen(bad_proofs[i].diag)) != 0)
			fail_msg("%s: %s", text, f->diag.text);
	}
	assert_int_equal(parse_text(good, strlen(good), &f->diag), 0);

	/* Well-formed without a record, but it proves nothing. */
	assert_int_equal(proof_parse(bare, strlen(bare), &p, &f->diag), 0);
	assert_int_equal(p.extra.len, 0);
	assert_int_equal(
		proof_check(&p, &f->key[0], &(struct note){0}, &f->diag),
		-ENOKEY);
	proof_done(&p);
	begin(f, 0, 0, &p);
	p.extra.len = 0;
	assert_int_equal(check(f, &p, 0), -EBADMSG);
	proof_done(&p);
}

static void test_the_largest_proof(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf text = {.max = PROOF_MAX};
	_cleanup_free_ char *row = calloc(1, PROOF_EXTRA_MAX);
	struct proof p;
	size_t room;

	assert_non_null(row);
	begin(f, 5, 0, &p);
	assert_int_equal(
		proof_add(&p, PROOF_ROW, row, PROOF_EXTRA_MAX), -E2BIG);
	assert_int_equal(proof_add(&p, PROOF_ROW, row, SIZE_MAX), -E2BIG);
	room = PROOF_EXTRA_MAX - p.extra.len - 5;
	assert_int_equal(proof_add(&p, PROOF_ROW, row, room + 1), -E2BIG);
	assert_int_equal(check(f, &p, 0), 0);
	assert_int_equal(proof_add(&p, PROOF_ROW, row, room), 0);
	assert_int_equal(check(f, &p, 0), 0);

	/* Three bytes more than that, and a hash more than any tree has. */
	assert_int_equal(proof_make(&p, &text), 0);
	p.extra.max += 3;
	assert_int_equal(buf_add(&p.extra, "d\0\0", 3), 0);
	text.len = 0;
	assert_int_equal(proof_make(&p, &text), -EINVAL);
	assert_int_equal(text.len, 0);
	proof_done(&p);

	assert_int_equal(buf_printf(&text, HEADER "index 0\n"), 0);
	for (int i = 0; i < MERKLE_LEVELS; i++)
		assert_int_equal(buf_printf(&text, HASH), 0);

	size_t hashes = text.len;

	assert_int_equal(buf_printf(&text, "\n" NOTE), 0);
	assert_int_equal(parse_text(text.data, text.len, &f->diag), 0);
	text.len = hashes;
	assert_int_equal(buf_printf(&text, HASH "\n" NOTE), 0);
	assert_int_equal(parse_text(text.data, text.len, &f->diag), -EBADMSG);
	assert_non_null(strstr(f->diag.text, "line 67 "));
}

static void test_extra_that_is_too_long(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf text = {.max = 2 * PROOF_MAX};
	_cleanup_free_ char *extra = calloc(1, PROOF_EXTRA_MAX + 3);

	assert_non_null(extra);
	memcpy(extra, "r\0\x80\0\0", 5);
	assert_int_equal(buf_printf(&text, HEADER "extra "), 0);
	assert_int_equal(base64_add(&text, extra, PROOF_EXTRA_MAX + 3), 0);
	assert_int_equal(buf_printf(&text, "\nindex 0\n\n" NOTE), 0);
	assert_int_equal(parse_text(text.data, text.len, &f->diag), -EBADMSG);
	assert_non_null(strstr(f->diag.text, "too long"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_leaf),
		TEST(test_what_a_proof_says),
		TEST(test_through_changes_of_keys),
		TEST(test_notes_that_do_not_follow),
		TEST(test_the_key_of_another_log),
		TEST(test_a_checkpoint_that_names_another_log),
		TEST(test_items),
		TEST(test_no_cut_and_no_changed_bit_is_believed),
		TEST(test_malformed_proofs),
		TEST(test_the_largest_proof),
		TEST(test_extra_that_is_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
