/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of FORMAT.md on frames, objects, holes and places. Together they
 * say: each byte between the superblock and the first section belongs to
 * exactly one frame, and each raw byte of a frame to exactly one object.
 */
#include "fs/image/image_internal.h"

#include <inttypes.h>

static int frame_error(uint64_t frame, const char *why, struct diag *diag)
{
	return diag_set(diag, -EBADMSG, "frame %" PRIu64 ": %s", frame, why);
}

static int object_error(uint64_t object, const char *why, struct diag *diag)
{
	return diag_set(diag, -EBADMSG, "object %" PRIu64 ": %s", object, why);
}

static int check_frames(const struct image *img, struct diag *diag)
{
	const struct layout_frame *frames = image_frames(img);
	uint64_t end = LAYOUT_SUPER_SIZE;

	/* 2^32 frames of 2^20 bytes: the sum can't overflow. */
	for (uint64_t i = 0; i < img->count[SECTION_FRAMES]; i++) {
		uint32_t stored = le32toh(frames[i].stored);
		uint32_t raw = le32toh(frames[i].raw);

		if (le64toh(frames[i].off) != end)
			return frame_error(
				i, "not right after the one before", diag);
		if (raw > img->frame_size)
			return frame_error(
				i, "larger than the frame size", diag);
		if (stored < 1 || stored > raw)
			return frame_error(i, "stored size out of range", diag);
		end += stored;
	}
	if (end != img->frames_end)
		return diag_set(diag, -EBADMSG,
			"section frames: the frames end at %" PRIu64
			", the sections begin at %" PRIu64,
			end, img->frames_end);
	return 0;
}

static const char *hole_fault(const struct layout_hole *h, uint64_t size,
	uint64_t end, uint64_t dense)
{
	uint64_t start = le64toh(h->start);
	uint64_t len = le64toh(h->len);

	if (len == 0)
		return "a hole is empty";
	if (start > size || len > size - start)
		return "a hole ends behind the object";
	if (start % LAYOUT_BLOCK ||
		((start + len) % LAYOUT_BLOCK && start + len != size))
		return "a hole is not made of whole blocks";
	if (start < end || (start == end && end != 0))
		return "its holes are not in order or touch";
	if (le64toh(h->dense) != dense + (start - end))
		return "a hole counts the bytes before it wrongly";
	return NULL;
}

/* Adds to *sparse what the holes of the object hide. */
static int check_holes(const struct image *img, uint64_t object,
	uint64_t *sparse, struct diag *diag)
{
	const struct layout_object *o = &image_objects(img)[object];
	const struct layout_hole *h = &image_holes(img)[le32toh(o->hole)];
	uint32_t count = le32toh(o->hole_count);
	uint64_t end = 0, dense = 0;

	for (uint32_t i = 0; i < count; i++) {
		const char *fault =
			hole_fault(&h[i], le64toh(o->size), end, dense);

		if (fault)
			return object_error(object, fault, diag);
		dense = le64toh(h[i].dense);
		end = le64toh(h[i].start) + le64toh(h[i].len);
		*sparse += le64toh(h[i].len);
	}
	return 0;
}

static int check_objects(struct image *img, struct diag *diag)
{
	const struct layout_object *objects = image_objects(img);
	uint64_t next_hole = 0;

	for (uint64_t i = 0; i < img->count[SECTION_OBJECTS]; i++) {
		uint64_t size = le64toh(objects[i].size);
		uint32_t holes = le32toh(objects[i].hole_count);

		if (size > INT64_MAX - img->object_bytes)
			return object_error(i,
				"the objects together exceed 2^63 - 1 bytes",
				diag);
		img->object_bytes += size;
		if (le32toh(objects[i].hole) != (holes ? next_hole : 0))
			return object_error(i,
				"its holes do not follow those before", diag);
		if (holes > img->count[SECTION_HOLES] - next_hole)
			return object_error(
				i, "has more holes than there are", diag);

		int r = check_holes(img, i, &img->sparse_bytes, diag);

		if (r < 0)
			return r;
		next_hole += holes;
	}
	if (next_hole != img->count[SECTION_HOLES])
		return diag_set(diag, -EBADMSG,
			"section holes: hole %" PRIu64 " belongs to no object",
			next_hole);
	return 0;
}

static int compare_spots(const void *a, const void *b)
{
	uint64_t x = ((const struct image_spot *)a)->place;
	uint64_t y = ((const struct image_spot *)b)->place;

	return (x > y) - (x < y);
}

int image_spots(
	const struct image *img, struct image_spot **ret, uint32_t *ret_count)
{
	uint32_t objects = (uint32_t)img->count[SECTION_OBJECTS], n = 0;
	struct image_spot *spots = calloc(objects + 1, sizeof(*spots));
	bool sorted = true;

	if (!spots)
		return -ENOMEM;
	for (uint32_t i = 0; i < objects; i++) {
		struct image_object o;

		if (image_object(img, i, &o) < 0 || !o.dense)
			continue;
		spots[n].place = (uint64_t)o.frame << 32 | o.off;
		spots[n].object = i;
		sorted = sorted && (!n || spots[n - 1].place < spots[n].place);
		n++;
	}
	/* Most writers place objects as they come. */
	if (!sorted)
		qsort(spots, n, sizeof(*spots), compare_spots);
	*ret = spots;
	*ret_count = n;
	return 0;
}

/* The frames of a large object are its own and full but for the last. */
static const char *large_fault(
	const struct image *img, const struct image_object *o, uint8_t *taken)
{
	uint64_t frames = (o->dense - 1) / img->frame_size + 1;
	uint64_t rest = o->dense;

	if (o->off)
		return "a large object does not begin at a frame's begin";
	if (o->frame > img->count[SECTION_FRAMES] ||
		frames > img->count[SECTION_FRAMES] - o->frame)
		return "its place is behind the last frame";
	for (uint64_t i = 0; i < frames; i++) {
		uint64_t raw = rest < img->frame_size ? rest : img->frame_size;

		if (taken[o->frame + i])
			return "shares a frame with a large object";
		if (image_frame_size(img, (uint32_t)(o->frame + i)) != raw)
			return "has a frame of a wrong size";
		taken[o->frame + i] = 1;
		rest -= raw;
	}
	return NULL;
}

static int check_large(
	const struct image *img, uint8_t *taken, struct diag *diag)
{
	for (uint32_t i = 0; i < img->count[SECTION_OBJECTS]; i++) {
		struct image_object o;
		const char *fault = NULL;
		int r = image_object(img, i, &o);

		if (r < 0)
			return r;
		if (o.dense > img->frame_size)
			fault = large_fault(img, &o, taken);
		else if (!o.dense && (o.frame || o.off))
			fault = "has a place but no bytes";
		if (fault)
			return object_error(i, fault, diag);
	}
	return 0;
}

/* Small objects tile the frames that they share. */
static int check_small(const struct image *img, uint8_t *taken,
	const struct image_spot *spots, uint32_t count, struct diag *diag)
{
	uint64_t frame = LAYOUT_NONE, end = 0, raw = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct image_object o;
		int r = image_object(img, spots[i].object, &o);

		if (r < 0)
			return r;
		if (o.dense > img->frame_size)
			continue;
		if (o.frame >= img->count[SECTION_FRAMES])
			return object_error(o.index,
				"its place is behind the last frame", diag);
		if (o.frame != frame) {
			if (end != raw)
				break;
			if (taken[o.frame])
				return object_error(o.index,
					"shares a frame with a large object",
					diag);
			taken[o.frame] = 1;
			frame = o.frame;
			end = 0;
			raw = image_frame_size(img, o.frame);
		}
		if (o.off != end)
			return object_error(o.index,
				"not right after the one before in its frame",
				diag);
		if (o.dense > raw - end)
			return object_error(
				o.index, "ends behind its frame", diag);
		end += o.dense;
	}
	if (end != raw)
		return frame_error(frame, "its objects do not fill it", diag);
	return 0;
}

static int check_places(const struct image *img, struct diag *diag)
{
	uint64_t frames = img->count[SECTION_FRAMES];
	_cleanup_free_ struct image_spot *spots = NULL;
	_cleanup_free_ uint8_t *taken = calloc(frames + 1, 1);
	uint32_t count = 0;
	int r = image_spots(img, &spots, &count);

	if (r < 0 || !taken)
		return diag_errno(diag, -ENOMEM, "cannot check the image");
	r = check_large(img, taken, diag);
	if (r == 0)
		r = check_small(img, taken, spots, count, diag);
	if (r < 0)
		return r;
	for (uint64_t i = 0; i < frames; i++) {
		if (!taken[i])
			return frame_error(i, "belongs to no object", diag);
	}
	return 0;
}

int image_rules_data(struct image *img, struct diag *diag)
{
	if (img->count[SECTION_PLACES] != img->count[SECTION_OBJECTS])
		return diag_set(diag, -EBADMSG,
			"section places: %" PRIu64 " places for %" PRIu64
			" objects",
			img->count[SECTION_PLACES],
			img->count[SECTION_OBJECTS]);

	int r = check_frames(img, diag);

	if (r == 0)
		r = check_objects(img, diag);
	if (r == 0)
		r = check_places(img, diag);
	return r;
}
