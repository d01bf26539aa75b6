/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects, where their bytes lie, and reading a frame.
 *
 * An object is its size, cut into holes and data. The data, put together
 * without the holes, are the dense bytes; those lie one after another in
 * frames, beginning at the object's place.
 */
#include "fs/image/image.h"

#include <string.h>

#include "fs/image/image_internal.h"

int image_object(
	const struct image *img, uint32_t index, struct image_object *ret)
{
	if (index >= img->count[SECTION_OBJECTS])
		return -EBADMSG;

	const struct layout_object *o = &image_objects(img)[index];
	const struct layout_place *p = &image_places(img)[index];
	struct image_object obj = {
		.size = le64toh(o->size),
		.index = index,
		.hole = le32toh(o->hole),
		.hole_count = le32toh(o->hole_count),
		.frame = le32toh(p->frame),
		.off = le32toh(p->off),
	};

	memcpy(obj.digest.bytes, o->sha256, DIGEST_LEN);
	obj.dense = obj.size;
	if (obj.hole_count) {
		const struct layout_hole *last =
			&image_holes(img)[obj.hole + obj.hole_count - 1];

		obj.dense = le64toh(last->dense) + obj.size -
			    le64toh(last->start) - le64toh(last->len);
	}
	*ret = obj;
	return 0;
}

/* What lies at an offset of an object. */
struct run {
	bool hole;
	uint64_t end;	/* where the hole or the data end */
	uint64_t dense; /* of the offset; not for a hole */
};

/* off is below the object's size. */
static int run_at(const struct image *img, const struct image_object *obj,
	uint64_t off, struct run *ret)
{
	uint32_t low = 0, high = obj->hole_count;

	if (off >= obj->size || obj->hole > img->count[SECTION_HOLES] ||
		high > img->count[SECTION_HOLES] - obj->hole)
		return -EBADMSG;

	const struct layout_hole *holes = &image_holes(img)[obj->hole];

	/* low becomes the number of holes that begin at off or before. */
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (le64toh(holes[middle].start) <= off)
			low = middle + 1;
		else
			high = middle;
	}

	struct run run = {.end = obj->size, .dense = off};

	if (low < obj->hole_count)
		run.end = le64toh(holes[low].start);
	if (low > 0) {
		const struct layout_hole *before = &holes[low - 1];
		uint64_t end = le64toh(before->start) + le64toh(before->len);

		if (off < end)
			run = (struct run){.hole = true, .end = end};
		else
			run.dense = le64toh(before->dense) + (off - end);
	}
	*ret = run;
	return 0;
}

int image_piece(const struct image *img, const struct image_object *obj,
	uint64_t off, struct image_piece *ret)
{
	struct run run;
	int r = run_at(img, obj, off, &run);

	if (r < 0)
		return r;

	uint64_t len = run.end - off;

	if (run.hole) {
		*ret = (struct image_piece){.len = len, .hole = true};
		return 0;
	}
	if (obj->dense <= img->frame_size) {
		*ret = (struct image_piece){
			.len = len,
			.frame = obj->frame,
			.frame_off = obj->off + (uint32_t)run.dense,
		};
		return 0;
	}

	uint32_t in_frame = (uint32_t)(run.dense % img->frame_size);
	uint64_t room = img->frame_size - in_frame;

	*ret = (struct image_piece){
		.len = len < room ? len : room,
		.frame = obj->frame + (uint32_t)(run.dense / img->frame_size),
		.frame_off = in_frame,
	};
	return 0;
}

int image_seek(const struct image *img, const struct image_object *obj,
	uint64_t off, int whence, uint64_t *ret)
{
	struct run run;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	if (off >= obj->size)
		return -ENXIO;

	int r = run_at(img, obj, off, &run);

	if (r < 0)
		return r;
	if (run.hole != (whence == SEEK_DATA)) {
		*ret = off;
		return 0;
	}
	/* Holes do not touch: what ends here is followed by the other kind, or
	 * by the end, which counts as a hole and not as data. */
	if (whence == SEEK_DATA && run.end == obj->size)
		return -ENXIO;
	*ret = run.end;
	return 0;
}

struct image_reader {
	const struct image *img;
	struct hasher *hasher;
	struct decompressor *unzstd;
	uint8_t *stored; /* frame_size bytes */
};

struct image_reader *image_reader_new(const struct image *img)
{
	_cleanup_(image_reader_free) struct image_reader *r =
		calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->img = img;
	r->hasher = hasher_new();
	r->unzstd = decompressor_new();
	r->stored = malloc(img->frame_size);
	if (!r->hasher || !r->unzstd || !r->stored)
		return NULL;
	return take_ptr(r);
}

void image_reader_free(struct image_reader *r)
{
	if (!r)
		return;
	hasher_free(r->hasher);
	decompressor_free(r->unzstd);
	free(r->stored);
	free(r);
}

uint32_t image_frame_size(const struct image *img, uint32_t index)
{
	if (index >= img->count[SECTION_FRAMES])
		return 0;
	return le32toh(image_frames(img)[index].raw);
}

/*
 * The SHA-256 decides. The checksum must hold as well, even then: a frame whose
 * checksum alone is wrong would read well once and never again.
 */
static bool frame_is_good(struct image_reader *r,
	const struct layout_frame *frame, enum image_trust trust,
	const void *stored)
{
	size_t len = le32toh(frame->stored);
	struct digest d;

	if (checksum(stored, len) != le64toh(frame->xxh3))
		return false;
	if (trust == IMAGE_TRUST_CHECKSUM)
		return true;
	hasher_run(r->hasher, stored, len, &d);
	return memcmp(d.bytes, frame->sha256, DIGEST_LEN) == 0;
}

int image_frame_read(struct image_reader *r, uint32_t index,
	enum image_trust trust, void *dst)
{
	const struct image *img = r->img;

	if (index >= img->count[SECTION_FRAMES])
		return -EBADMSG;

	const struct layout_frame *frame = &image_frames(img)[index];
	uint32_t len = le32toh(frame->stored);
	uint32_t raw = le32toh(frame->raw);
	void *stored = len == raw ? dst : r->stored;
	int n = source_read(img->source, stored, len, le64toh(frame->off));

	if (n < 0)
		return n;
	if (!frame_is_good(r, frame, trust, stored))
		return -EBADMSG;
	if (len == raw)
		return 0;
	return decompressor_run(r->unzstd, dst, raw, stored, len);
}

int image_frame_stored(const struct image *img, uint32_t index, void *dst,
	struct image_stored *ret)
{
	if (index >= img->count[SECTION_FRAMES])
		return -EBADMSG;

	const struct layout_frame *frame = &image_frames(img)[index];

	*ret = (struct image_stored){
		.len = le32toh(frame->stored),
		.raw_len = le32toh(frame->raw),
		.checksum = le64toh(frame->xxh3),
	};
	memcpy(ret->digest.bytes, frame->sha256, DIGEST_LEN);
	return source_read(img->source, dst, ret->len, le64toh(frame->off));
}
