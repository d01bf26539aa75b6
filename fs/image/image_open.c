/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening: superblock, then the sections, each compared with its digest before
 * anything looks into it, then the rules. Metadata is copied into memory and
 * not mapped: a mapped file could change after it was checked.
 */
#include "fs/image/image.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "fs/image/image_internal.h"

static const struct {
	const char *name;
	size_t stride;
} kinds[SECTION_COUNT] = {
	[SECTION_INODES] = {"inodes", sizeof(struct layout_inode)},
	[SECTION_DIRENTS] = {"dirents", sizeof(struct layout_dirent)},
	[SECTION_NAMES] = {"names", 1},
	[SECTION_XSETS] = {"xsets", sizeof(struct layout_xset)},
	[SECTION_XATTRS] = {"xattrs", sizeof(struct layout_xattr)},
	[SECTION_XBYTES] = {"xbytes", 1},
	[SECTION_OBJECTS] = {"objects", sizeof(struct layout_object)},
	[SECTION_HOLES] = {"holes", sizeof(struct layout_hole)},
	[SECTION_PLACES] = {"places", sizeof(struct layout_place)},
	[SECTION_FRAMES] = {"frames", sizeof(struct layout_frame)},
};

size_t image_section_stride(enum section s)
{
	return kinds[s].stride;
}

void image_tree_id(struct hasher *hasher,
	const struct digest sections[SECTION_LOGICAL_COUNT], struct digest *ret)
{
	static const char prefix[] = "stele tree 1\n";

	hasher_begin(hasher);
	hasher_add(hasher, prefix, sizeof(prefix) - 1);
	for (enum section s = 0; s < SECTION_LOGICAL_COUNT; s++)
		hasher_add(hasher, sections[s].bytes, DIGEST_LEN);
	hasher_end(hasher, ret);
}

static bool all_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (p[i])
			return false;
	}
	return true;
}

/* What these bytes are, before it makes sense to call them damaged. */
static int check_identity(const struct layout_super *super, struct diag *diag)
{
	if (memcmp(super->magic, LAYOUT_MAGIC, 5) != 0)
		return diag_set(diag, -EBADMSG,
			"not a stele image: it does not begin with \"stele\"");
	if (memcmp(super->magic, LAYOUT_MAGIC, sizeof(super->magic)) != 0)
		return diag_set(diag, -EBADMSG,
			"superblock: damaged magic; was the image copied as "
			"text? copy it as binary");

	uint32_t version = le32toh(super->version);

	if (version > LAYOUT_VERSION)
		return diag_set(diag, -EOPNOTSUPP,
			"made by a newer stele, format version %" PRIu32
			"; this program reads up to %d; upgrade stele",
			version, LAYOUT_VERSION);
	if (version < LAYOUT_VERSION)
		return diag_set(diag, -EBADMSG,
			"superblock: there is no format version %" PRIu32,
			version);
	return 0;
}

static int check_super(struct image *img, const struct layout_super *super,
	const struct digest *image_id, struct diag *diag)
{
	uint64_t size = source_size(img->source);
	uint64_t claimed = le64toh(super->file_size);
	uint32_t frame_size = le32toh(super->frame_size);

	if (memcmp(super->image_id, image_id->bytes, DIGEST_LEN) != 0)
		return diag_set(diag, -EBADMSG,
			"superblock: damaged, it does not match its SHA-256");
	if (size < claimed)
		return diag_set(diag, -EBADMSG,
			"cut short: %" PRIu64 " of %" PRIu64 " bytes", size,
			claimed);
	if (size > claimed && !source_is_padded(img->source))
		return diag_set(diag, -EBADMSG,
			"too long: %" PRIu64 " bytes follow the %" PRIu64
			" of the image",
			size - claimed, claimed);
	if (frame_size < LAYOUT_FRAME_MIN || frame_size > LAYOUT_FRAME_MAX ||
		(frame_size & (frame_size - 1)))
		return diag_set(diag, -EBADMSG,
			"superblock: frame size %" PRIu32
			" is not a power of two from %u to %u",
			frame_size, LAYOUT_FRAME_MIN, LAYOUT_FRAME_MAX);
	if (le32toh(super->section_count) != SECTION_COUNT)
		return diag_set(diag, -EBADMSG,
			"superblock: %" PRIu32 " sections instead of %d",
			le32toh(super->section_count), SECTION_COUNT);
	if (super->features)
		return diag_set(diag, -EOPNOTSUPP,
			"made by a newer stele: unknown features %#" PRIx32,
			le32toh(super->features));
	if (!all_zero(super->reserved, sizeof(super->reserved)))
		return diag_set(diag, -EBADMSG,
			"superblock: reserved bytes are not zero");

	img->image_id = *image_id;
	memcpy(img->tree_id.bytes, super->tree_id, DIGEST_LEN);
	img->frame_size = frame_size;
	img->file_size = claimed;
	img->frames_end = le64toh(super->sections[0].off);
	return 0;
}

static int section_error(enum section s, const char *why, struct diag *diag)
{
	return diag_set(diag, -EBADMSG, "section %s: %s", kinds[s].name, why);
}

/* The record of one section; *end is where the one before ends. */
static int check_section(const struct layout_section *sec, enum section s,
	const struct image *img, uint64_t *end, struct diag *diag)
{
	uint64_t off = le64toh(sec->off);
	uint64_t stored = le64toh(sec->stored);
	uint64_t raw = le64toh(sec->raw);
	uint32_t codec = le32toh(sec->codec);

	if (off != *end)
		return section_error(s, "not right after the one before", diag);
	if (off > img->file_size || stored > img->file_size - off)
		return section_error(s, "ends behind the file", diag);
	if (codec != LAYOUT_RAW && codec != LAYOUT_ZSTD)
		return section_error(s, "unknown codec", diag);
	if (codec == LAYOUT_RAW && stored != raw)
		return section_error(s, "raw, but two sizes", diag);
	if (codec == LAYOUT_ZSTD && stored >= raw)
		return section_error(s, "compressed, but not smaller", diag);
	if (raw / LAYOUT_SECTION_RATIO > stored ||
		(raw / LAYOUT_SECTION_RATIO == stored &&
			raw % LAYOUT_SECTION_RATIO))
		return section_error(s, "expands too much", diag);
	if (sec->reserved)
		return section_error(s, "reserved field is not zero", diag);
	if (raw % kinds[s].stride)
		return section_error(s, "ends inside a record", diag);
	if (kinds[s].stride > 1 && raw / kinds[s].stride >= LAYOUT_NONE)
		return section_error(s, "too many records", diag);
	*end = off + stored;
	return 0;
}

static int check_sections(const struct image *img,
	const struct layout_super *super, struct diag *diag)
{
	uint64_t end = img->frames_end;

	if (end < LAYOUT_SUPER_SIZE)
		return section_error(0, "begins in the superblock", diag);
	for (enum section s = 0; s < SECTION_COUNT; s++) {
		int r = check_section(&super->sections[s], s, img, &end, diag);

		if (r < 0)
			return r;
	}
	if (end != img->file_size)
		return diag_set(diag, -EBADMSG,
			"superblock: the sections end at %" PRIu64
			", the file at %" PRIu64,
			end, img->file_size);
	return 0;
}

/* An empty section has memory too: no accessor meets a null pointer. */
static char *allocate(uint64_t len)
{
	if (len > PTRDIFF_MAX)
		return NULL;
	return malloc(len ? (size_t)len : 1);
}

/* Read and verify the stored bytes of a section. */
static int read_stored(const struct image *img,
	const struct layout_section *sec, struct hasher *hasher, char **ret)
{
	size_t len = (size_t)le64toh(sec->stored);
	_cleanup_free_ char *stored = allocate(le64toh(sec->stored));
	struct digest d;

	if (!stored)
		return -ENOMEM;

	int r = source_read(img->source, stored, len, le64toh(sec->off));

	if (r < 0)
		return r;
	hasher_run(hasher, stored, len, &d);
	if (memcmp(d.bytes, sec->sha256, DIGEST_LEN) != 0)
		return -EBADMSG;
	*ret = take_ptr(stored);
	return 0;
}

static int expand(const struct layout_section *sec, const char *stored,
	struct decompressor *unzstd, char **ret)
{
	uint64_t raw_len = le64toh(sec->raw);
	_cleanup_free_ char *raw = allocate(raw_len);

	if (!raw)
		return -ENOMEM;

	int r = decompressor_run(unzstd, raw, (size_t)raw_len, stored,
		(size_t)le64toh(sec->stored));

	if (r == 0)
		*ret = take_ptr(raw);
	return r;
}

static int load_sections(
	struct image *img, const struct layout_super *super, struct diag *diag)
{
	_cleanup_(hasher_free) struct hasher *hasher = hasher_new();
	_cleanup_(decompressor_free) struct decompressor *unzstd =
		decompressor_new();

	if (!hasher || !unzstd)
		return diag_errno(diag, -ENOMEM, "cannot open the image");
	for (enum section s = 0; s < SECTION_COUNT; s++) {
		const struct layout_section *sec = &super->sections[s];
		_cleanup_free_ char *stored = NULL;
		int r = read_stored(img, sec, hasher, &stored);

		if (r == -EBADMSG)
			return section_error(s,
				"damaged, it does not match its SHA-256", diag);
		if (r == 0 && le32toh(sec->codec) == LAYOUT_RAW)
			img->section[s] = take_ptr(stored);
		else if (r == 0)
			r = expand(sec, stored, unzstd, &img->section[s]);
		if (r == -EBADMSG)
			return section_error(
				s, "does not decompress to its size", diag);
		if (r < 0)
			return diag_errno(diag, r, "cannot read section %s",
				kinds[s].name);
		img->bytes[s] = le64toh(sec->raw);
		img->count[s] = img->bytes[s] / kinds[s].stride;
	}
	return 0;
}

static int read_super(
	struct source *src, struct layout_super *super, struct diag *diag)
{
	uint64_t size = source_size(src);
	size_t len = size < sizeof(*super) ? (size_t)size : sizeof(*super);

	*super = (struct layout_super){0};

	int r = source_read(src, super, len, 0);

	if (r < 0)
		return diag_errno(diag, r, "cannot read the superblock");
	r = check_identity(super, diag);
	if (r == 0 && len < sizeof(*super))
		return diag_set(diag, -EBADMSG,
			"cut short: %" PRIu64
			" bytes are less than a superblock",
			size);
	return r;
}

int image_open(struct source *src, struct image **ret, struct diag *diag)
{
	struct layout_super super;
	struct digest image_id;
	int r = read_super(src, &super, diag);

	if (r < 0)
		return r;
	r = digest_of(
		&super, offsetof(struct layout_super, image_id), &image_id);
	if (r < 0)
		return diag_errno(diag, r, "cannot open the image");

	_cleanup_(image_free) struct image *img = calloc(1, sizeof(*img));

	if (!img)
		return diag_errno(diag, -ENOMEM, "cannot open the image");
	img->source = src;
	r = check_super(img, &super, &image_id, diag);
	if (r == 0)
		r = check_sections(img, &super, diag);
	if (r == 0)
		r = load_sections(img, &super, diag);
	if (r == 0)
		r = image_rules_data(img, diag);
	if (r == 0)
		r = image_rules_xattrs(img, diag);
	if (r == 0)
		r = image_rules_tree(img, diag);
	if (r < 0) {
		img->source = NULL; /* stays the caller's */
		return r;
	}
	*ret = take_ptr(img);
	return 0;
}

int image_open_path(const char *path, struct image **ret, struct diag *diag)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_(source_free) struct source *src = NULL;
	struct diag inner = {0};

	if (fd < 0)
		return diag_errno(diag, -errno, "cannot open %s", path);

	int r = source_from_fd(fd, &src);

	if (r == -EINVAL)
		return diag_set(diag, -EBADMSG,
			"%s: not a stele image: neither a regular file nor a "
			"block device",
			path);
	if (r < 0)
		return diag_errno(diag, r, "cannot read %s", path);
	(void)take_fd(fd); /* the source has it */

	r = image_open(src, ret, &inner);
	if (r < 0)
		return diag_set(diag, r, "%s: %s", path, inner.text);
	(void)take_ptr(src); /* the image has it */
	return 0;
}

void image_free(struct image *img)
{
	if (!img)
		return;
	for (enum section s = 0; s < SECTION_COUNT; s++)
		free(img->section[s]);
	source_free(img->source);
	free(img);
}

void image_summary(const struct image *img, struct image_summary *ret)
{
	*ret = (struct image_summary){
		.image_id = img->image_id,
		.tree_id = img->tree_id,
		.frame_size = img->frame_size,
		.file_size = img->file_size,
		.inodes = (uint32_t)img->count[SECTION_INODES],
		.dirents = (uint32_t)img->count[SECTION_DIRENTS],
		.objects = (uint32_t)img->count[SECTION_OBJECTS],
		.frames = (uint32_t)img->count[SECTION_FRAMES],
		.xattr_sets = (uint32_t)img->count[SECTION_XSETS],
		.object_bytes = img->object_bytes,
		.stored_bytes = img->frames_end - LAYOUT_SUPER_SIZE,
		.sparse_bytes = img->sparse_bytes,
	};
}
