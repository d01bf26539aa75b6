/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a file once: hash all of it, note the holes, keep the rest. A hole
 * is a whole block of zeros (the last block may be short), so it depends on
 * the content alone and not on how the source stored it; where the source tells
 * of holes, their zeros are not read.
 */
#include <string.h>
#include <unistd.h>

#include "fs/base/io.h"
#include "fs/tree/pack_internal.h"

/* Where the reading of one item has come to. */
struct reading {
	struct pack_worker *w;
	struct pack_item *item;
	uint32_t frame_size;
	uint64_t off;		  /* bytes of content behind us */
	struct pack_frame *frame; /* dense bytes that are not emitted yet */
};

static bool is_zero(const uint8_t *data, size_t len)
{
	/* Equal to itself shifted by one, and the first byte zero. */
	return data[0] == 0 && memcmp(data, data + 1, len - 1) == 0;
}

static int add_hole(struct reading *r, uint64_t len)
{
	struct buf *holes = &r->item->holes;
	struct pack_hole *last =
		holes->len ? (struct pack_hole *)(void *)(holes->data +
							  holes->len) -
				     1
			   : NULL;

	if (last && last->start + last->len == r->off) {
		last->len += len;
		return 0;
	}

	struct pack_hole hole = {r->off, len, r->item->dense};

	return buf_add(holes, &hole, sizeof(hole));
}

/* The dense bytes of one block. */
static int add_dense(struct reading *r, const uint8_t *data, uint32_t len)
{
	r->item->dense += len;
	if (r->item->mode == PACK_HASH)
		return 0;
	while (len) {
		/* A full frame is handed over only when more follows, so that
		 * what fits into one frame stays a small object. */
		if (r->frame && r->frame->raw_len == r->frame_size) {
			int err = pack_emit(r->w, r->item, take_ptr(r->frame));

			if (err < 0)
				return err;
		}
		if (!r->frame)
			r->frame = pack_frame_new(
				r->item->node->size < r->frame_size
					? (uint32_t)r->item->node->size
					: r->frame_size);
		if (!r->frame)
			return -ENOMEM;

		uint32_t room = r->frame_size - r->frame->raw_len;
		uint32_t n = len < room ? len : room;

		memcpy(r->frame->raw + r->frame->raw_len, data, n);
		r->frame->raw_len += n;
		data += n;
		len -= n;
	}
	return 0;
}

/* Bytes that were read; all but the last piece are whole blocks. */
static int add_bytes(struct reading *r, const uint8_t *data, size_t len)
{
	hasher_add(r->w->file_hasher, data, len);
	while (len) {
		uint32_t n = len < LAYOUT_BLOCK ? (uint32_t)len : LAYOUT_BLOCK;
		int err = is_zero(data, n) ? add_hole(r, n)
					   : add_dense(r, data, n);

		if (err < 0)
			return err;
		r->off += n;
		data += n;
		len -= n;
	}
	return 0;
}

/* A hole of the source: whole blocks, or all that is left. */
static int add_zeros(struct reading *r, uint64_t len)
{
	static const uint8_t zeros[64 << 10];
	int err = len ? add_hole(r, len) : 0;

	if (err < 0)
		return err;
	r->off += len;
	while (len && !r->w->p->stop) {
		size_t n = len < sizeof(zeros) ? (size_t)len : sizeof(zeros);

		hasher_add(r->w->file_hasher, zeros, n);
		len -= n;
	}
	return len ? -ECANCELED : 0;
}

/* How many of the next bytes the source says are a hole, in whole blocks. */
static uint64_t hole_ahead(int fd, uint64_t base, uint64_t off, uint64_t size)
{
	off_t data = lseek(fd, (off_t)(base + off), SEEK_DATA);
	uint64_t next = size;

	if (data < 0 && errno != ENXIO)
		return 0; /* the file system does not tell */
	if (data >= 0 && (uint64_t)data - base < size)
		next = ((uint64_t)data - base) / LAYOUT_BLOCK * LAYOUT_BLOCK;
	return next > off ? next - off : 0;
}

static int read_content(struct reading *r, int fd, uint64_t base)
{
	uint64_t size = r->item->node->size;

	while (r->off < size) {
		int err;

		/* Another file's error ends this one too, however large. */
		if (r->w->p->stop)
			return -ECANCELED;

		/* A small file is cheaper to read than to ask about. */
		if (size > r->frame_size) {
			err = add_zeros(r, hole_ahead(fd, base, r->off, size));
			if (err < 0)
				return err;
		}

		uint64_t left = size - r->off;
		size_t n = left < r->frame_size ? (size_t)left : r->frame_size;
		ssize_t got = io_pread(fd, r->w->chunk, n, base + r->off);

		if (got < 0)
			return (int)got;
		if ((size_t)got < n)
			return -ESTALE;
		err = add_bytes(r, r->w->chunk, n);
		if (err < 0)
			return err;
	}
	return 0;
}

/* The last dense bytes: a large object's last frame, or a small object. */
static int finish(struct reading *r)
{
	struct pack_item *item = r->item;
	struct pack_frame *f = take_ptr(r->frame);

	if (!f)
		return 0;
	if (item->has_frames)
		return pack_emit(r->w, item, f);
	item->data = take_ptr(f->raw);
	pack_frame_free(f);
	return 0;
}

static int changed(const struct tree_node *node, struct diag *diag)
{
	_cleanup_free_ char *path = tree_path(node);

	return diag_set(diag, -ESTALE,
		"%s changed while it was read: stop what writes there (or "
		"build from a snapshot) and try again",
		path ? path : "a file");
}

static int read_open(
	struct reading *r, int fd, uint64_t base, struct diag *diag)
{
	const struct tree_node *node = r->item->node;
	int err = read_content(r, fd, base);

	if (err == 0)
		err = finish(r);
	if (err == -ESTALE)
		return changed(node, diag);
	if (err < 0) {
		_cleanup_free_ char *path = tree_path(node);

		return diag_errno(
			diag, err, "reading %s", path ? path : "a file");
	}
	return tree_recheck(r->w->p->tree, node, fd, diag);
}

int pack_read(struct pack_worker *w, struct pack_item *item, struct diag *diag)
{
	const struct tree_node *node = item->node;
	bool known = node->has_digest || item->holes.len || item->dense;
	struct digest before = node->has_digest ? node->digest : item->digest;
	struct reading r = {
		.w = w,
		.item = item,
		.frame_size = w->p->opt->frame_size,
	};
	_cleanup_close_ int fd = -1;
	uint64_t base = 0;
	int err = 0;

	/* A second reading starts from nothing. */
	buf_reset(&item->holes);
	item->dense = 0;
	if (node->content == TREE_CONTENT_IMAGE && w->p->image)
		return pack_image_read(w, item, diag);
	hasher_begin(w->file_hasher);
	if (node->size) {
		err = tree_open(w->p->tree, node, &fd, &base, diag);
		if (err == 0)
			err = read_open(&r, fd, base, diag);
	}
	pack_frame_free(r.frame);
	if (err < 0)
		return err;
	hasher_end(w->file_hasher, &item->digest);
	if (known && !digest_equal(&before, &item->digest))
		return changed(node, diag);
	return 0;
}
