/* SPDX-License-Identifier: Apache-2.0 */
/* Guarded entries and how often the kernel holds them; see guard.h. */
#include "fs/mount/guard.h"

#include <pthread.h>
#include <sys/stat.h>

#include "fs/mount/perm.h"

/* A name in a guarded folder, or a FIFO or socket anywhere. */
struct child {
	uint32_t ino;
	uint32_t folder;
};

struct guard {
	uint64_t *guarded;  /* bit by inode number: guarded folder */
	uint64_t *is_child; /* bit by inode number: has a guarded entry */

	/* Sorted by ino, then folder; one for each guarded entry. */
	struct child *children;
	size_t child_count;

	pthread_mutex_t lock;
	/* By index of the inode's first child: times the kernel holds it.
	 * Protected by lock. */
	uint64_t *held;
	/* By inode number of a guarded folder, its place in held_below. */
	uint32_t *folders; /* sorted inode numbers */
	size_t folder_count;
	uint32_t *held_below; /* children held; protected by lock */
};

static bool bit(const uint64_t *bits, uint32_t n)
{
	return bits[n / 64] >> n % 64 & 1;
}

static void set_bit(uint64_t *bits, uint32_t n)
{
	bits[n / 64] |= UINT64_C(1) << n % 64;
}

static bool is_special(uint32_t type)
{
	return type == S_IFIFO || type == S_IFSOCK;
}

/* Folders whose search permission depends on who asks. */
static int find_folders(struct guard *g, const struct image *img, uint32_t n)
{
	g->folders = malloc((n + 1) * sizeof(*g->folders));
	if (!g->folders)
		return -ENOMEM;
	for (uint32_t ino = 1; ino <= n; ino++) {
		struct image_node node;
		int r = image_node(img, ino, &node);

		if (r < 0)
			return r;
		if (!S_ISDIR(node.mode))
			continue;
		if ((node.mode & 0111) == 0111 && !perm_has_acl(img, &node))
			continue;
		set_bit(g->guarded, ino);
		g->folders[g->folder_count++] = ino;
	}

	uint32_t *fit = realloc(
		g->folders, (g->folder_count + 1) * sizeof(*g->folders));

	if (fit)
		g->folders = fit;
	g->held_below = calloc(g->folder_count + 1, sizeof(*g->held_below));
	return g->held_below ? 0 : -ENOMEM;
}

static int compare_children(const void *a, const void *b)
{
	const struct child *x = a, *y = b;

	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return x->folder < y->folder ? -1 : x->folder > y->folder;
}

/* Take the entry down if it is guarded. */
static int add_child(struct guard *g, const struct image_entry *e, size_t *cap)
{
	if (!guard_has_entry(g, e))
		return 0;
	if (g->child_count == *cap) {
		size_t more = *cap ? *cap * 2 : 64;
		void *grown =
			reallocarray(g->children, more, sizeof(*g->children));

		if (!grown)
			return -ENOMEM;
		g->children = grown;
		*cap = more;
	}
	g->children[g->child_count++] = (struct child){e->ino, e->parent};
	set_bit(g->is_child, e->ino);
	return 0;
}

static int find_children(struct guard *g, const struct image *img,
	const struct scene *scene, uint32_t n)
{
	struct image_entry e;
	size_t cap = 0;

	for (uint32_t i = 0; i < n; i++) {
		int r = image_entry(img, i, &e);

		if (r == 0)
			r = add_child(g, &e, &cap);
		if (r < 0)
			return r;
	}
	for (uint32_t i = 0; scene_extra(scene, i, &e); i++) {
		int r = add_child(g, &e, &cap);

		if (r < 0)
			return r;
	}
	if (g->child_count)
		qsort(g->children, g->child_count, sizeof(*g->children),
			compare_children);
	g->held = calloc(g->child_count + 1, sizeof(*g->held));
	return g->held ? 0 : -ENOMEM;
}

int guard_new(
	const struct image *img, const struct scene *scene, struct guard **ret)
{
	struct image_summary sum;
	_cleanup_(guard_free) struct guard *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	image_summary(img, &sum);
	pthread_mutex_init(&g->lock, NULL);

	size_t words = (size_t)scene_last(scene) / 64 + 1;

	g->guarded = calloc(words, sizeof(*g->guarded));
	g->is_child = calloc(words, sizeof(*g->is_child));
	if (!g->guarded || !g->is_child)
		return -ENOMEM;

	int r = find_folders(g, img, sum.inodes);

	if (r == 0)
		r = find_children(g, img, scene, sum.dirents);
	if (r < 0)
		return r;
	*ret = take_ptr(g);
	return 0;
}

void guard_free(struct guard *g)
{
	if (!g)
		return;
	free(g->guarded);
	free(g->is_child);
	free(g->children);
	free(g->held);
	free(g->folders);
	free(g->held_below);
	pthread_mutex_destroy(&g->lock);
	free(g);
}

bool guard_is_guarded(const struct guard *g, uint32_t folder)
{
	return bit(g->guarded, folder);
}

bool guard_has_entry(const struct guard *g, const struct image_entry *entry)
{
	return is_special(entry->type) || bit(g->guarded, entry->parent);
}

/* Index of the inode's first child; it has one (is_child). */
static size_t first_child(const struct guard *g, uint32_t ino)
{
	size_t low = 0, high = g->child_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (g->children[mid].ino < ino)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static uint32_t *held_below(struct guard *g, uint32_t folder)
{
	size_t low = 0, high = g->folder_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (g->folders[mid] < folder)
			low = mid + 1;
		else
			high = mid;
	}
	return &g->held_below[low];
}

/* An inode began or ceased to be held: tell its guarded folders. Lock held. */
static void count_in_folders(struct guard *g, size_t first, int change)
{
	uint32_t ino = g->children[first].ino;

	for (size_t i = first; i < g->child_count; i++) {
		if (g->children[i].ino != ino)
			break;
		if (bit(g->guarded, g->children[i].folder))
			*held_below(g, g->children[i].folder) +=
				(uint32_t)change;
	}
}

void guard_hold(struct guard *g, uint32_t ino)
{
	if (!bit(g->is_child, ino))
		return;

	size_t first = first_child(g, ino);

	pthread_mutex_lock(&g->lock);
	if (g->held[first]++ == 0)
		count_in_folders(g, first, 1);
	pthread_mutex_unlock(&g->lock);
}

void guard_release(struct guard *g, uint32_t ino, uint64_t count)
{
	if (!bit(g->is_child, ino))
		return;

	size_t first = first_child(g, ino);

	pthread_mutex_lock(&g->lock);
	if (g->held[first] > count) {
		g->held[first] -= count;
	} else if (g->held[first] > 0) {
		g->held[first] = 0;
		count_in_folders(g, first, -1);
	}
	pthread_mutex_unlock(&g->lock);
}

int guard_refusal(
	struct guard *g, const struct image_entry *entry, uint32_t folder)
{
	bool is_held;

	pthread_mutex_lock(&g->lock);
	if (bit(g->guarded, folder))
		is_held = *held_below(g, folder) > 0;
	else
		is_held = g->held[first_child(g, entry->ino)] > 0;
	pthread_mutex_unlock(&g->lock);
	return is_held ? ENOMEM : EACCES;
}
