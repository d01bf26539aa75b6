/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads of objects: the right bytes from any offset, by any number of threads,
 * with any cache; and never a byte that its digest does not vouch for.
 */
#include "fs/view/view.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>

#include "fs/base/buf.h"
#include "fs/base/io.h"
#include "tests/unit/pack_kit.h"
#include "tests/unit/unit.h"

#define FRAME 4096u /* of kit_options */
#define FILES 8
#define THREADS 4

/* An image in memory, where it can be damaged, and what its files hold. */
struct shown {
	struct kit *kit;
	struct buf bytes;
	struct image *img;
	struct view *view;
	struct file {
		struct tree_node *node;
		struct image_object obj;
		uint8_t *data;
		size_t len;
	} files[FILES];
	size_t count;
};

static int set_up(void **state)
{
	struct shown *s = calloc(1, sizeof(*s));
	void *kit = NULL;

	assert_non_null(s);
	buf_init(&s->bytes, 16u << 20);

	int r = kit_set_up(&kit);

	s->kit = kit;
	*state = s;
	return r;
}

static int tear_down(void **state)
{
	struct shown *s = *state;
	void *kit = s->kit;

	view_free(s->view);
	image_free(s->img);
	buf_done(&s->bytes);
	for (size_t i = 0; i < s->count; i++)
		free(s->files[i].data);
	free(s);
	return kit_tear_down(&kit);
}

/* A file with bytes that do not shrink between the holes. */
static void add(struct shown *s, size_t len, const char *holes)
{
	struct file *f = &s->files[s->count];
	char name[] = {'f', (char)('0' + s->count), '\0'};
	struct prng prng = {s->count++};

	f->len = len;
	f->data = calloc(1, len + 1);
	assert_non_null(f->data);
	prng_fill(&prng, f->data, len);
	for (size_t i = 0; holes[i]; i++) {
		if (holes[i] == '.')
			memset(f->data + i * FRAME, 0, FRAME);
		else if (holes[i] == 'a')
			memset(f->data + i * FRAME, 'a', FRAME);
	}
	f->node = kit_file(s->kit, name, f->data, len);
}

static void new_view(struct shown *s, unsigned flags, size_t cache)
{
	view_free(take_ptr(s->view));
	assert_int_equal(view_new(s->img, flags, cache, &s->view), 0);
}

/* Pack the files and open the image from memory. */
static void show(struct shown *s, int level)
{
	struct pack_options opt = kit_options;
	struct source *src;
	struct diag diag = {0};
	char chunk[65536];
	ssize_t n;

	opt.level = level;
	kit_pack(s->kit, &opt, NULL);

	_cleanup_close_ int fd = open(s->kit->image, O_RDONLY);

	while ((n = io_read(fd, chunk, sizeof(chunk))) > 0)
		assert_int_equal(buf_add(&s->bytes, chunk, (size_t)n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(
		source_from_memory(s->bytes.data, s->bytes.len, &src), 0);
	if (image_open(src, &s->img, &diag) < 0)
		fail_msg("%s", diag.text);
	for (size_t i = 0; i < s->count; i++)
		s->files[i].obj = kit_object(s->img, s->files[i].node);
	new_view(s, 0, 0);
}

/* Small ones that share frames, large ones, holes in all places. */
static void add_all(struct shown *s)
{
	add(s, 100, "");
	add(s, 5 * FRAME + 77, "");
	add(s, 3000, "");
	add(s, 9 * FRAME + 1, ".aa.xx..");
	add(s, 0, "");
	add(s, 4 * FRAME, "....");
	add(s, FRAME, "");
	add(s, 40 * FRAME, "x.a.x.a....................a...x...x....");
}

/* One random read, compared; a fault as text, since threads cannot fail. */
static const char *read_one(struct shown *s, struct prng *prng)
{
	const struct file *f = &s->files[prng_below(prng, s->count)];
	uint64_t off = prng_below(prng, f->len + FRAME);
	size_t len = prng_below(prng, prng_below(prng, 2) ? 200 : 9 * FRAME);
	size_t want = 0;
	uint8_t got[9 * FRAME];

	/* Whole frames go another way. */
	if (prng_below(prng, 3) == 0) {
		off -= off % FRAME;
		len -= len % FRAME;
	}
	if (off < f->len)
		want = f->len - off < len ? f->len - off : len;
	memset(got, 0xee, sizeof(got));

	ssize_t n = view_read(s->view, &f->obj, got, len, off, NULL);

	if (n < 0)
		return "an error";
	if ((size_t)n != want)
		return "another length";
	if (memcmp(got, f->data + (want ? off : 0), want) != 0)
		return "other bytes";
	for (size_t i = want; i < sizeof(got); i++) {
		if (got[i] != 0xee)
			return "bytes behind the end";
	}
	return NULL;
}

static void test_random_reads(void **state)
{
	static const size_t caches[] = {0, 1, 100000};
	static const unsigned flags[] = {0, VIEW_VERIFY_ALWAYS};
	struct shown *s = *state;
	struct prng prng = {1};

	add_all(s);
	show(s, 1);
	for (size_t c = 0; c < ARRAY_LEN(caches); c++) {
		for (size_t f = 0; f < ARRAY_LEN(flags); f++) {
			new_view(s, flags[f], caches[c]);
			for (int i = 0; i < 2000; i++) {
				const char *fault = read_one(s, &prng);

				if (fault)
					fail_msg("%s", fault);
			}
		}
	}
}

static void test_ends(void **state)
{
	struct shown *s = *state;
	uint8_t got[FRAME];
	const struct file *f = &s->files[0];

	add_all(s);
	show(s, 1);
	assert_int_equal(view_read(s->view, &f->obj, got, 10, 95, NULL), 5);
	assert_memory_equal(got, f->data + 95, 5);
	assert_int_equal(view_read(s->view, &f->obj, got, 10, 100, NULL), 0);
	assert_int_equal(view_read(s->view, &f->obj, got, 10, 101, NULL), 0);
	assert_int_equal(
		view_read(s->view, &f->obj, got, 10, UINT64_MAX, NULL), 0);
	assert_int_equal(
		view_read(s->view, &f->obj, got, SIZE_MAX, 99, NULL), 1);
	assert_int_equal(view_read(s->view, &f->obj, got, 0, 50, NULL), 0);
	f = &s->files[4]; /* the empty one */
	assert_int_equal(view_read(s->view, &f->obj, got, 10, 0, NULL), 0);
}

static void test_flags(void **state)
{
	struct shown *s = *state;
	struct view *v = NULL;

	show(s, 1);
	assert_int_equal(view_new(s->img, 1 << 1, 0, &v), -EINVAL);
	assert_int_equal(view_new(s->img, ~0u, 0, &v), -EINVAL);
	assert_null(v);
}

struct reader {
	struct shown *s;
	pthread_t thread;
	uint64_t seed;
	const char *fault;
};

static void *read_many(void *arg)
{
	struct reader *r = arg;
	struct prng prng = {r->seed};

	for (int i = 0; i < 1500 && !r->fault; i++)
		r->fault = read_one(r->s, &prng);
	return NULL;
}

/* With one slot in a shard, some find all of them held. */
static void test_threads(void **state)
{
	static const size_t caches[] = {1, 0};
	struct shown *s = *state;
	struct reader readers[THREADS];

	add_all(s);
	show(s, 1);
	for (size_t c = 0; c < ARRAY_LEN(caches); c++) {
		new_view(s, 0, caches[c]);
		for (uint64_t i = 0; i < THREADS; i++) {
			readers[i] = (struct reader){.s = s, .seed = i};
			assert_int_equal(pthread_create(&readers[i].thread,
						 NULL, read_many, &readers[i]),
				0);
		}
		for (int i = 0; i < THREADS; i++)
			assert_int_equal(
				pthread_join(readers[i].thread, NULL), 0);
		for (int i = 0; i < THREADS; i++) {
			if (readers[i].fault)
				fail_msg("%s", readers[i].fault);
		}
	}
}

/* A byte of the file's content, as it is stored (at level 0). */
static uint8_t *stored(struct shown *s, const struct file *f, uint64_t off)
{
	for (size_t i = LAYOUT_SUPER_SIZE; i + 32 <= s->bytes.len; i++) {
		if (memcmp(s->bytes.data + i, f->data + off, 32) == 0)
			return (uint8_t *)s->bytes.data + i;
	}
	fail_msg("the content is not in the image");
	return NULL;
}

/* Bytes read, or the error. */
static ssize_t read_at(struct shown *s, const struct file *f, uint64_t off,
	size_t len, uint32_t *ret_frame)
{
	uint8_t got[9 * FRAME];
	ssize_t n = view_read(s->view, &f->obj, got, len, off, ret_frame);

	if (n > 0)
		assert_memory_equal(got, f->data + off, (size_t)n);
	return n;
}

/* Read both ways: into the cache, and whole frames past it. */
static const struct {
	uint64_t off;
	size_t len;
} ways[] = {{2 * FRAME + 5, 10}, {2 * FRAME, FRAME}, {FRAME, 3 * FRAME},
	{2 * FRAME - 1, 2}, {0, 5 * FRAME}};

static void test_damage(void **state)
{
	static const unsigned flags[] = {0, VIEW_VERIFY_ALWAYS};
	struct shown *s = *state;
	const struct file *f = &s->files[1];
	uint8_t *byte;

	add_all(s);
	show(s, 0);
	byte = stored(s, f, 2 * FRAME + 1000);
	for (size_t i = 0; i < ARRAY_LEN(flags) * ARRAY_LEN(ways); i++) {
		uint64_t off = ways[i / 2].off;
		size_t len = ways[i / 2].len;
		uint32_t frame = LAYOUT_NONE;

		new_view(s, flags[i % 2], 0);
		*byte ^= 1;
		assert_int_equal(read_at(s, f, off, len, &frame), -EBADMSG);
		assert_int_equal(frame, f->obj.frame + 2);
		assert_int_equal(read_at(s, f, off, len, NULL), -EBADMSG);
		/* Its other frames and other files are as good as ever. */
		assert_int_equal(
			read_at(s, f, 3, 2 * FRAME - 3, NULL), 2 * FRAME - 3);
		assert_int_equal(read_at(s, f, 3 * FRAME, 2 * FRAME + 77, NULL),
			2 * FRAME + 77);
		assert_int_equal(read_at(s, &s->files[0], 0, 100, NULL), 100);
		/* Nothing remembers the damage once it is gone. */
		*byte ^= 1;
		assert_int_equal(read_at(s, f, off, len, NULL), len);
	}
}

/* All objects in a shared frame suffer, and those in others do not. */
static void test_shared_damage(void **state)
{
	struct shown *s = *state;
	uint32_t frame = LAYOUT_NONE;

	add(s, 1000, "");
	add(s, 1000, "");
	add(s, 4000, "");
	show(s, 0);
	assert_int_equal(s->files[0].obj.frame, s->files[1].obj.frame);
	*stored(s, &s->files[0], 0) ^= 1;
	assert_int_equal(read_at(s, &s->files[1], 10, 10, &frame), -EBADMSG);
	assert_int_equal(frame, s->files[1].obj.frame);
	assert_int_equal(read_at(s, &s->files[2], 0, 4000, NULL), 4000);
}

/*
 * Damage after the first read of a frame: what the checksum sees is found by
 * any view, since the frame is not in the cache (whole frames are not put
 * there).
 */
static void test_later_damage(void **state)
{
	struct shown *s = *state;
	const struct file *f = &s->files[1];
	uint8_t *byte;

	add_all(s);
	show(s, 0);
	byte = stored(s, f, 2 * FRAME + 1000);
	for (int bit = 0; bit < 8; bit++) {
		assert_int_equal(read_at(s, f, 2 * FRAME, FRAME, NULL), FRAME);
		*byte ^= (uint8_t)(1 << bit);
		assert_int_equal(
			read_at(s, f, 2 * FRAME, FRAME, NULL), -EBADMSG);
		*byte ^= (uint8_t)(1 << bit);
	}
}

/*
 * XXH3 detects accidents, not malice. Of an input of 32 bytes whose first eight
 * are those of its secret, the next eight do not matter. That tells which check
 * is made: the digest at the first read, and always when that is asked for.
 */
static void test_which_check(void **state)
{
	static const uint8_t secret[8] = {
		0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe};
	struct shown *s = *state;
	const struct file *f = &s->files[0];
	uint8_t got[32], *byte;
	uint64_t sum;

	add(s, 32, "");
	memcpy(f->data, secret, sizeof(secret));
	kit_poke(s->kit, f->node, 0, f->data, 32);
	show(s, 0);
	byte = stored(s, f, 0) + 8;
	sum = checksum(f->data, 32);

	new_view(s, VIEW_VERIFY_ALWAYS, 0);
	assert_int_equal(read_at(s, f, 0, 32, NULL), 32);
	*byte ^= 1;
	assert_int_equal(checksum(byte - 8, 32), sum);
	assert_int_equal(read_at(s, f, 0, 32, NULL), -EBADMSG);
	new_view(s, 0, 0);
	assert_int_equal(read_at(s, f, 0, 32, NULL), -EBADMSG);
	/* A digest that was wrong vouches for nothing later. */
	assert_int_equal(read_at(s, f, 0, 32, NULL), -EBADMSG);
	*byte ^= 1;
	assert_int_equal(read_at(s, f, 0, 32, NULL), 32);
	*byte ^= 1;
	assert_int_equal(view_read(s->view, &f->obj, got, 32, 0, NULL), 32);
	assert_memory_equal(got, byte - 8, 32);
}

/* The file was cut short after it was opened. */
static void test_cut(void **state)
{
	struct shown *s = *state;
	_cleanup_(image_free) struct image *img = NULL;
	struct diag diag = {0};
	uint8_t got[FRAME];

	add_all(s);
	show(s, 0);
	if (image_open_path(s->kit->image, &img, &diag) < 0)
		fail_msg("%s", diag.text);
	assert_int_equal(truncate(s->kit->image, 5000), 0);

	_cleanup_(view_free) struct view *v = NULL;

	assert_int_equal(view_new(img, 0, 0, &v), 0);
	assert_int_equal(
		view_read(v, &s->files[1].obj, got, FRAME, 0, NULL), -EBADMSG);
	assert_int_equal(
		view_read(v, &s->files[1].obj, got, 10, 5, NULL), -EBADMSG);
}

#define VIEW_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		VIEW_TEST(test_random_reads),
		VIEW_TEST(test_ends),
		VIEW_TEST(test_flags),
		VIEW_TEST(test_threads),
		VIEW_TEST(test_damage),
		VIEW_TEST(test_shared_damage),
		VIEW_TEST(test_later_damage),
		VIEW_TEST(test_which_check),
		VIEW_TEST(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
