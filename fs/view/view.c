/* SPDX-License-Identifier: Apache-2.0 */
/* Verified reads of the objects of an image; see view.h. */
#include "fs/view/view.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "fs/view/cache.h"

#define CACHE_DEFAULT (16u << 20)

/*
 * The readers that are free. A reader serves one thread at a time and holds a
 * frame's worth of memory, so they are made as threads need them and kept.
 */
struct readers {
	pthread_mutex_t lock;
	struct image_reader **free; /* protected by lock */
	size_t count, cap;	    /* protected by lock */
};

struct view {
	const struct image *img;
	unsigned flags;
	struct cache *cache;
	struct readers readers;
	atomic_uint *verified; /* a bit for each frame whose SHA-256 was good */
};

static struct image_reader *take_reader(struct view *v)
{
	struct readers *rs = &v->readers;
	struct image_reader *r = NULL;

	pthread_mutex_lock(&rs->lock);
	if (rs->count > 0)
		r = rs->free[--rs->count];
	pthread_mutex_unlock(&rs->lock);
	return r ? r : image_reader_new(v->img);
}

static void give_reader(struct view *v, struct image_reader *r)
{
	struct readers *rs = &v->readers;

	pthread_mutex_lock(&rs->lock);
	if (rs->count == rs->cap) {
		size_t cap = rs->cap ? rs->cap * 2 : 8;
		void *grown = realloc(rs->free, cap * sizeof(*rs->free));

		if (grown) {
			rs->free = grown;
			rs->cap = cap;
		}
	}
	if (rs->count < rs->cap) {
		rs->free[rs->count++] = r;
		r = NULL;
	}
	pthread_mutex_unlock(&rs->lock);
	image_reader_free(r);
}

static bool is_verified(const struct view *v, uint32_t frame)
{
	return atomic_load_explicit(
		       &v->verified[frame / 32], memory_order_relaxed) &
	       1u << frame % 32;
}

static void set_verified(struct view *v, uint32_t frame)
{
	atomic_fetch_or_explicit(&v->verified[frame / 32], 1u << frame % 32,
		memory_order_relaxed);
}

/* Read and verify a whole frame; also the cache's loader. */
static int load_frame(void *arg, uint32_t frame, void *dst)
{
	struct view *v = arg;
	enum image_trust trust = IMAGE_TRUST_DIGEST;

	if (!(v->flags & VIEW_VERIFY_ALWAYS) && is_verified(v, frame))
		trust = IMAGE_TRUST_CHECKSUM;

	struct image_reader *reader = take_reader(v);

	if (!reader)
		return -ENOMEM;

	int r = image_frame_read(reader, frame, trust, dst);

	give_reader(v, reader);
	if (r == 0 && trust == IMAGE_TRUST_DIGEST)
		set_verified(v, frame);
	return r;
}

int view_new(const struct image *img, unsigned flags, size_t cache_bytes,
	struct view **ret)
{
	struct image_summary sum;

	if (flags & ~(unsigned)VIEW_VERIFY_ALWAYS)
		return -EINVAL;
	image_summary(img, &sum);

	_cleanup_(view_free) struct view *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	v->img = img;
	v->flags = flags;
	pthread_mutex_init(&v->readers.lock, NULL);
	v->verified = calloc(sum.frames / 32 + 1, sizeof(*v->verified));
	if (!v->verified)
		return -ENOMEM;

	int r = cache_new(cache_bytes ? cache_bytes : CACHE_DEFAULT,
		sum.frame_size, load_frame, v, &v->cache);

	if (r < 0)
		return r;
	*ret = take_ptr(v);
	return 0;
}

void view_free(struct view *v)
{
	if (!v)
		return;
	cache_free(v->cache);
	while (v->readers.count > 0)
		image_reader_free(v->readers.free[--v->readers.count]);
	free(v->readers.free);
	pthread_mutex_destroy(&v->readers.lock);
	free(v->verified);
	free(v);
}

/* A frame that found no room in the cache: read it into memory of its own. */
static int read_uncached(
	struct view *v, const struct image_piece *piece, void *dst, size_t len)
{
	_cleanup_free_ uint8_t *frame =
		malloc(image_frame_size(v->img, piece->frame));

	if (!frame)
		return -ENOMEM;

	int r = load_frame(v, piece->frame, frame);

	if (r == 0)
		memcpy(dst, frame + piece->frame_off, len);
	return r;
}

static int read_piece(
	struct view *v, const struct image_piece *piece, void *dst, size_t len)
{
	/*
	 * Who asks for a whole frame gets it without a copy, and without a
	 * place in the cache: the page cache will have it.
	 */
	if (piece->frame_off == 0 &&
		len == image_frame_size(v->img, piece->frame))
		return load_frame(v, piece->frame, dst);

	struct cache_slot *slot;
	const uint8_t *data;
	int r = cache_get(v->cache, piece->frame, &slot, &data);

	if (r == -EAGAIN)
		return read_uncached(v, piece, dst, len);
	if (r < 0)
		return r;
	memcpy(dst, data + piece->frame_off, len);
	cache_put(v->cache, slot);
	return 0;
}

ssize_t view_read(struct view *v, const struct image_object *obj, void *dst,
	size_t len, uint64_t off, uint32_t *ret_frame)
{
	size_t done = 0;

	if (off >= obj->size)
		return 0;
	if (len > obj->size - off)
		len = (size_t)(obj->size - off);

	while (done < len) {
		struct image_piece piece;
		int r = image_piece(v->img, obj, off + done, &piece);

		if (r < 0)
			return r;

		size_t n = len - done;

		if (n > piece.len)
			n = (size_t)piece.len;
		if (piece.hole) {
			memset((uint8_t *)dst + done, 0, n);
		} else {
			r = read_piece(v, &piece, (uint8_t *)dst + done, n);
			if (r < 0 && ret_frame)
				*ret_frame = piece.frame;
			if (r < 0)
				return r;
		}
		done += n;
	}
	return (ssize_t)done;
}
