/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must be known of all that was written before any of it can be told: the
 * folders that went elsewhere, for their old name may come first, and the names
 * of files that have several.
 *
 * With index=on, overlayfs keeps the names of a file together when it is
 * written: other names of it in the image lead to the written file as well,
 * though nothing was written under them. The written file is in the index,
 * named after the image's inode, so these names must be looked for in the
 * image.
 */
#include "fs/tree/changes_internal.h"

#include <string.h>
#include <sys/sysmacros.h>

static uint64_t ino_hash(const struct change_survey *s, uint32_t ino)
{
	return table_hash(&s->key, &ino, sizeof(ino));
}

static bool set_has(
	const struct change_survey *s, const struct table *t, uint32_t ino)
{
	uint64_t hash = ino_hash(s, ino);
	const struct table_slot *slot = NULL;

	while ((slot = table_next(t, hash, slot))) {
		if (slot->value == ino)
			return true;
	}
	return false;
}

static int set_add(const struct change_survey *s, struct table *t, uint32_t ino)
{
	return set_has(s, t, ino) ? 0 : table_add(t, ino_hash(s, ino), ino);
}

/* Room for one more in an array of *cap. */
static int grow(void **array, size_t count, size_t *cap, size_t size)
{
	if (count < *cap)
		return 0;

	size_t more = *cap ? *cap * 2 : 64;
	void *a = reallocarray(*array, more, size);

	if (!a)
		return -ENOMEM;
	*array = a;
	*cap = more;
	return 0;
}

void survey_done(struct change_survey *s)
{
	for (size_t i = 0; i < s->linked_count; i++)
		free(s->linked[i].name);
	free(s->linked);
	free(s->links);
	table_done(&s->moved);
	table_done(&s->above);
	table_done(&s->linked_by_ino);
	table_done(&s->links_by_id);
}

/* ---- the index folder ---- */

static int add_linked(struct change_survey *s, uint32_t ino, const char *name)
{
	void *array = s->linked;
	int r = grow(
		&array, s->linked_count, &s->linked_cap, sizeof(*s->linked));

	s->linked = array;
	if (r < 0)
		return r;

	char *copy = strdup(name);

	if (!copy)
		return -ENOMEM;
	s->linked[s->linked_count] =
		(struct change_linked){.ino = ino, .name = copy};
	return table_add(
		&s->linked_by_ino, ino_hash(s, ino), s->linked_count++);
}

const struct change_linked *survey_linked(const struct changes *c, uint32_t ino)
{
	const struct change_survey *s = &c->survey;
	uint64_t hash = ino_hash(s, ino);
	const struct table_slot *slot = NULL;

	while ((slot = table_next(&s->linked_by_ino, hash, slot))) {
		if (s->linked[slot->value].ino == ino)
			return &s->linked[slot->value];
	}
	return NULL;
}

static int read_index(struct changes *c)
{
	struct listing l;
	int r = listing_read(c->src->index_fd, &l);

	if (r < 0)
		return r;
	for (size_t i = 0; i < l.count && r == 0; i++) {
		struct image_node node;
		struct statx st;
		uint32_t ino;

		/* Other things are there too: files in the making, and what
		 * says that a folder is gone. */
		if (overlay_index_ino(l.names[i], &ino) < 0 ||
			image_node(c->src->img, ino, &node) < 0 ||
			survey_linked(c, ino))
			continue;
		r = inode_stat(c->src->index_fd, l.names[i], &st);
		if (r == -ENOENT)
			r = 0;
		else if (r == 0 &&
			 (st.stx_mode & S_IFMT) == (node.mode & S_IFMT))
			r = add_linked(&c->survey, ino, l.names[i]);
	}
	listing_done(&l);
	return r;
}

/* The folder and all that it is in. */
static int add_above(struct changes *c, uint32_t ino)
{
	struct change_survey *s = &c->survey;
	struct image_node node;

	while (!set_has(s, &s->above, ino)) {
		int r = set_add(s, &s->above, ino);

		if (r == 0)
			r = image_node(c->src->img, ino, &node);
		if (r < 0)
			return r;
		ino = image_parent(c->src->img, &node);
	}
	return 0;
}

int survey_index(struct changes *c)
{
	struct image_summary sum;
	int r = 0;

	if (c->src->index_fd >= 0)
		r = read_index(c);
	if (r < 0)
		return changes_fail(
			c, r, "reading the index of the overlay at");
	if (c->survey.linked_count == 0)
		return 0;
	image_summary(c->src->img, &sum);
	for (uint32_t i = 0; i < sum.dirents && r == 0; i++) {
		struct image_entry e;

		r = image_entry(c->src->img, i, &e);
		if (r == 0 && survey_linked(c, e.ino))
			r = add_above(c, e.parent);
	}
	return r < 0 ? changes_fail(c, r, "looking for links of") : 0;
}

bool survey_is_above(const struct changes *c, uint32_t ino)
{
	return set_has(&c->survey, &c->survey.above, ino);
}

/* ---- folders that went elsewhere ---- */

int survey_moved(struct changes *c, uint32_t ino)
{
	int r = set_add(&c->survey, &c->survey.moved, ino);

	return r < 0 ? changes_fail(c, r, "reading") : 0;
}

bool survey_is_moved(const struct changes *c, uint32_t ino)
{
	return set_has(&c->survey, &c->survey.moved, ino);
}

/* ---- names of files ---- */

static uint64_t links_hash(const struct change_survey *s, const uint64_t id[2])
{
	return table_hash(&s->key, id, 2 * sizeof(*id));
}

static struct change_links *find_links(
	const struct change_survey *s, const struct statx *st)
{
	uint64_t id[] = {
		makedev(st->stx_dev_major, st->stx_dev_minor), st->stx_ino};
	uint64_t hash = links_hash(s, id);
	const struct table_slot *slot = NULL;

	while ((slot = table_next(&s->links_by_id, hash, slot))) {
		struct change_links *l = &s->links[slot->value];

		if (l->dev == id[0] && l->dev_ino == id[1])
			return l;
	}
	return NULL;
}

static int add_links(
	struct change_survey *s, const struct statx *st, uint32_t partner)
{
	uint64_t id[] = {
		makedev(st->stx_dev_major, st->stx_dev_minor), st->stx_ino};
	void *array = s->links;
	int r = grow(&array, s->links_count, &s->links_cap, sizeof(*s->links));

	s->links = array;
	if (r < 0)
		return r;
	s->links[s->links_count] = (struct change_links){
		.dev = id[0],
		.dev_ino = id[1],
		.names = 1,
		.partner = partner,
	};
	return table_add(&s->links_by_id, links_hash(s, id), s->links_count++);
}

int survey_name(struct changes *c, const struct change_entry *e)
{
	uint32_t partner = e->has_base ? e->base.ino : 0;
	int r = 0;

	/* One that is only in the index has one name there, and may have
	 * several here. */
	if (e->st.stx_nlink < 2 && e->dir_fd != c->src->index_fd)
		return 0;

	struct change_links *l = find_links(&c->survey, &e->st);

	if (!l) {
		r = add_links(&c->survey, &e->st, partner);
		return r < 0 ? changes_fail(c, r, "reading") : 0;
	}
	l->names++;
	if (l->partner != partner)
		l->partner = 0;
	return 0;
}

uint32_t survey_names(const struct changes *c, const struct statx *st)
{
	const struct change_links *l = find_links(&c->survey, st);

	return l ? l->names : 1;
}

bool survey_same_names(const struct changes *c, const struct change_entry *e)
{
	const struct change_links *l = find_links(&c->survey, &e->st);
	uint32_t names = l ? l->names : 1;

	return names == e->base.nlink && (!l || l->partner == e->base.ino);
}
