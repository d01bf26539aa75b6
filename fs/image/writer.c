/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing an image: frames through one large buffer as they come, sections and
 * superblock at the end. The file has no name until it is whole; see
 * writer_file.c.
 */
#include "fs/image/writer.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>

#include "fs/base/io.h"
#include "fs/codec/zstd.h"
#include "fs/image/image_internal.h"
#include "fs/image/writer_file.h"

/* Written at once, and how much may wait in the page cache: what is left for
 * the final fsync is then small. */
#define BUFFER_SIZE (1u << 20)
#define WRITEBACK_STEP (8u << 20)

struct image_writer {
	struct writer_file *file;
	uint32_t frame_size;
	int level;
	uint8_t *buffer;
	size_t used;	  /* of the buffer */
	uint64_t off;	  /* where the buffer goes */
	uint64_t written; /* writeback was started up to here */
	struct buf frames;
};

int image_writer_new(const char *path, uint32_t frame_size, int level,
	struct image_writer **ret, struct diag *diag)
{
	assert(frame_size >= LAYOUT_FRAME_MIN &&
		frame_size <= LAYOUT_FRAME_MAX);
	assert((frame_size & (frame_size - 1)) == 0);
	assert(level >= 0 && level <= ZSTD_LEVEL_MAX);

	_cleanup_(image_writer_free) struct image_writer *w =
		calloc(1, sizeof(*w));

	if (!w)
		return diag_errno(diag, -ENOMEM, "cannot write %s", path);
	buf_init(&w->frames,
		(size_t)(LAYOUT_NONE - 1) * sizeof(struct layout_frame));
	w->frame_size = frame_size;
	w->level = level;
	w->off = w->written = LAYOUT_SUPER_SIZE;
	w->buffer = malloc(BUFFER_SIZE);
	if (!w->buffer)
		return diag_errno(diag, -ENOMEM, "cannot write %s", path);

	int r = writer_file_new(path, &w->file, diag);

	if (r < 0)
		return r;
	*ret = take_ptr(w);
	return 0;
}

void image_writer_free(struct image_writer *w)
{
	if (!w)
		return;
	writer_file_free(w->file);
	buf_done(&w->frames);
	free(w->buffer);
	free(w);
}

static int write_error(struct image_writer *w, int err, struct diag *diag)
{
	return diag_errno(
		diag, err, "cannot write %s", writer_file_path(w->file));
}

static int flush(struct image_writer *w)
{
	int fd = writer_file_fd(w->file);
	int r = io_pwrite(fd, w->buffer, w->used, w->off);

	if (r < 0)
		return r;
	w->off += w->used;
	w->used = 0;
	if (w->off - w->written >= WRITEBACK_STEP) {
		/* Only a hint: what it fails to write, fsync will. */
		(void)sync_file_range(fd, (off_t)w->written,
			(off_t)(w->off - w->written), SYNC_FILE_RANGE_WRITE);
		w->written = w->off;
	}
	return 0;
}

static int append(struct image_writer *w, const void *data, size_t len)
{
	while (len) {
		size_t n = BUFFER_SIZE - w->used;

		if (n > len)
			n = len;
		memcpy(w->buffer + w->used, data, n);
		w->used += n;
		data = (const uint8_t *)data + n;
		len -= n;

		int r = w->used == BUFFER_SIZE ? flush(w) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

int image_writer_frame(struct image_writer *w, const struct image_frame *frame,
	struct diag *diag)
{
	assert(frame->stored_len >= 1 && frame->stored_len <= frame->raw_len);
	assert(frame->raw_len <= w->frame_size);

	struct layout_frame record = {
		.off = htole64(w->off + w->used),
		.stored = htole32(frame->stored_len),
		.raw = htole32(frame->raw_len),
		.xxh3 = htole64(frame->checksum),
	};

	memcpy(record.sha256, frame->digest.bytes, DIGEST_LEN);

	int r = buf_add(&w->frames, &record, sizeof(record));

	if (r == -E2BIG)
		return diag_set(diag, r,
			"cannot write %s: too many frames; use larger ones",
			writer_file_path(w->file));
	if (r == 0)
		r = append(w, frame->stored, frame->stored_len);
	return r < 0 ? write_error(w, r, diag) : 0;
}

uint32_t image_writer_frame_count(const struct image_writer *w)
{
	return (uint32_t)(w->frames.len / sizeof(struct layout_frame));
}

uint64_t image_writer_size(const struct image_writer *w)
{
	return w->off + w->used;
}

/* What one section needs; made once for all of them. */
struct packing {
	struct hasher *hasher;
	struct compressor *zstd; /* NULL: store raw */
	struct buf packed;
	struct digest logical[SECTION_LOGICAL_COUNT];
};

/* The section's bytes as they will be stored. */
static int pack_section(struct packing *p, const struct buf *table,
	struct layout_section *sec, const void **ret)
{
	size_t packed = 0;

	*ret = table->data;
	sec->raw = sec->stored = htole64(table->len);
	sec->codec = htole32(LAYOUT_RAW);
	if (p->zstd && table->len) {
		buf_reset(&p->packed);

		void *dst = buf_reserve(&p->packed, table->len);

		if (!dst)
			return -ENOMEM;
		packed = compressor_run(p->zstd, dst, table->data, table->len);
		if (packed &&
			(table->len - 1) / packed < LAYOUT_SECTION_RATIO) {
			*ret = dst;
			sec->stored = htole64(packed);
			sec->codec = htole32(LAYOUT_ZSTD);
		}
	}
	return 0;
}

static int write_section(struct image_writer *w, struct packing *p,
	const struct buf *table, enum section s, struct layout_section *sec)
{
	const void *stored = NULL;
	struct digest d;

	assert(table->len % image_section_stride(s) == 0);
	if (s < SECTION_LOGICAL_COUNT)
		hasher_run(p->hasher, table->data, table->len, &p->logical[s]);

	int r = pack_section(p, table, sec, &stored);

	if (r < 0)
		return r;

	size_t len = (size_t)le64toh(sec->stored);

	sec->off = htole64(w->off + w->used);
	hasher_run(p->hasher, stored, len, &d);
	memcpy(sec->sha256, d.bytes, DIGEST_LEN);
	return append(w, stored, len);
}

/* Sections, then the superblock that names them. */
static int write_rest(struct image_writer *w, struct packing *p,
	const struct buf *tables, struct layout_super *super)
{
	struct digest d;

	for (enum section s = 0; s < SECTION_COUNT; s++) {
		int r = write_section(w, p,
			s == SECTION_FRAMES ? &w->frames : &tables[s], s,
			&super->sections[s]);

		if (r < 0)
			return r;
	}

	int r = flush(w);

	if (r < 0)
		return r;
	memcpy(super->magic, LAYOUT_MAGIC, sizeof(super->magic));
	super->version = htole32(LAYOUT_VERSION);
	super->frame_size = htole32(w->frame_size);
	super->file_size = htole64(w->off);
	super->section_count = htole32(SECTION_COUNT);
	image_tree_id(p->hasher, p->logical, &d);
	memcpy(super->tree_id, d.bytes, DIGEST_LEN);
	hasher_run(
		p->hasher, super, offsetof(struct layout_super, image_id), &d);
	memcpy(super->image_id, d.bytes, DIGEST_LEN);
	return io_pwrite(writer_file_fd(w->file), super, sizeof(*super), 0);
}

int image_writer_finish(struct image_writer *w,
	const struct buf tables[SECTION_FRAMES], struct digest *ret_image_id,
	struct digest *ret_tree_id, struct diag *diag)
{
	_cleanup_(hasher_free) struct hasher *hasher = hasher_new();
	_cleanup_(compressor_free) struct compressor *zstd =
		w->level ? compressor_new(w->level) : NULL;
	struct packing p = {.hasher = hasher, .zstd = zstd};
	struct layout_super super = {0};

	if (!hasher || (w->level && !zstd))
		return write_error(w, -ENOMEM, diag);
	buf_init(&p.packed, SIZE_MAX / 2);

	int r = write_rest(w, &p, tables, &super);

	buf_done(&p.packed);
	if (r < 0)
		return write_error(w, r, diag);
	r = writer_file_publish(w->file, diag);
	if (r < 0)
		return r;
	memcpy(ret_image_id->bytes, super.image_id, DIGEST_LEN);
	memcpy(ret_tree_id->bytes, super.tree_id, DIGEST_LEN);
	return 0;
}
