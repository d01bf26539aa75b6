/* SPDX-License-Identifier: Apache-2.0 */
/* Images taken apart and put together; see image_parts.h. */
#include "tests/lib/image_parts.h"

#include <stdbool.h>
#include <string.h>

#include "fs/codec/digest.h"
#include "fs/codec/zstd.h"

#define TABLE_MAX (16u << 20)

static size_t clamp(uint64_t value, size_t max)
{
	return value < max ? (size_t)value : max;
}

/* The raw bytes of a section: decompressed if that works, else as they are. */
static int read_table(const uint8_t *stored, size_t len,
	const struct layout_section *sec, struct buf *ret, bool *ret_packed)
{
	size_t raw = clamp(le64toh(sec->raw), TABLE_MAX);

	*ret_packed = le32toh(sec->codec) == LAYOUT_ZSTD;
	if (*ret_packed && raw / LAYOUT_SECTION_RATIO <= len) {
		_cleanup_(decompressor_free) struct decompressor *d =
			decompressor_new();
		void *dst = buf_reserve(ret, raw);

		if (!d || !dst)
			return -ENOMEM;
		if (decompressor_run(d, dst, raw, stored, len) == 0) {
			ret->len = raw;
			return 0;
		}
	}
	return buf_add(ret, stored, len);
}

int image_parts_read(const void *data, size_t len, struct image_parts *ret)
{
	const uint8_t *bytes = data;
	struct layout_super super;

	*ret = (struct image_parts){0};
	if (len < sizeof(super))
		return -EBADMSG;
	memcpy(&super, bytes, sizeof(super));
	ret->frame_size = le32toh(super.frame_size);
	buf_init(&ret->frames, TABLE_MAX);

	size_t at = clamp(le64toh(super.sections[0].off), len);

	if (at < sizeof(super))
		at = sizeof(super);

	int r = buf_add(
		&ret->frames, bytes + sizeof(super), at - sizeof(super));

	for (int s = 0; s < SECTION_COUNT; s++) {
		size_t n = clamp(le64toh(super.sections[s].stored), len - at);

		buf_init(&ret->tables[s], TABLE_MAX);
		if (r == 0)
			r = read_table(bytes + at, n, &super.sections[s],
				&ret->tables[s], &ret->packed[s]);
		at += n;
	}
	if (r < 0)
		image_parts_done(ret);
	return r;
}

void image_parts_done(struct image_parts *p)
{
	buf_done(&p->frames);
	for (int s = 0; s < SECTION_COUNT; s++)
		buf_done(&p->tables[s]);
}

/* Digest and checksum of each frame that lies where there are bytes. */
static void seal_frames(struct image_parts *p, struct hasher *hasher)
{
	struct buf *table = &p->tables[SECTION_FRAMES];
	struct layout_frame f;

	for (size_t at = 0; at + sizeof(f) <= table->len; at += sizeof(f)) {
		struct digest d;

		memcpy(&f, table->data + at, sizeof(f));

		uint64_t off = le64toh(f.off) - LAYOUT_SUPER_SIZE;
		size_t len = le32toh(f.stored);

		if (!p->frames.data || off > p->frames.len ||
			len > p->frames.len - off)
			continue;
		hasher_run(hasher, p->frames.data + off, len, &d);
		memcpy(f.sha256, d.bytes, DIGEST_LEN);
		f.xxh3 = htole64(checksum(p->frames.data + off, len));
		memcpy(table->data + at, &f, sizeof(f));
	}
}

/* Append a section to the image that begins at base, and fill its record. */
static int add_section(struct buf *image, size_t base, const struct buf *table,
	bool packed, struct layout_section *sec)
{
	_cleanup_(compressor_free) struct compressor *zstd =
		packed ? compressor_new(1) : NULL;
	uint8_t *dst = buf_reserve(image, table->len);
	size_t n = 0;
	struct digest d;

	if (!dst || (packed && !zstd))
		return -ENOMEM;
	sec->off = htole64(image->len - base);
	sec->raw = htole64(table->len);
	if (packed && table->len)
		n = compressor_run(zstd, dst, table->data, table->len);
	sec->codec = htole32(n ? LAYOUT_ZSTD : LAYOUT_RAW);
	if (!n) {
		n = table->len;
		if (n)
			memcpy(dst, table->data, n);
	}
	sec->stored = htole64(n);
	image->len += n;

	int r = digest_of(dst, n, &d);

	memcpy(sec->sha256, d.bytes, DIGEST_LEN);
	return r;
}

/* Deliberately not the product's code: written from FORMAT.md, section 6. */
static void seal_tree_id(const struct image_parts *p, struct hasher *hasher,
	struct layout_super *super)
{
	uint8_t all[13 + SECTION_LOGICAL_COUNT * DIGEST_LEN];
	struct digest d;

	memcpy(all, "stele tree 1\n", 13);
	for (size_t s = 0; s < SECTION_LOGICAL_COUNT; s++) {
		hasher_run(hasher, p->tables[s].data, p->tables[s].len, &d);
		memcpy(all + 13 + s * DIGEST_LEN, d.bytes, DIGEST_LEN);
	}
	hasher_run(hasher, all, sizeof(all), &d);
	memcpy(super->tree_id, d.bytes, DIGEST_LEN);
}

int image_parts_write(struct image_parts *p, struct buf *ret)
{
	_cleanup_(hasher_free) struct hasher *hasher = hasher_new();
	struct layout_super super = {
		.version = htole32(LAYOUT_VERSION),
		.frame_size = htole32(p->frame_size),
		.section_count = htole32(SECTION_COUNT),
	};
	size_t base = ret->len;
	struct digest d;

	if (!hasher)
		return -ENOMEM;
	if (!p->keep_frames)
		seal_frames(p, hasher);
	seal_tree_id(p, hasher, &super);
	memcpy(super.magic, LAYOUT_MAGIC, sizeof(super.magic));

	int r = buf_add(ret, &super, sizeof(super));

	if (r == 0)
		r = buf_add(ret, p->frames.data, p->frames.len);
	for (int s = 0; r == 0 && s < SECTION_COUNT; s++)
		r = add_section(ret, base, &p->tables[s], p->packed[s],
			&super.sections[s]);
	if (r < 0)
		return r;
	super.file_size = htole64(ret->len - base);
	hasher_run(hasher, &super, offsetof(struct layout_super, image_id), &d);
	memcpy(super.image_id, d.bytes, DIGEST_LEN);
	memcpy(ret->data + base, &super, sizeof(super));
	return 0;
}
