/* SPDX-License-Identifier: Apache-2.0 */
/* The workers of pack: who does what next, and how much may be under way. */
#include <string.h>

#include "fs/tree/pack_internal.h"

struct pack_frame *pack_frame_new(uint32_t size)
{
	struct pack_frame *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->raw = malloc(size);
	if (f->raw)
		return f;
	free(f);
	return NULL;
}

void pack_frame_free(struct pack_frame *f)
{
	if (!f)
		return;
	free(f->raw);
	free(f->stored);
	free(f);
}

void pack_item_done(struct pack_item *item)
{
	while (item->first) {
		struct pack_frame *f = item->first;

		item->first = f->next;
		pack_frame_free(f);
	}
	free(item->data);
	buf_done(&item->holes);
}

void pack_fail(struct pack *p, int err, const struct diag *diag)
{
	pthread_mutex_lock(&p->lock);
	if (!p->error) {
		p->error = err;
		p->diag = *diag;
	}
	p->stop = true;
	pthread_cond_broadcast(&p->work);
	pthread_cond_broadcast(&p->news);
	pthread_mutex_unlock(&p->lock);
}

void pack_add_task(struct pack *p, struct pack_frame *f)
{
	f->next_task = NULL;
	if (p->last_task)
		p->last_task->next_task = f;
	else
		p->first_task = f;
	p->last_task = f;
	pthread_cond_broadcast(&p->work);
}

static struct pack_frame *take_task(struct pack *p)
{
	struct pack_frame *f = p->first_task;

	if (f) {
		p->first_task = f->next_task;
		if (!p->first_task)
			p->last_task = NULL;
	}
	return f;
}

/* Compress a frame that nobody else touches meanwhile. */
static int compress(struct pack_worker *w, struct pack_frame *f)
{
	size_t n = 0;

	if (w->zstd) {
		f->stored = malloc(f->raw_len);
		if (!f->stored)
			return -ENOMEM;
		n = compressor_run(w->zstd, f->stored, f->raw, f->raw_len);
	}
	if (n) {
		f->stored_len = (uint32_t)n;
		free(take_ptr(f->raw));
	} else {
		free(f->stored);
		f->stored = take_ptr(f->raw);
		f->stored_len = f->raw_len;
	}

	/* No more than this is counted from now on: give back the rest. */
	uint8_t *fit = realloc(f->stored, f->stored_len);

	if (fit)
		f->stored = fit;
	hasher_run(w->frame_hasher, f->stored, f->stored_len, &f->digest);
	f->checksum = checksum(f->stored, f->stored_len);
	return 0;
}

/* Called with the lock, which is given up while it works. */
static void run_task(struct pack_worker *w, struct pack_frame *f)
{
	struct pack *p = w->p;

	pthread_mutex_unlock(&p->lock);

	int r = compress(w, f);

	if (r < 0) {
		struct diag diag;

		(void)diag_errno(&diag, r, "compressing");
		pack_fail(p, r, &diag);
	}
	pthread_mutex_lock(&p->lock);
	f->done = true;
	p->in_flight -= p->opt->frame_size - f->stored_len;
	pthread_cond_signal(&p->news);
	pthread_cond_broadcast(&p->work);
}

/* May an item add a frame to what is under way? Lock held. */
static bool has_room(const struct pack *p, const struct pack_item *item)
{
	bool is_next = item == &p->items[p->committed % PACK_WINDOW];

	return p->in_flight <= PACK_BUDGET + (is_next ? PACK_MARGIN : 0);
}

int pack_emit(
	struct pack_worker *w, struct pack_item *item, struct pack_frame *f)
{
	struct pack *p = w->p;

	pthread_mutex_lock(&p->lock);
	/* Make room before adding: compress what waits for it, else wait. */
	while (!p->stop && !has_room(p, item)) {
		struct pack_frame *task = take_task(p);

		if (task)
			run_task(w, task);
		else
			pthread_cond_wait(&p->work, &p->lock);
	}
	p->in_flight += f->done ? f->stored_len : p->opt->frame_size;
	f->next = NULL;
	if (item->last)
		item->last->next = f;
	else
		item->first = f;
	item->last = f;
	item->has_frames = true;
	if (!f->done)
		pack_add_task(p, f);
	pthread_cond_signal(&p->news);

	int r = p->stop ? -ECANCELED : 0;

	pthread_mutex_unlock(&p->lock);
	return r;
}

/* A large file that may equal another one is only hashed at first. */
static enum pack_mode first_mode(const struct pack *p, uint64_t size)
{
	size_t low = 0, high = p->twin_count;

	if (size <= p->opt->frame_size)
		return PACK_STREAM;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (p->twin_sizes[middle] < size)
			low = middle + 1;
		else
			high = middle;
	}
	return low < p->twin_count && p->twin_sizes[low] == size ? PACK_HASH
								 : PACK_STREAM;
}

/* The next file to read, if there is room for it. Lock held. */
static struct pack_item *take_item(struct pack_worker *w)
{
	struct pack *p = w->p;
	struct pack_item *item = take_ptr(p->again);

	if (item || w->only_again)
		return item;
	if (p->next_read == p->file_count ||
		p->next_read - p->committed >= PACK_WINDOW)
		return NULL;
	if (p->in_flight > PACK_BUDGET && p->next_read != p->committed)
		return NULL;

	const struct tree_node *node = p->files[p->next_read];

	item = &p->items[p->next_read++ % PACK_WINDOW];
	*item = (struct pack_item){
		.node = node,
		.mode = first_mode(p, node->size),
	};
	/* An object has at most one hole in two blocks. */
	buf_init(&item->holes,
		(node->size / LAYOUT_BLOCK / 2 + 1) * sizeof(struct pack_hole));
	item->reserved = node->size < p->opt->frame_size ? node->size
							 : p->opt->frame_size;
	p->in_flight += item->reserved;
	return item;
}

/* Called with the lock, which is given up while it reads. */
static void run_item(struct pack_worker *w, struct pack_item *item)
{
	struct pack *p = w->p;
	struct diag diag;

	pthread_mutex_unlock(&p->lock);

	int r = pack_read(w, item, &diag);

	if (r < 0)
		pack_fail(p, r, &diag);
	pthread_mutex_lock(&p->lock);
	item->ready = true;
	pthread_cond_signal(&p->news);
}

static void *work(void *arg)
{
	struct pack_worker *w = arg;
	struct pack *p = w->p;

	pthread_mutex_lock(&p->lock);
	while (!p->stop) {
		struct pack_frame *f = w->only_again ? NULL : take_task(p);
		struct pack_item *item = f ? NULL : take_item(w);

		if (f)
			run_task(w, f);
		else if (item)
			run_item(w, item);
		else
			pthread_cond_wait(&p->work, &p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static int start(struct pack *p, struct pack_worker *w)
{
	w->p = p;
	w->file_hasher = hasher_new();
	w->frame_hasher = hasher_new();
	w->chunk = malloc(p->opt->frame_size);
	if (!w->file_hasher || !w->frame_hasher || !w->chunk)
		return -ENOMEM;
	if (p->opt->level > 0) {
		w->zstd = compressor_new(p->opt->level);
		if (!w->zstd)
			return -ENOMEM;
	}
	if (p->image) {
		w->reader = image_reader_new(p->image);
		if (!w->reader)
			return -ENOMEM;
	}

	int r = -pthread_create(&w->thread, NULL, work, w);

	w->started = r == 0;
	return r;
}

int pack_workers_start(struct pack *p, struct pack_worker **ret)
{
	p->worker_count = (size_t)p->opt->jobs + (p->twin_count > 0);

	struct pack_worker *workers = calloc(p->worker_count, sizeof(*workers));

	if (!workers)
		return -ENOMEM;
	for (size_t i = 0; i < p->worker_count; i++) {
		workers[i].only_again = i == p->opt->jobs;

		int r = start(p, &workers[i]);

		if (r < 0) {
			pack_workers_stop(p, workers);
			return r;
		}
	}
	*ret = workers;
	return 0;
}

void pack_workers_stop(struct pack *p, struct pack_worker *workers)
{
	if (!workers)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);

	for (size_t i = 0; i < p->worker_count; i++) {
		struct pack_worker *w = &workers[i];

		if (w->started)
			pthread_join(w->thread, NULL);
		hasher_free(w->file_hasher);
		hasher_free(w->frame_hasher);
		compressor_free(w->zstd);
		image_reader_free(w->reader);
		free(w->chunk);
	}
	free(workers);
}
