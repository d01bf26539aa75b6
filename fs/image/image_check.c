/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules that need more than the tables: content against digests and holes,
 * the tree id, and that nothing is stored twice. Each frame is read once, in
 * the order of the file.
 */
#include "fs/image/image.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/image/image_internal.h"

static const uint8_t zeros[64 << 10];

struct check {
	const struct image *img;
	const struct image_check_hooks *hooks;
	struct hasher *hasher;
	struct image_reader *reader;
	uint8_t *frame;	      /* raw bytes of the frame last read */
	uint32_t frame_index; /* its number, LAYOUT_NONE: none yet */
	bool frame_bad;
	uint32_t *users; /* first inode of each object; NULL until needed */
	uint64_t done;
	bool damaged;
};

static void report(struct check *c, const struct diag *line)
{
	c->damaged = true;
	if (c->hooks->report)
		c->hooks->report(c->hooks->arg, line->text);
}

static void progress(struct check *c, uint64_t bytes)
{
	c->done += bytes;
	if (c->hooks->progress)
		c->hooks->progress(
			c->hooks->arg, c->done, c->img->object_bytes);
}

/* Who uses which object is only asked when something is damaged. */
static int find_users(struct check *c)
{
	const struct image *img = c->img;

	if (c->users)
		return 0;
	c->users = calloc(img->count[SECTION_OBJECTS] + 1, sizeof(*c->users));
	if (!c->users)
		return -ENOMEM;
	for (uint64_t ino = 1; ino <= img->count[SECTION_INODES]; ino++) {
		struct image_node node;

		if (image_node(img, ino, &node) == 0 && S_ISREG(node.mode) &&
			!c->users[node.data])
			c->users[node.data] = node.ino;
	}
	return 0;
}

static int object_report(struct check *c, uint32_t object, const char *what)
{
	char path[768];
	struct diag line;
	int r = find_users(c);

	if (r < 0)
		return r;
	image_path_short(c->img, c->users[object], path, sizeof(path));
	(void)diag_set(&line, -EBADMSG, "%s: %s (object %" PRIu32 ")", path,
		what, object);
	report(c, &line);
	return 0;
}

/* Bring a frame into c->frame; damage is told once, for the first object. */
static int load_frame(struct check *c, uint32_t frame, uint32_t object)
{
	char what[64];

	if (frame == c->frame_index)
		return 0;
	c->frame_index = frame;

	int r = image_frame_read(
		c->reader, frame, IMAGE_TRUST_DIGEST, c->frame);

	c->frame_bad = r == -EBADMSG;
	if (!c->frame_bad)
		return r;
	(void)snprintf(what, sizeof(what),
		"cannot be read, frame %" PRIu32 " is damaged", frame);
	return object_report(c, object, what);
}

/* A zero block that is not written down as a hole. */
static bool has_zero_block(const uint8_t *data, uint64_t len)
{
	while (len) {
		uint64_t n = len < LAYOUT_BLOCK ? len : LAYOUT_BLOCK;

		if (!data[0] && memcmp(data, zeros, n) == 0)
			return true;
		data += n;
		len -= n;
	}
	return false;
}

/* What was found in the bytes of one object. */
struct findings {
	bool unread;	/* a frame of it is damaged, and that was told */
	bool zero_data; /* a zero block outside its holes */
};

static void add_hole(struct check *c, uint64_t len)
{
	while (len) {
		size_t n = len < sizeof(zeros) ? (size_t)len : sizeof(zeros);

		hasher_add(c->hasher, zeros, n);
		progress(c, n);
		len -= n;
	}
}

static int add_piece(struct check *c, const struct image_object *o,
	const struct image_piece *p, struct findings *f)
{
	if (p->hole) {
		/* Nothing is hashed for an object that is lost already. */
		if (f->unread)
			progress(c, p->len);
		else
			add_hole(c, p->len);
		return 0;
	}

	int r = load_frame(c, p->frame, o->index);

	if (r < 0)
		return r;
	if (c->frame_bad) {
		f->unread = true;
	} else {
		const uint8_t *data = c->frame + p->frame_off;

		hasher_add(c->hasher, data, (size_t)p->len);
		f->zero_data = f->zero_data || has_zero_block(data, p->len);
	}
	progress(c, p->len);
	return 0;
}

static int check_object(struct check *c, uint32_t index)
{
	struct image_object o;
	struct findings f = {0};
	struct digest d;
	int r = image_object(c->img, index, &o);

	if (r < 0)
		return r;
	hasher_begin(c->hasher);
	for (uint64_t off = 0; off < o.size;) {
		struct image_piece p;

		r = image_piece(c->img, &o, off, &p);
		if (r == 0)
			r = add_piece(c, &o, &p, &f);
		if (r < 0)
			return r;
		off += p.len;
	}
	if (f.unread)
		return 0;
	hasher_end(c->hasher, &d);
	if (!digest_equal(&d, &o.digest))
		return object_report(
			c, index, "content does not match its SHA-256");
	if (f.zero_data)
		return object_report(
			c, index, "a block of zeros is not a hole");
	return 0;
}

static int check_contents(struct check *c)
{
	_cleanup_free_ struct image_spot *spots = NULL;
	uint32_t count = 0;
	int r = image_spots(c->img, &spots, &count);

	if (r < 0)
		return r;
	for (uint32_t i = 0; r == 0 && i < count; i++)
		r = check_object(c, spots[i].object);

	/* Objects without dense bytes have no spot. */
	for (uint32_t i = 0; r == 0 && i < c->img->count[SECTION_OBJECTS];
		i++) {
		struct image_object o;

		r = image_object(c->img, i, &o);
		if (r == 0 && !o.dense)
			r = check_object(c, i);
	}
	return r;
}

/* A digest to sort by, and whose it is. */
struct named {
	struct digest digest;
	uint32_t index;
};

static int compare_named(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int r = memcmp(x->digest.bytes, y->digest.bytes, DIGEST_LEN);

	/* By number among equals, so that the report is always the same. */
	return r ? r : (x->index > y->index) - (x->index < y->index);
}

static void report_twins(
	struct check *c, struct named *all, uint64_t count, const char *what)
{
	qsort(all, count, sizeof(*all), compare_named);
	for (uint64_t i = 1; i < count; i++) {
		struct diag line;

		if (!digest_equal(&all[i - 1].digest, &all[i].digest))
			continue;
		(void)diag_set(&line, -EBADMSG,
			"%s %" PRIu32 ": the same as %s %" PRIu32, what,
			all[i].index, what, all[i - 1].index);
		report(c, &line);
	}
}

static int check_object_twins(struct check *c)
{
	uint64_t count = c->img->count[SECTION_OBJECTS];
	_cleanup_free_ struct named *all = calloc(count + 1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		memcpy(all[i].digest.bytes, image_objects(c->img)[i].sha256,
			DIGEST_LEN);
		all[i].index = i;
	}
	report_twins(c, all, count, "object");
	return 0;
}

/* Two sets are the same when their lengths, names and values are. */
static void digest_xset(struct check *c, uint32_t index, struct digest *ret)
{
	const struct layout_xset *set = &image_xsets(c->img)[index];
	uint32_t count = le32toh(set->count);
	struct image_node node = {.xset = index};

	hasher_begin(c->hasher);
	for (uint32_t i = 0; i < count; i++) {
		struct image_xattr x;

		if (image_xattr(c->img, &node, i, &x) < 0)
			break;
		hasher_add(c->hasher, &x.name_len, sizeof(x.name_len));
		hasher_add(c->hasher, &x.value_len, sizeof(x.value_len));
		hasher_add(c->hasher, x.name, x.name_len);
		hasher_add(c->hasher, x.value, x.value_len);
	}
	hasher_end(c->hasher, ret);
}

static int check_xset_twins(struct check *c)
{
	uint64_t count = c->img->count[SECTION_XSETS];
	_cleanup_free_ struct named *all = calloc(count + 1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		digest_xset(c, i, &all[i].digest);
		all[i].index = i;
	}
	report_twins(c, all, count, "xattr set");
	return 0;
}

static void check_tree_id(struct check *c)
{
	struct digest sections[SECTION_LOGICAL_COUNT], tree_id;

	for (enum section s = 0; s < SECTION_LOGICAL_COUNT; s++)
		hasher_run(c->hasher, c->img->section[s],
			(size_t)c->img->bytes[s], &sections[s]);
	image_tree_id(c->hasher, sections, &tree_id);
	if (!digest_equal(&tree_id, &c->img->tree_id)) {
		struct diag line;

		(void)diag_set(&line, -EBADMSG,
			"superblock: the tree id is not that of the tree");
		report(c, &line);
	}
}

int image_check(const struct image *img, const struct image_check_hooks *hooks)
{
	static const struct image_check_hooks quiet;
	_cleanup_(hasher_free) struct hasher *hasher = hasher_new();
	_cleanup_(image_reader_free) struct image_reader *reader =
		image_reader_new(img);
	_cleanup_free_ uint8_t *frame = malloc(img->frame_size);
	struct check c = {
		.img = img,
		.hooks = hooks ? hooks : &quiet,
		.hasher = hasher,
		.reader = reader,
		.frame = frame,
		.frame_index = LAYOUT_NONE,
	};

	if (!hasher || !reader || !frame)
		return -ENOMEM;
	check_tree_id(&c);

	int r = check_xset_twins(&c);

	if (r == 0)
		r = check_object_twins(&c);
	if (r == 0)
		r = check_contents(&c);
	free(c.users);
	if (r < 0)
		return r;
	return c.damaged ? -EBADMSG : 0;
}
