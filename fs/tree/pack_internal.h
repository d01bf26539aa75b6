/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How pack works, and what its parts share.
 *
 *	workers			committer (the calling thread)
 *	read a file, hash it,	takes the files in one fixed order, finds
 *	cut it into holes and	duplicates, fills shared frames with small
 *	dense bytes		objects, gives each frame its number, writes
 *	compress a frame	finished frames in that order
 *
 * A file is an item in a window that moves over the list of files. A worker
 * reads items in order; several are under way at once. The dense bytes of a
 * small object stay in its item until the committer copies them into the shared
 * frame; those of a large one become frames as they are read, which any worker
 * compresses. Only the committer decides what goes where, so the image does not
 * depend on which thread was faster.
 *
 * A large file whose size another file has as well may be a duplicate: it is
 * hashed first (PACK_HASH), and read again only when the committer has found
 * that it is none. All others are read once. One worker more is there only for
 * that second reading: the others may by then all read later files and wait for
 * room, which nobody makes before the file that is to be read again is done.
 */
#ifndef FS_TREE_PACK_INTERNAL_H
#define FS_TREE_PACK_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "fs/base/buf.h"
#include "fs/codec/zstd.h"
#include "fs/image/image.h"
#include "fs/image/writer.h"
#include "fs/tree/pack.h"
#include "fs/tree/table.h"

/* Files that may be under way at once, and bytes of them held in memory. */
#define PACK_WINDOW 1024
#define PACK_BUDGET (64u << 20)

/*
 * The file that the committer waits for may go this much over the budget, which
 * later files may have used up. So it always gets on; and since nothing else is
 * ever over it by more than a frame, what is over the sum can be written.
 */
#define PACK_MARGIN (16 * LAYOUT_FRAME_MAX)

/* Raw bytes on their way to becoming stored bytes. */
struct pack_frame {
	struct pack_frame *next;      /* in its item, then in the output */
	struct pack_frame *next_task; /* in the queue of the workers */
	uint8_t *raw;		      /* owned; NULL once compressed */
	uint32_t raw_len;
	uint8_t *stored; /* owned */
	uint32_t stored_len;
	struct digest digest; /* of the stored bytes */
	uint64_t checksum;
	bool done; /* protected by the pack's lock, as are both next */
};

struct pack_hole {
	uint64_t start, len, dense;
};

/* How an item is read. */
enum pack_mode {
	PACK_STREAM, /* frames are made on the way */
	PACK_HASH,   /* only digest and holes */
};

/*
 * A file under way. The worker that reads it owns it until it sets ready (or,
 * for its frames, appends them under the lock); then it is the committer's.
 */
struct pack_item {
	const struct tree_node *node;
	enum pack_mode mode;
	bool ready;		  /* protected by the lock */
	struct pack_frame *first; /* protected by the lock */
	struct pack_frame *last;  /* protected by the lock */
	bool has_frames;	  /* a frame was made: the object is large */
	struct digest digest;
	struct buf holes;  /* struct pack_hole */
	uint64_t dense;	   /* length of the dense bytes */
	uint8_t *data;	   /* a small object's dense bytes; owned */
	uint64_t reserved; /* bytes of the budget that data uses */

	/* A small object of the tree's image: its bytes are still there, and
	 * are fetched when they must be. */
	bool in_image;
	uint32_t frame, off;
};

struct pack {
	struct tree *tree;
	const struct pack_options *opt;
	struct tree_node **files; /* regular files, as packed; owned */
	size_t file_count;
	uint64_t total_bytes;
	const uint64_t *twin_sizes; /* sorted sizes that occur twice */
	size_t twin_count;

	size_t worker_count; /* jobs, and one to read again where needed */

	const struct image *image; /* the tree's; NULL: none */
	bool same_coder; /* its stored frames are what we would make */

	pthread_mutex_t lock;
	pthread_cond_t work; /* for workers: a task, room, or the end */
	pthread_cond_t news; /* for the committer: something is ready */
	/* All below is protected by lock; stop may be read without it. */
	struct pack_item items[PACK_WINDOW]; /* by file index modulo */
	size_t next_read;		     /* file that is read next */
	size_t committed;		     /* files before are finished */
	struct pack_item *again;	     /* to be read a second time */
	struct pack_frame *first_task, *last_task;
	uint64_t in_flight; /* bytes of the budget in use */
	atomic_bool stop;   /* the end, or an error */
	int error;	    /* the first one, with its line */
	struct diag diag;
};

/* What a worker needs for itself. */
struct pack_worker {
	struct pack *p;
	pthread_t thread;
	bool started;
	bool only_again;	     /* is there for second readings */
	struct hasher *file_hasher;  /* of the file that is being read */
	struct hasher *frame_hasher; /* free also while that goes on */
	struct compressor *zstd;     /* NULL for level 0 */
	struct image_reader *reader; /* NULL without an image */
	uint8_t *chunk;		     /* frame_size bytes read at once */
};

/*
 * pack_order.c: the regular files in the order in which they are packed, and
 * the large sizes that occur twice (*ret_twins is the caller's, and stays as
 * long as p). 0 or -ENOMEM.
 */
int pack_list_files(struct pack *p, uint64_t **ret_twins) must_check;

/* pack_work.c */
int pack_workers_start(struct pack *p, struct pack_worker **ret) must_check;
/* Stops and joins them all. */
void pack_workers_stop(struct pack *p, struct pack_worker *workers);
/* Note an error (the first counts) and stop everything. */
void pack_fail(struct pack *p, int err, const struct diag *diag);
/* Queue a frame for compression. Lock held; counted in in_flight before. */
void pack_add_task(struct pack *p, struct pack_frame *f);
struct pack_frame *pack_frame_new(uint32_t size) must_check;
void pack_frame_free(struct pack_frame *f); /* NULL is allowed */
void pack_item_done(struct pack_item *item);

/* pack_read.c: read an item as its mode says. 0 or -errno. */
int pack_read(struct pack_worker *w, struct pack_item *item,
	struct diag *diag) must_check;
/* Wait for room and hand over a full frame of an item that is being read. */
int pack_emit(struct pack_worker *w, struct pack_item *item,
	struct pack_frame *f) must_check;

/*
 * pack_image.c: contents that are in the tree's image already. Their digests
 * and holes are known; frames that hold the same bytes are copied as they are
 * stored.
 */
int pack_image_init(struct pack *p, struct diag *diag) must_check;
int pack_image_read(struct pack_worker *w, struct pack_item *item,
	struct diag *diag) must_check;
/* Fill a frame with the stored bytes of one of the image. */
int pack_image_copy(struct pack *p, uint32_t frame, struct pack_frame *f,
	struct diag *diag) must_check;

/* pack_tables.c: what is not about file contents. */
struct pack_tables {
	struct buf sections[SECTION_FRAMES];
};

void pack_tables_init(struct pack_tables *t);
void pack_tables_done(struct pack_tables *t);
/*
 * Give objects, holes and places the order of the inodes that use them first,
 * then fill inodes, entries, names and xattrs. object has each regular file's
 * object by inode number - 1, and is changed.
 */
int pack_tables_fill(struct pack_tables *t, const struct tree *tree,
	uint32_t *object, struct diag *diag) must_check;

#endif
