/* SPDX-License-Identifier: Apache-2.0 */
/* Small images from a table; see image_sample.h. */
#include "tests/lib/image_sample.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/codec/zstd.h"
#include "fs/image/writer.h"

#define TABLE_MAX (16u << 20)
#define INODE_MAX 1024
#define CONTENT_MAX 1024

/* A sample on its way into an image. */
struct making {
	const struct sample *s;
	struct image_writer *writer;
	struct buf tables[SECTION_FRAMES];
	struct buf targets; /* appended to the names at the end */
	const struct sample_entry *first[INODE_MAX + 1]; /* by number */
	uint32_t home[INODE_MAX + 1], links[INODE_MAX + 1];
	uint32_t inodes;
	uint32_t object[CONTENT_MAX]; /* by content; its number + 1 */
	const struct sample_xattr *xset[INODE_MAX];
	uint8_t shared[LAYOUT_FRAME_MAX]; /* the frame being filled */
	uint32_t shared_len;
	struct diag *diag;
};

static int add_record(struct making *m, enum section s, const void *record,
	size_t len, uint64_t *ret_index)
{
	if (ret_index)
		*ret_index = m->tables[s].len / len;
	return buf_add(&m->tables[s], record, len);
}

static int put_frame(struct making *m, const void *raw, uint32_t len)
{
	uint8_t packed[LAYOUT_FRAME_MAX];
	struct image_frame f = {
		.stored = raw, .stored_len = len, .raw_len = len};

	if (m->s->level) {
		_cleanup_(compressor_free) struct compressor *c =
			compressor_new(m->s->level);
		size_t n;

		if (!c)
			return -ENOMEM;
		n = compressor_run(c, packed, raw, len);

		if (n) {
			f.stored = packed;
			f.stored_len = (uint32_t)n;
		}
	}

	int r = digest_of(f.stored, f.stored_len, &f.digest);

	f.checksum = checksum(f.stored, f.stored_len);
	return r < 0 ? r : image_writer_frame(m->writer, &f, m->diag);
}

static int flush_shared(struct making *m)
{
	uint32_t len = m->shared_len;

	m->shared_len = 0;
	return len ? put_frame(m, m->shared, len) : 0;
}

/* Give dense bytes their frames; small ones wait in the shared frame. */
static int place(struct making *m, const uint8_t *dense, size_t len)
{
	struct layout_place p = {0};
	int r = 0;

	if (len > m->s->frame_size || m->shared_len + len > m->s->frame_size)
		r = flush_shared(m);
	if (len)
		p.frame = htole32(image_writer_frame_count(m->writer));
	if (len > m->s->frame_size) {
		while (r == 0 && len) {
			size_t n =
				len < m->s->frame_size ? len : m->s->frame_size;

			r = put_frame(m, dense, (uint32_t)n);
			dense += n;
			len -= n;
		}
	} else if (len) {
		p.off = htole32(m->shared_len);
		memcpy(m->shared + m->shared_len, dense, len);
		m->shared_len += (uint32_t)len;
	}
	return r < 0 ? r : add_record(m, SECTION_PLACES, &p, sizeof(p), NULL);
}

static bool is_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (p[i])
			return false;
	}
	return true;
}

/* Holes go into the table, everything else into dense. */
static int split_holes(struct making *m, const struct sample_content *c,
	struct buf *dense, struct layout_object *o)
{
	struct layout_hole h = {0};
	uint64_t start = 0, len = 0, index = 0;
	uint32_t count = 0;
	int r = 0;

	for (size_t at = 0; r == 0 && at < c->len; at += LAYOUT_BLOCK) {
		size_t n =
			c->len - at < LAYOUT_BLOCK ? c->len - at : LAYOUT_BLOCK;
		bool zero = is_zero(c->data + at, n);

		if (zero && !len)
			start = at;
		if (zero)
			len += n;
		else
			r = buf_add(dense, c->data + at, n);
		if (r < 0 || !len || (zero && at + n < c->len))
			continue;
		h.start = htole64(start);
		h.len = htole64(len);
		h.dense = htole64(dense->len - (zero ? 0 : n));
		r = add_record(m, SECTION_HOLES, &h, sizeof(h), &index);
		if (!count++)
			o->hole = htole32((uint32_t)index);
		len = 0;
	}
	o->hole_count = htole32(count);
	return r;
}

static int add_object(struct making *m, uint32_t content, uint32_t *ret)
{
	const struct sample_content *c = &m->s->contents[content];
	struct layout_object o = {.size = htole64(c->len)};
	_cleanup_buf_ struct buf dense = {.max = TABLE_MAX};
	struct digest d;
	uint64_t index = 0;

	assert(content < CONTENT_MAX);
	if (m->object[content]) {
		*ret = m->object[content] - 1;
		return 0;
	}

	int r = digest_of(c->data, c->len, &d);

	memcpy(o.sha256, d.bytes, DIGEST_LEN);
	if (r == 0)
		r = split_holes(m, c, &dense, &o);
	if (r == 0)
		r = add_record(m, SECTION_OBJECTS, &o, sizeof(o), &index);
	if (r == 0)
		r = place(m, (const uint8_t *)dense.data, dense.len);
	if (r < 0)
		return r;
	*ret = (uint32_t)index;
	m->object[content] = *ret + 1;
	return 0;
}

static int add_xset(
	struct making *m, const struct sample_xattr *x, uint32_t *ret)
{
	uint32_t count = (uint32_t)(m->tables[SECTION_XSETS].len /
				    sizeof(struct layout_xset));
	uint64_t first =
		m->tables[SECTION_XATTRS].len / sizeof(struct layout_xattr);
	struct layout_xset set = {.first = htole32((uint32_t)first)};
	int r = 0;

	for (*ret = 0; *ret < count; (*ret)++) {
		if (m->xset[*ret] == x)
			return 0;
	}
	m->xset[count] = x;
	for (; r == 0 && x->name; x++) {
		struct layout_xattr record = {
			.bytes = htole64(m->tables[SECTION_XBYTES].len),
			.name_len = htole16((uint16_t)strlen(x->name)),
			.value_len = htole32(x->value_len),
		};

		r = add_record(
			m, SECTION_XATTRS, &record, sizeof(record), NULL);
		if (r == 0)
			r = buf_add(&m->tables[SECTION_XBYTES], x->name,
				strlen(x->name));
		if (r == 0)
			r = buf_add(&m->tables[SECTION_XBYTES], x->value,
				x->value_len);
		set.count = htole32(le32toh(set.count) + 1);
	}
	return r < 0 ? r
		     : add_record(m, SECTION_XSETS, &set, sizeof(set), NULL);
}

/* Dirents and entry names, and which entry names an inode first. */
static int add_entries(struct making *m)
{
	m->inodes = 1;
	m->first[1] = &m->s->entries[0];
	m->home[1] = LAYOUT_NONE;
	for (size_t i = 1; i < m->s->entry_count; i++) {
		const struct sample_entry *e = &m->s->entries[i];

		assert(e->ino <= m->inodes + 1 && e->ino <= INODE_MAX);
		if (e->ino > m->inodes) {
			m->inodes = e->ino;
			m->first[e->ino] = e;
			m->home[e->ino] = (uint32_t)i - 1;
		}
		m->links[e->ino]++;

		struct layout_dirent d = {
			.name = htole32((uint32_t)m->tables[SECTION_NAMES].len),
			.ino = htole32(e->ino),
			.parent = htole32(e->parent),
			.name_len = htole16((uint16_t)strlen(e->name)),
			.type = htole16(
				(uint16_t)(m->first[e->ino]->mode >> 12)),
		};
		int r = add_record(m, SECTION_DIRENTS, &d, sizeof(d), NULL);

		if (r == 0)
			r = buf_add(&m->tables[SECTION_NAMES], e->name,
				strlen(e->name));
		if (r < 0)
			return r;
	}
	return 0;
}

static void fill_folder(
	struct making *m, uint32_t ino, uint32_t *next, struct layout_inode *in)
{
	uint32_t links = 2, size = 0;

	for (size_t i = 1; i < m->s->entry_count; i++) {
		const struct sample_entry *e = &m->s->entries[i];

		if (e->parent != ino)
			continue;
		size++;
		links += S_ISDIR(m->first[e->ino]->mode);
	}
	in->nlink = htole32(links);
	in->size = htole64(size);
	in->data = htole32(*next);
	*next += size;
}

static int fill_file(
	struct making *m, const struct sample_entry *e, struct layout_inode *in)
{
	uint32_t object = 0;
	int r = add_object(m, e->content, &object);

	in->data = htole32(object);
	in->size = htole64(m->s->contents[e->content].len);
	return r;
}

static int add_inode(struct making *m, uint32_t ino, uint32_t *next_dirent)
{
	const struct sample_entry *e = m->first[ino];
	uint32_t xset = LAYOUT_NONE;
	int r = e->xattrs ? add_xset(m, e->xattrs, &xset) : 0;
	struct layout_inode in = {
		.mode = htole32(e->mode),
		.uid = htole32(e->uid),
		.gid = htole32(e->gid),
		.nlink = htole32(m->links[ino]),
		.mtime = (int64_t)htole64((uint64_t)e->mtime),
		.mtime_nsec = htole32(e->mtime_nsec),
		.home = htole32(m->home[ino]),
		.xset = htole32(xset),
	};

	if (S_ISDIR(e->mode)) {
		fill_folder(m, ino, next_dirent, &in);
	} else if (S_ISREG(e->mode)) {
		r = r < 0 ? r : fill_file(m, e, &in);
	} else if (S_ISLNK(e->mode)) {
		in.size = htole64(strlen(e->target));
		in.link =
			htole64(m->tables[SECTION_NAMES].len + m->targets.len);
		r = r < 0 ? r
			  : buf_add(&m->targets, e->target, strlen(e->target));
	} else if (S_ISCHR(e->mode) || S_ISBLK(e->mode)) {
		in.data = htole32(e->major);
		in.more = htole32(e->minor);
	}
	return r < 0 ? r : add_record(m, SECTION_INODES, &in, sizeof(in), NULL);
}

static int make_tables(struct making *m)
{
	uint32_t next_dirent = 0;
	int r = add_entries(m);

	for (uint32_t ino = 1; r == 0 && ino <= m->inodes; ino++)
		r = add_inode(m, ino, &next_dirent);
	if (r == 0)
		r = buf_add(&m->tables[SECTION_NAMES], m->targets.data,
			m->targets.len);
	return r < 0 ? r : flush_shared(m);
}

int sample_write(const struct sample *s, const char *path,
	struct digest *ret_image_id, struct digest *ret_tree_id,
	struct diag *diag)
{
	_cleanup_free_ struct making *m = calloc(1, sizeof(*m));
	_cleanup_(image_writer_free) struct image_writer *w = NULL;
	struct digest image_id, tree_id;

	if (!m)
		return -ENOMEM;

	int r = image_writer_new(path, s->frame_size, s->level, &w, diag);

	m->s = s;
	m->writer = w;
	m->diag = diag;
	buf_init(&m->targets, TABLE_MAX);
	for (int i = 0; i < SECTION_FRAMES; i++)
		buf_init(&m->tables[i], TABLE_MAX);
	if (r == 0)
		r = make_tables(m);
	if (r == 0)
		r = image_writer_finish(
			w, m->tables, &image_id, &tree_id, diag);
	for (int i = 0; i < SECTION_FRAMES; i++)
		buf_done(&m->tables[i]);
	buf_done(&m->targets);
	if (r == 0 && ret_image_id)
		*ret_image_id = image_id;
	if (r == 0 && ret_tree_id)
		*ret_tree_id = tree_id;
	return r;
}

static int read_file(const char *path, struct buf *ret)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char chunk[4096];
	size_t n;
	int r = f ? 0 : -errno;

	while (r == 0 && (n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		r = buf_add(ret, chunk, n);
	return r == 0 && ferror(f) ? -EIO : r;
}

int sample_image(const struct sample *s, struct buf *ret)
{
	char folder[] = "/tmp/stele-sample.XXXXXX", path[64];

	if (!mkdtemp(folder))
		return -errno;
	(void)snprintf(path, sizeof(path), "%s/image", folder);

	int r = sample_write(s, path, NULL, NULL, NULL);

	if (r == 0)
		r = read_file(path, ret);
	/* Absent when the writing failed. */
	(void)unlink(path);
	if (rmdir(folder) < 0 && r == 0)
		r = -errno;
	return r;
}
