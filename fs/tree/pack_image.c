/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packing what an image holds already; see pack_internal.h. Nothing of it is
 * hashed, and of large objects no byte is looked at: their frames are theirs
 * alone, so the stored ones are copied. Small objects are left where they are
 * until the committer knows whether a whole frame of them stays as it was.
 *
 * Stored frames can be taken over only when this program at this level would
 * have made them, which no field of an image says: some are made again and
 * compared.
 */
#include <string.h>

#include "fs/tree/pack_internal.h"

/* Frames that are made again, spread over the image. */
#define PROBES 8

struct probe {
	struct image_reader *reader;
	struct compressor *zstd;
	uint8_t *raw, *stored, *made;
};

/* 1: the frame is the one that we would make, 0: it is not. */
static int probe_frame(
	const struct image *img, const struct probe *t, uint32_t index)
{
	uint32_t raw_len = image_frame_size(img, index);
	struct image_stored info;
	size_t n = 0;
	int r = image_frame_read(t->reader, index, IMAGE_TRUST_DIGEST, t->raw);

	if (r == 0)
		r = image_frame_stored(img, index, t->stored, &info);
	if (r < 0)
		return r;
	if (t->zstd)
		n = compressor_run(t->zstd, t->made, t->raw, raw_len);
	if (n == 0)
		return info.len == raw_len;
	return info.len == n && memcmp(t->stored, t->made, n) == 0;
}

static int probe_image(const struct image *img, const struct probe *t)
{
	struct image_summary sum;
	int r = 1;

	image_summary(img, &sum);

	uint32_t step = sum.frames / PROBES + 1;

	for (uint32_t i = 0; i < sum.frames && r == 1; i += step)
		r = probe_frame(img, t, i);
	return r;
}

int pack_image_init(struct pack *p, struct diag *diag)
{
	const struct image *img = tree_image(p->tree);
	struct image_summary sum;

	if (!img)
		return 0;
	image_summary(img, &sum);
	if (sum.frame_size != p->opt->frame_size)
		return diag_set(diag, -EINVAL,
			"the image has frames of %u bytes, not of %u",
			sum.frame_size, p->opt->frame_size);

	_cleanup_free_ uint8_t *room = malloc(3 * (size_t)sum.frame_size);
	_cleanup_(image_reader_free) struct image_reader *reader =
		image_reader_new(img);
	_cleanup_(compressor_free) struct compressor *zstd =
		p->opt->level ? compressor_new(p->opt->level) : NULL;

	if (!room || !reader || (p->opt->level && !zstd))
		return -ENOMEM;

	const struct probe t = {
		.reader = reader,
		.zstd = zstd,
		.raw = room,
		.stored = room + sum.frame_size,
		.made = room + 2 * (size_t)sum.frame_size,
	};
	int r = probe_image(img, &t);

	if (r < 0)
		return diag_errno(diag, r, "reading frames of the image");
	p->image = img;
	p->same_coder = r == 1;
	return 0;
}

int pack_image_copy(
	struct pack *p, uint32_t frame, struct pack_frame *f, struct diag *diag)
{
	uint32_t raw_len = image_frame_size(p->image, frame);
	struct image_stored info;

	free(take_ptr(f->raw));
	f->stored = malloc(raw_len);
	if (!f->stored)
		return -ENOMEM;

	int r = image_frame_stored(p->image, frame, f->stored, &info);

	if (r < 0)
		return diag_errno(
			diag, r, "reading frame %u of the image", frame);

	/* As much memory as is counted. */
	uint8_t *fit = realloc(f->stored, info.len);

	if (fit)
		f->stored = fit;
	f->stored_len = info.len;
	f->raw_len = raw_len;
	f->digest = info.digest;
	f->checksum = info.checksum;
	f->done = true;
	return 0;
}

static int add_holes(const struct image *img, const struct image_object *obj,
	struct pack_item *item)
{
	struct image_piece piece;
	uint64_t dense = 0;
	int r = 0;

	for (uint64_t off = 0; off < obj->size && r == 0; off += piece.len) {
		r = image_piece(img, obj, off, &piece);
		if (r < 0)
			return r;

		struct pack_hole hole = {off, piece.len, dense};

		if (piece.hole)
			r = buf_add(&item->holes, &hole, sizeof(hole));
		else
			dense += piece.len;
	}
	return r;
}

static int emit_frame(struct pack_worker *w, struct pack_item *item,
	uint32_t index, struct diag *diag)
{
	struct pack_frame *f = pack_frame_new(w->p->opt->frame_size);
	int r = 0;

	if (!f)
		return -ENOMEM;
	if (w->p->same_coder) {
		r = pack_image_copy(w->p, index, f, diag);
	} else {
		f->raw_len = image_frame_size(w->p->image, index);
		r = image_frame_read(
			w->reader, index, IMAGE_TRUST_DIGEST, f->raw);
		if (r < 0)
			(void)diag_errno(diag, r,
				"reading frame %u of the image", index);
	}
	if (r < 0) {
		pack_frame_free(f);
		return r;
	}
	return pack_emit(w, item, f);
}

int pack_image_read(
	struct pack_worker *w, struct pack_item *item, struct diag *diag)
{
	const struct pack *p = w->p;
	uint64_t left;
	struct image_object obj;
	int r = image_object(p->image, item->node->object, &obj);

	if (r == 0)
		r = add_holes(p->image, &obj, item);
	if (r < 0)
		return diag_errno(diag, r, "reading an object of the image");
	item->digest = obj.digest;
	item->dense = obj.dense;
	if (item->mode == PACK_HASH || obj.dense == 0)
		return 0;
	if (obj.dense <= p->opt->frame_size) {
		item->in_image = true;
		item->frame = obj.frame;
		item->off = obj.off;
		return 0;
	}
	left = obj.dense;
	for (uint32_t i = obj.frame; left && r == 0; i++) {
		if (p->stop)
			return -ECANCELED;
		r = emit_frame(w, item, i, diag);
		left -= left < p->opt->frame_size ? left : p->opt->frame_size;
	}
	return r;
}
