/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that can be done to an image; see image_exercise.h. */
#include "tests/lib/image_exercise.h"

#include <string.h>
#include <sys/stat.h>

#include "fs/image/image.h"
#include "tests/lib/image_parts.h"

/* Contents of holes are not hashed beyond this: it could take for ever. */
#define SPARSE_MAX (1u << 20)

/* Holds in a build without assertions, too. */
static void require(bool ok)
{
	if (!ok)
		abort();
}

/* Look at each byte, so that the sanitizers do. */
static unsigned touch(const void *data, size_t len)
{
	const uint8_t *p = data;
	unsigned sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += p[i];
	return sum;
}

static void do_folder(const struct image *img, const struct image_node *dir)
{
	for (uint64_t i = 0; i < dir->size; i++) {
		struct image_entry e, again;
		struct image_node child;

		require(image_entry(img, dir->data + (uint32_t)i, &e) == 0);
		require(e.parent == dir->ino);
		require(image_lookup(img, dir, e.name, e.name_len, &again) ==
			0);
		require(again.name == e.name && again.ino == e.ino);
		require(image_node(img, e.ino, &child) == 0);
		require((child.mode & S_IFMT) == e.type);
		require(image_parent(img, &child) <= dir->ino);
	}

	struct image_entry none;

	require(image_lookup(img, dir, "/", 1, &none) == -ENOENT);
	require(image_lookup(img, dir, "", 0, &none) == -ENOENT);
}

static void do_xattrs(const struct image *img, const struct image_node *node)
{
	uint32_t count = image_xattr_count(img, node);
	struct image_xattr x, again;

	for (uint32_t i = 0; i < count; i++) {
		require(image_xattr(img, node, i, &x) == 0);
		(void)touch(x.value, x.value_len);

		_cleanup_free_ char *name = strndup(x.name, x.name_len);

		require(name && image_xattr_get(img, node, name, &again) == 0);
		require(again.name == x.name && again.value == x.value);
	}
	require(image_xattr(img, node, count, &x) == -EBADMSG);
	require(image_xattr_get(img, node, "", &x) == -ENODATA);
}

/* What lseek finds from the piece on is its begin, or its end. */
static void do_seek(const struct image *img, const struct image_object *o,
	uint64_t off, const struct image_piece *p)
{
	int same = p->hole ? SEEK_HOLE : SEEK_DATA;
	int other = p->hole ? SEEK_DATA : SEEK_HOLE;
	uint64_t at = 0;

	require(image_seek(img, o, off, same, &at) == 0 && at == off);

	int r = image_seek(img, o, off, other, &at);

	if (r == 0)
		require(at >= off + p->len && at <= o->size);
	else
		require(r == -ENXIO && p->hole && off + p->len == o->size);
}

static void do_object(const struct image *img, uint32_t index)
{
	struct image_object o;
	uint64_t off = 0, dense = 0, at;

	require(image_object(img, index, &o) == 0);
	while (off < o.size) {
		struct image_piece p;

		require(image_piece(img, &o, off, &p) == 0);
		require(p.len >= 1 && p.len <= o.size - off);
		do_seek(img, &o, off, &p);
		if (!p.hole) {
			uint32_t raw = image_frame_size(img, p.frame);

			require(p.frame_off < raw);
			require(p.len <= raw - p.frame_off);
			dense += p.len;
		}
		off += p.len;
	}
	require(dense == o.dense);
	require(image_seek(img, &o, o.size, SEEK_DATA, &at) == -ENXIO);
}

static void do_path(const struct image *img, uint32_t ino)
{
	_cleanup_free_ char *path = image_path(img, ino, NULL);
	_cleanup_free_ char *longer = image_path(img, ino, "x");
	struct image_node node;

	require(path && longer);
	require(image_walk(img, path, &node) == 0 && node.ino == ino);
	require(strlen(longer) == strlen(path) + (ino == 1 ? 1 : 2));
}

static void do_node(const struct image *img, uint32_t ino)
{
	struct image_node node;
	const char *target;
	size_t len;

	require(image_node(img, ino, &node) == 0);
	if (S_ISDIR(node.mode))
		do_folder(img, &node);
	if (S_ISREG(node.mode))
		do_object(img, node.data);
	if (S_ISLNK(node.mode)) {
		require(image_link_target(img, &node, &target, &len) == 0);
		(void)touch(target, len);
	}
	do_xattrs(img, &node);
	do_path(img, ino);
}

static void do_frames(const struct image *img, const struct image_summary *s)
{
	_cleanup_(image_reader_free) struct image_reader *reader =
		image_reader_new(img);
	_cleanup_free_ uint8_t *dst = malloc(s->frame_size);

	require(reader && dst);
	for (uint32_t i = 0; i < s->frames; i++) {
		int r = image_frame_read(reader, i, IMAGE_TRUST_DIGEST, dst);

		require(r == 0 || r == -EBADMSG);
		if (r == 0)
			(void)touch(dst, image_frame_size(img, i));
		if (r == 0)
			require(image_frame_read(reader, i,
					IMAGE_TRUST_CHECKSUM, dst) == 0);
	}
	require(image_frame_read(reader, s->frames, IMAGE_TRUST_DIGEST, dst) ==
		-EBADMSG);
}

static void count_report(void *arg, const char *text)
{
	require(*text != '\0');
	++*(uint64_t *)arg;
}

int image_exercise(const void *data, size_t len)
{
	_cleanup_(source_free) struct source *src = NULL;
	_cleanup_(image_free) struct image *img = NULL;
	struct image_summary s;
	struct diag diag = {0};
	uint64_t reports = 0;
	struct image_check_hooks hooks = {
		.report = count_report, .arg = &reports};

	require(source_from_memory(data, len, &src) == 0);

	int r = image_open(src, &img, &diag);

	require((r < 0) == (diag.text[0] != '\0'));
	if (r < 0)
		return r;
	(void)take_ptr(src); /* the image has it */
	image_summary(img, &s);
	for (uint32_t ino = 1; ino <= s.inodes; ino++)
		do_node(img, ino);
	do_frames(img, &s);
	if (s.sparse_bytes > SPARSE_MAX)
		return 0;
	r = image_check(img, &hooks);
	require((r == -EBADMSG) == (reports > 0));
	return r;
}

int image_exercise_sealed(const void *data, size_t len)
{
	struct image_parts parts;
	_cleanup_buf_ struct buf image = {.max = SIZE_MAX / 2};
	int r = image_parts_read(data, len, &parts);

	if (r < 0)
		return r;
	r = image_parts_write(&parts, &image);
	image_parts_done(&parts);
	return r < 0 ? r : image_exercise(image.data, image.len);
}

int image_exercise_super(const void *data, size_t len)
{
	struct layout_super super;
	struct digest d;

	if (len < sizeof(super))
		return -EBADMSG;

	_cleanup_free_ uint8_t *copy = malloc(len);

	require(copy);
	memcpy(copy, data, len);
	memcpy(&super, data, sizeof(super));
	require(digest_of(&super, offsetof(struct layout_super, image_id),
			&d) == 0);
	memcpy(copy + offsetof(struct layout_super, image_id), d.bytes,
		DIGEST_LEN);
	return image_exercise(copy, len);
}
