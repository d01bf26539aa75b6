/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The committer of pack: takes the files in order and decides what goes where;
 * see pack_internal.h for the whole.
 */
#include "fs/tree/pack.h"

#include <assert.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/tree/pack_internal.h"

struct committer {
	struct pack *p;
	struct image_writer *writer;
	struct pack_tables tables;
	struct table known; /* first bytes of a digest -> object */
	uint32_t *object;   /* by inode number - 1; owned */
	uint32_t object_count;
	uint64_t object_bytes;
	uint64_t done_bytes;

	/* Frames whose number is fixed, in order; written from the front. */
	struct pack_frame *out_first, *out_last;
	uint32_t frame_count;

	/* The frame that small objects are being put into, and those in it. */
	struct pack_frame *shared;
	struct buf in_shared; /* uint32_t object indexes */

	/* All that is in it is what begins this frame of the image, where it
	 * still lies; LAYOUT_NONE: it is in the raw bytes. */
	uint32_t same;
	struct image_reader *reader; /* NULL without an image; owned */
	uint8_t *old;		     /* bytes of a frame of the image; owned */
	uint32_t old_frame;	     /* or LAYOUT_NONE */
};

/* Write the frames at the front of the output that are compressed. */
static int write_ready(struct committer *c, struct diag *diag)
{
	struct pack *p = c->p;

	for (;;) {
		struct pack_frame *f = c->out_first;

		pthread_mutex_lock(&p->lock);

		bool done = f && f->done && !p->stop;

		if (done) {
			p->in_flight -= f->stored_len;
			pthread_cond_broadcast(&p->work);
		}
		pthread_mutex_unlock(&p->lock);
		if (!done)
			return 0;
		c->out_first = f->next;
		if (!c->out_first)
			c->out_last = NULL;

		struct image_frame frame = {
			.stored = f->stored,
			.stored_len = f->stored_len,
			.raw_len = f->raw_len,
			.digest = f->digest,
			.checksum = f->checksum,
		};
		int r = image_writer_frame(c->writer, &frame, diag);

		pack_frame_free(f);
		if (r < 0)
			return r;
	}
}

typedef bool (*condition)(struct committer *c, struct pack_item *item);

static bool item_has_news(struct committer *c, struct pack_item *item)
{
	/* Before a worker takes the place in the window for it, what is there
	 * is not this file's. */
	return c->p->next_read > c->p->committed &&
	       (item->ready || item->first);
}

static bool output_is_empty(struct committer *c, struct pack_item *item)
{
	return !c->out_first;
}

/* Wait until the condition (asked with the lock) holds, writing meanwhile. */
static int wait_until(struct committer *c, condition holds,
	struct pack_item *item, struct diag *diag)
{
	struct pack *p = c->p;

	for (;;) {
		int r = write_ready(c, diag);

		if (r < 0)
			return r;
		pthread_mutex_lock(&p->lock);
		while (!p->stop && !holds(c, item) &&
			!(c->out_first && c->out_first->done))
			pthread_cond_wait(&p->news, &p->lock);

		bool met = holds(c, item);

		r = p->stop ? p->error : 0;
		if (r < 0 && diag)
			*diag = p->diag;
		pthread_mutex_unlock(&p->lock);
		if (r < 0 || met)
			return r;
	}
}

/* Give a frame the next number; it is written when its turn comes. */
static int output(struct committer *c, struct pack_frame *f, struct diag *diag)
{
	if (c->frame_count == LAYOUT_NONE - 1) {
		pack_frame_free(f);
		return diag_set(diag, -E2BIG,
			"the tree needs too many frames; use larger ones");
	}
	c->frame_count++;
	f->next = NULL;
	if (c->out_last)
		c->out_last->next = f;
	else
		c->out_first = f;
	c->out_last = f;
	return 0;
}

static struct layout_place *place_of(struct committer *c, uint32_t object)
{
	void *places = c->tables.sections[SECTION_PLACES].data;

	return (struct layout_place *)places + object;
}

/* Bring the bytes of a frame of the image into c->old. */
static int load(struct committer *c, uint32_t frame, struct diag *diag)
{
	if (frame == c->old_frame)
		return 0;
	c->old_frame = LAYOUT_NONE;

	int r = image_frame_read(c->reader, frame, IMAGE_TRUST_DIGEST, c->old);

	if (r < 0)
		return diag_errno(
			diag, r, "reading frame %u of the image", frame);
	c->old_frame = frame;
	return 0;
}

/* From now on the shared frame is not what the image has. */
static int part_from_image(struct committer *c, struct diag *diag)
{
	uint32_t frame = c->same;

	if (frame == LAYOUT_NONE)
		return 0;
	c->same = LAYOUT_NONE;

	int r = load(c, frame, diag);

	if (r == 0)
		memcpy(c->shared->raw, c->old, c->shared->raw_len);
	return r;
}

/* Add a small object's bytes to the shared frame, which has room. */
static int put(
	struct committer *c, const struct pack_item *item, struct diag *diag)
{
	struct pack_frame *f = c->shared;
	uint32_t len = (uint32_t)item->dense;
	const uint8_t *bytes = item->data;
	int r;

	if (item->in_image && c->p->same_coder && item->off == f->raw_len &&
		(f->raw_len == 0 || c->same == item->frame)) {
		c->same = item->frame;
		f->raw_len += len;
		return 0;
	}
	r = part_from_image(c, diag);
	if (r == 0 && item->in_image) {
		r = load(c, item->frame, diag);
		bytes = c->old + item->off;
	}
	if (r < 0)
		return r;
	memcpy(f->raw + f->raw_len, bytes, len);
	f->raw_len += len;
	return 0;
}

/* The shared frame is full: now its number is known, so tell its objects. */
static int close_shared(struct committer *c, struct diag *diag)
{
	struct pack *p = c->p;
	int r = 0;

	if (!c->shared)
		return 0;
	if (c->same == LAYOUT_NONE ||
		c->shared->raw_len != image_frame_size(p->image, c->same))
		r = part_from_image(c, diag);
	else
		r = pack_image_copy(p, c->same, c->shared, diag);
	c->same = LAYOUT_NONE;

	struct pack_frame *f = take_ptr(c->shared);

	for (size_t i = 0; i < c->in_shared.len; i += sizeof(uint32_t)) {
		uint32_t object;

		memcpy(&object, c->in_shared.data + i, sizeof(object));
		place_of(c, object)->frame = htole32(c->frame_count);
	}
	buf_reset(&c->in_shared);
	if (r == 0)
		r = output(c, take_ptr(f), diag);
	pack_frame_free(f);
	if (r < 0)
		return r;
	f = c->out_last;
	pthread_mutex_lock(&p->lock);
	p->in_flight += f->done ? f->stored_len : p->opt->frame_size;
	if (!f->done)
		pack_add_task(p, f);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

/* Put a small object's bytes into the shared frame. */
static int share(struct committer *c, const struct pack_item *item,
	struct layout_place *place, struct diag *diag)
{
	uint32_t size = c->p->opt->frame_size;
	uint32_t len = (uint32_t)item->dense;
	int r = 0;

	if (!len)
		return 0;
	if (c->shared && c->shared->raw_len + len > size)
		r = close_shared(c, diag);
	if (r < 0)
		return r;
	if (!c->shared)
		c->shared = pack_frame_new(size);
	if (!c->shared)
		return -ENOMEM;
	place->off = htole32(c->shared->raw_len);
	r = put(c, item, diag);
	if (r < 0)
		return r;
	return buf_add(&c->in_shared, &c->object_count, sizeof(uint32_t));
}

/* Tell how far we are: more bytes than those of the files that are done. */
static void tell(const struct committer *c, uint64_t more)
{
	const struct pack *p = c->p;

	if (p->opt->progress)
		p->opt->progress(
			p->opt->arg, c->done_bytes + more, p->total_bytes);
}

/* Take over the frames of a large object as they come. */
static int take_frames(
	struct committer *c, struct pack_item *item, struct diag *diag)
{
	struct pack *p = c->p;
	uint64_t taken = 0;

	for (;;) {
		int r = wait_until(c, item_has_news, item, diag);

		if (r < 0)
			return r;
		pthread_mutex_lock(&p->lock);

		struct pack_frame *f = item->first;

		if (f)
			item->first = f->next;
		if (!item->first)
			item->last = NULL;
		pthread_mutex_unlock(&p->lock);
		if (!f)
			return 0;
		taken += f->raw_len;
		r = output(c, f, diag);
		if (r < 0)
			return r;
		tell(c, taken);
	}
}

static uint64_t digest_hash(const struct digest *d)
{
	uint64_t h;

	memcpy(&h, d->bytes, sizeof(h));
	return h;
}

/* The object with these bytes, or LAYOUT_NONE. */
static uint32_t find_object(const struct committer *c, const struct digest *d)
{
	const void *objects = c->tables.sections[SECTION_OBJECTS].data;
	const struct table_slot *slot = NULL;

	while ((slot = table_next(&c->known, digest_hash(d), slot))) {
		const struct layout_object *o =
			(const struct layout_object *)objects + slot->value;

		if (memcmp(o->sha256, d->bytes, DIGEST_LEN) == 0)
			return (uint32_t)slot->value;
	}
	return LAYOUT_NONE;
}

static int add_holes(struct committer *c, const struct pack_item *item,
	struct layout_object *object)
{
	struct buf *table = &c->tables.sections[SECTION_HOLES];
	size_t first = table->len / sizeof(struct layout_hole);
	size_t count = item->holes.len / sizeof(struct pack_hole);
	const void *holes = item->holes.data;

	if (!count)
		return 0;
	if (first + count >= LAYOUT_NONE)
		return -E2BIG;
	object->hole = htole32((uint32_t)first);
	object->hole_count = htole32((uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		const struct pack_hole *h = (const struct pack_hole *)holes + i;
		struct layout_hole hole = {
			.start = htole64(h->start),
			.len = htole64(h->len),
			.dense = htole64(h->dense),
		};
		int r = buf_add(table, &hole, sizeof(hole));

		if (r < 0)
			return r;
	}
	return 0;
}

/* Record the object whose place was decided. */
static int add_object(struct committer *c, const struct pack_item *item,
	const struct layout_place *place)
{
	struct layout_object object = {.size = htole64(item->node->size)};
	int r = add_holes(c, item, &object);

	memcpy(object.sha256, item->digest.bytes, DIGEST_LEN);
	if (r == 0)
		r = buf_add(&c->tables.sections[SECTION_OBJECTS], &object,
			sizeof(object));
	if (r == 0)
		r = buf_add(&c->tables.sections[SECTION_PLACES], place,
			sizeof(*place));
	if (r == 0)
		r = table_add(
			&c->known, digest_hash(&item->digest), c->object_count);
	if (r < 0)
		return r;
	c->object_count++;
	c->object_bytes += item->node->size;
	return 0;
}

/* Send an item that was only hashed back to be read into frames. */
static void read_again(struct pack *p, struct pack_item *item)
{
	pthread_mutex_lock(&p->lock);
	item->mode = PACK_STREAM;
	item->ready = false;
	p->again = item;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
}

/* Decide about one file; *ret is its object. */
static int commit(struct committer *c, struct pack_item *item, uint32_t *ret,
	struct diag *diag)
{
	struct pack *p = c->p;
	struct layout_place place = {0};
	int r = wait_until(c, item_has_news, item, diag);

	if (r < 0)
		return r;
	if (item->mode == PACK_HASH) {
		*ret = find_object(c, &item->digest);
		if (*ret != LAYOUT_NONE)
			return 0;
		read_again(p, item);
	}

	/* A large object's frames follow each other from here on. */
	uint32_t first_frame = c->frame_count;

	r = take_frames(c, item, diag);
	if (r < 0)
		return r;
	*ret = find_object(c, &item->digest);
	if (*ret != LAYOUT_NONE)
		return 0;
	if (item->has_frames)
		place.frame = htole32(first_frame);
	else
		r = share(c, item, &place, diag);
	*ret = c->object_count;
	if (r == 0)
		r = add_object(c, item, &place);
	return r;
}

static int commit_all(struct committer *c, struct diag *diag)
{
	struct pack *p = c->p;

	for (size_t i = 0; i < p->file_count; i++) {
		struct pack_item *item = &p->items[i % PACK_WINDOW];
		int r = commit(c, item, &c->object[p->files[i]->ino - 1], diag);

		if (r < 0)
			return r;
		c->done_bytes += p->files[i]->size;
		pack_item_done(item);
		pthread_mutex_lock(&p->lock);
		p->in_flight -= item->reserved;
		*item = (struct pack_item){0};
		p->committed = i + 1;
		pthread_cond_broadcast(&p->work);
		pthread_mutex_unlock(&p->lock);
		tell(c, 0);
	}

	int r = close_shared(c, diag);

	return r < 0 ? r : wait_until(c, output_is_empty, NULL, diag);
}

static void committer_done(struct committer *c)
{
	while (c->out_first) {
		struct pack_frame *f = c->out_first;

		c->out_first = f->next;
		pack_frame_free(f);
	}
	pack_frame_free(c->shared);
	buf_done(&c->in_shared);
	table_done(&c->known);
	pack_tables_done(&c->tables);
	image_writer_free(c->writer);
	image_reader_free(c->reader);
	free(c->old);
	free(c->object);
}

static int run(struct committer *c, const char *path, struct pack_result *ret,
	struct diag *diag)
{
	struct pack *p = c->p;
	struct pack_worker *workers = NULL;
	int r = image_writer_new(
		path, p->opt->frame_size, p->opt->level, &c->writer, diag);

	if (r < 0)
		return r;
	c->object = calloc(tree_node_count(p->tree), sizeof(*c->object));
	if (!c->object)
		return -ENOMEM;
	if (p->image) {
		c->reader = image_reader_new(p->image);
		c->old = malloc(p->opt->frame_size);
		if (!c->reader || !c->old)
			return -ENOMEM;
	}
	r = pack_workers_start(p, &workers);
	if (r == 0)
		r = commit_all(c, diag);
	/* After this nobody but us knows of the items and frames. */
	pack_workers_stop(p, workers);
	if (r == 0)
		r = pack_tables_fill(&c->tables, p->tree, c->object, diag);
	if (r < 0)
		return r;

	struct pack_result result = {
		.file_bytes = p->total_bytes,
		.object_bytes = c->object_bytes,
		.objects = c->object_count,
	};

	r = image_writer_finish(c->writer, c->tables.sections, &result.image_id,
		&result.tree_id, diag);
	if (r < 0)
		return r;
	result.image_bytes = image_writer_size(c->writer);
	*ret = result;
	return 0;
}

int pack(struct tree *t, const char *path, const struct pack_options *opt,
	struct pack_result *ret, struct diag *diag)
{
	struct pack *p = calloc(1, sizeof(*p));
	_cleanup_free_ uint64_t *twins = NULL;

	assert(opt->jobs >= 1);
	if (!p)
		return diag_errno(diag, -ENOMEM, "packing %s", path);
	p->tree = t;
	p->opt = opt;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->news, NULL);

	struct committer c = {
		.p = p,
		.same = LAYOUT_NONE,
		.old_frame = LAYOUT_NONE,
	};

	pack_tables_init(&c.tables);
	buf_init(&c.in_shared, SIZE_MAX / 2);

	struct diag line = {.text = ""};
	int r = pack_list_files(p, &twins);

	if (r == 0)
		r = pack_image_init(p, &line);
	if (r == 0)
		r = run(&c, path, ret, &line);
	if (r < 0 && diag) {
		if (line.text[0])
			*diag = line;
		else
			(void)diag_errno(diag, r, "packing %s", path);
	}
	committer_done(&c);
	for (size_t i = 0; i < PACK_WINDOW; i++)
		pack_item_done(&p->items[i]);
	pthread_cond_destroy(&p->news);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	free(p->files);
	free(p);
	return r;
}
