/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A canonical image has no byte without use: whichever is changed, and wherever
 * the file is cut, opening or checking it says so, without crashing and without
 * taking memory that the file does not justify.
 */
#include <malloc.h>
#include <stdbool.h>
#include <string.h>

#include "fs/image/image.h"
#include "tests/lib/image_exercise.h"
#include "tests/lib/image_parts.h"
#include "tests/lib/image_sample.h"
#include "tests/unit/unit.h"

/* Bytes allocated by our own code at one time, at most. */
#define MEMORY_MAX (64u << 20)

/* Linked with --wrap: calls of the allocator are counted on their way. */
void *__real_malloc(size_t len);
void *__real_calloc(size_t count, size_t len);
void *__real_realloc(void *p, size_t len);
void __real_free(void *p);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t count, size_t len);
void *__wrap_realloc(void *p, size_t len);
void __wrap_free(void *p);

static size_t in_use, most_in_use;
static long failing = -1; /* number of the allocation that fails */

static bool fails(void)
{
	return failing >= 0 && failing-- == 0;
}

static void *count_in(void *p)
{
	in_use += p ? malloc_usable_size(p) : 0;
	if (in_use > most_in_use)
		most_in_use = in_use;
	return p;
}

static void count_out(void *p)
{
	size_t len = p ? malloc_usable_size(p) : 0;

	/* What a library allocated and we free was never counted. */
	in_use -= len < in_use ? len : in_use;
}

void *__wrap_malloc(size_t len)
{
	return fails() ? NULL : count_in(__real_malloc(len));
}

void *__wrap_calloc(size_t count, size_t len)
{
	return fails() ? NULL : count_in(__real_calloc(count, len));
}

void *__wrap_realloc(void *p, size_t len)
{
	if (fails())
		return NULL;

	size_t old = p ? malloc_usable_size(p) : 0;
	void *q = __real_realloc(p, len);

	if (q || !len)
		in_use -= old < in_use ? old : in_use;
	return count_in(q);
}

void __wrap_free(void *p)
{
	count_out(p);
	__real_free(p);
}

static void must_be_found(
	const void *data, size_t len, const char *how, size_t at)
{
	int r = image_exercise(data, len);

	if (r != -EBADMSG && r != -EOPNOTSUPP)
		fail_msg("%s byte %zu: %d", how, at, r);
}

static void damage_each_byte(int level)
{
	_cleanup_buf_ struct buf image = {.max = 1 << 20};
	struct sample s = sample_all_kinds(level);

	assert_int_equal(sample_image(&s, &image), 0);
	assert_int_equal(image_exercise(image.data, image.len), 0);
	for (size_t i = 0; i < image.len; i++) {
		char good = image.data[i];

		image.data[i] = (char)~good;
		must_be_found(image.data, image.len, "inverted", i);
		image.data[i] = (char)(good + 1);
		must_be_found(image.data, image.len, "incremented", i);
		image.data[i] = good;
	}
	assert_int_equal(image_exercise(image.data, image.len), 0);
}

static void test_bytes_raw(void **state)
{
	damage_each_byte(0);
}

static void test_bytes_zstd(void **state)
{
	damage_each_byte(3);
}

/* In a copy of its own length, so that reading past its end is seen. */
static void cut_at(const struct buf *image, size_t len)
{
	_cleanup_free_ char *copy = malloc(len + !len);

	assert_non_null(copy);
	memcpy(copy, image->data, len);
	must_be_found(copy, len, "cut at", len);
}

static void cut_everywhere(int level)
{
	_cleanup_buf_ struct buf image = {.max = 1 << 20};
	struct sample s = sample_all_kinds(level);

	assert_int_equal(sample_image(&s, &image), 0);
	for (size_t len = 0; len < image.len; len++)
		cut_at(&image, len);
	assert_int_equal(buf_add(&image, "", 1), 0);
	must_be_found(image.data, image.len, "longer by", 1);
}

static void test_cuts(void **state)
{
	cut_everywhere(0);
	cut_everywhere(3);
}

/*
 * The same damage behind digests that are right: a hostile writer's. Not every
 * such image is bad (another owner is as good as the first), but the exercise
 * stops the process if what opens does not keep its promises.
 */
static void test_sealed_damage(void **state)
{
	_cleanup_buf_ struct buf image = {.max = 1 << 20};
	struct sample s = sample_all_kinds(0);
	size_t refused = 0, tried = 0, tables;

	assert_int_equal(sample_image(&s, &image), 0);
	assert_int_equal(image_exercise_sealed(image.data, image.len), 0);
	tables = le64toh(((const struct layout_super *)(const void *)image.data)
				 ->sections[0]
				 .off);
	for (size_t i = tables; i < image.len; i++) {
		static const int steps[] = {1, -1, 0x7f};

		for (size_t k = 0; k < ARRAY_LEN(steps); k++) {
			char good = image.data[i];

			image.data[i] = (char)(good + steps[k]);
			refused += image_exercise_sealed(
					   image.data, image.len) < 0;
			image.data[i] = good;
			tried++;
		}
	}
	/* Most fields can have one value only. */
	assert_true(refused > tried / 2);
	assert_true(refused < tried);
}

/* Each byte of the superblock changed behind its own digest. */
static void test_sealed_super(void **state)
{
	_cleanup_buf_ struct buf image = {.max = 1 << 20};
	struct sample s = sample_all_kinds(3);

	assert_int_equal(sample_image(&s, &image), 0);
	assert_int_equal(image_exercise_super(image.data, image.len), 0);
	for (size_t i = 0; i < offsetof(struct layout_super, image_id); i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			image.data[i] ^= (char)(1u << bit);
			assert_true(image_exercise_super(
					    image.data, image.len) < 0);
			image.data[i] ^= (char)(1u << bit);
		}
	}
}

/* A small file that claims the most that a section may claim. */
static void test_greedy_sections(void **state)
{
	_cleanup_buf_ struct buf image = {.max = 1 << 20};
	struct sample s = sample_nothing(0);
	struct image_parts p;

	assert_int_equal(sample_image(&s, &image), 0);
	assert_int_equal(image_parts_read(image.data, image.len, &p), 0);
	for (int i = 0; i < SECTION_COUNT; i++) {
		struct buf *t = &p.tables[i];

		/* Zeros shrink by more than the ratio allows: the largest
		 * that is still accepted is near to it. */
		assert_non_null(buf_reserve(t, 1 << 20));
		memset(t->data + t->len, 0, (1 << 20) - t->len);
		t->len = (1 << 20) / (64 * 48 * 56) * (64 * 48 * 56);
		p.packed[i] = true;
	}
	buf_reset(&image);
	assert_int_equal(image_parts_write(&p, &image), 0);
	image_parts_done(&p);
	assert_true(image.len < 64 << 10);
	must_be_found(image.data, image.len, "greedy", 0);
}

static int open_and_check(const struct buf *image)
{
	_cleanup_(source_free) struct source *src = NULL;
	_cleanup_(image_free) struct image *img = NULL;
	struct diag diag;
	int r = source_from_memory(image->data, image->len, &src);

	if (r == 0)
		r = image_open(src, &img, &diag);
	if (r < 0)
		return r;
	(void)take_ptr(src); /* the image has it */
	return image_check(img, NULL);
}

/* Whichever allocation fails, it is told, and nothing leaks (under ASan). */
static void test_no_memory(void **state)
{
	_cleanup_buf_ struct buf image = {.max = 1 << 20};
	struct sample s = sample_all_kinds(3);
	long n = 0;
	int r;

	assert_int_equal(sample_image(&s, &image), 0);
	do {
		failing = n++;
		r = open_and_check(&image);
		assert_int_equal(r, failing < 0 ? -ENOMEM : 0);
	} while (r < 0);
	assert_true(n > SECTION_COUNT);
	failing = -1;
}

static void test_no_memory_writing(void **state)
{
	struct sample s = sample_all_kinds(3);
	long n = 0;
	int r;

	do {
		_cleanup_buf_ struct buf image = {.max = 1 << 20};

		failing = n++;
		r = sample_image(&s, &image);
		assert_int_equal(r, failing < 0 ? -ENOMEM : 0);
	} while (r < 0);
	assert_true(n > SECTION_COUNT);
	failing = -1;
}

static int tear_down(void **state)
{
	assert_true(most_in_use > 0);
	assert_true(most_in_use < MEMORY_MAX);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_raw),
		cmocka_unit_test(test_bytes_zstd),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_sealed_damage),
		cmocka_unit_test(test_sealed_super),
		cmocka_unit_test(test_greedy_sections),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_no_memory_writing),
	};

	return cmocka_run_group_tests(tests, NULL, tear_down);
}
