/* SPDX-License-Identifier: Apache-2.0 */
/* The image and what appears beside it; see scene.h. */
#include "fs/mount/scene.h"

#include <string.h>
#include <sys/stat.h>

#include "fs/policy/policy.h"

/* A folder or file that the image lacks. */
struct extra {
	const char *path; /* of the place it was made for */
	size_t name, end; /* where in path its name begins and ends */
	uint32_t parent;
	bool is_file;
};

/* A folder, of the image or not, in which something appears. */
struct folder {
	uint32_t ino;
	uint32_t first, count; /* in by_name */
	uint32_t folders;      /* how many of them are folders */
};

struct scene {
	const struct image *img;
	uint32_t image_last; /* the image's highest inode number */
	struct image_node root;
	struct digest empty; /* of an empty file's content */

	char **paths; /* of the places, sorted; owned */
	size_t path_count;

	struct extra *extras; /* by inode number - image_last - 1 */
	uint32_t count;
	uint32_t cap;

	uint32_t *by_name; /* indexes of extras, by parent, then name */
	struct folder *folders;
	uint32_t folder_count;
};

/* ---- making it ---- */

static uint32_t ino_of(const struct scene *s, uint32_t index)
{
	return s->image_last + 1 + index;
}

static int add_extra(struct scene *s, const struct extra *e)
{
	if (s->count == UINT32_MAX - s->image_last - 2)
		return -E2BIG;
	if (s->count == s->cap) {
		uint32_t cap = s->cap ? s->cap * 2 : 64;
		struct extra *more =
			reallocarray(s->extras, cap, sizeof(*more));

		if (!more)
			return -ENOMEM;
		s->extras = more;
		s->cap = cap;
	}
	s->extras[s->count++] = *e;
	return 0;
}

/* Is what the number stands for, while the scene is made, a folder? */
static int see_folder(
	const struct scene *s, uint32_t ino, struct image_node *ret)
{
	if (ino > s->image_last)
		return s->extras[ino - s->image_last - 1].is_file ? -ENOTDIR
								  : 0;

	int r = image_node(s->img, ino, ret);

	return r == 0 && !S_ISDIR(ret->mode) ? -ENOTDIR : r;
}

/* One name further: e, which appears where the image lacks it. */
static int step(struct scene *s, const struct extra *e, uint32_t *ret_ino)
{
	struct image_node dir;
	struct image_entry entry;
	int r = see_folder(s, e->parent, &dir);

	if (r < 0)
		return r;
	if (e->parent <= s->image_last) {
		r = image_lookup(s->img, &dir, e->path + e->name,
			e->end - e->name, &entry);
		if (r == 0)
			*ret_ino = entry.ino;
		if (r != -ENOENT)
			return r;
	}
	r = add_extra(s, e);
	if (r == 0)
		*ret_ino = ino_of(s, s->count - 1);
	return r;
}

static int check_name(const char *name, size_t len)
{
	if (len == 0 || (len == 1 && *name == '.') ||
		(len == 2 && memcmp(name, "..", 2) == 0))
		return -EINVAL;
	return len > LAYOUT_NAME_MAX ? -ENAMETOOLONG : 0;
}

/*
 * Add what is missing on the way to a path. In the order of paths, what it
 * shares with any before it shares with the last one: trail has the inode
 * numbers on the way there, one for each name.
 */
static int add_path(struct scene *s, const char *path, const char *before,
	bool is_file, uint32_t *trail)
{
	uint32_t ino = LAYOUT_ROOT_INO;
	size_t depth = 0, end = 0;
	bool shared = true;

	if (*path != '/')
		return -EINVAL;
	while (path[end] && path[1]) {
		struct extra e = {.path = path, .name = end + 1, .parent = ino};
		size_t len = strcspn(path + e.name, "/");
		int r = check_name(path + e.name, len);

		end = e.name + len;
		e.end = end;
		e.is_file = is_file && !path[end];
		shared = shared && strncmp(path, before, end) == 0 &&
			 (before[end] == '/' || before[end] == '\0');
		if (r == 0 && shared)
			ino = trail[depth];
		else if (r == 0)
			r = step(s, &e, &ino);
		if (r < 0)
			return r;
		trail[depth++] = ino;
	}
	return 0;
}

static int compare_names(const struct extra *x, const char *name, size_t len)
{
	size_t x_len = x->end - x->name;
	int r = memcmp(x->path + x->name, name, x_len < len ? x_len : len);

	if (r == 0)
		r = x_len < len ? -1 : x_len > len;
	return r;
}

static int order_extras(const void *a, const void *b, void *arg)
{
	const struct scene *s = arg;
	const struct extra *x = &s->extras[*(const uint32_t *)a];
	const struct extra *y = &s->extras[*(const uint32_t *)b];

	if (x->parent != y->parent)
		return x->parent < y->parent ? -1 : 1;
	return compare_names(x, y->path + y->name, y->end - y->name);
}

/* Which extras are in which folder. */
static int index_extras(struct scene *s)
{
	s->by_name = calloc((size_t)s->count + 1, sizeof(*s->by_name));
	s->folders = calloc((size_t)s->count + 1, sizeof(*s->folders));
	if (!s->by_name || !s->folders)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->count; i++)
		s->by_name[i] = i;
	qsort_r(s->by_name, s->count, sizeof(*s->by_name), order_extras, s);
	for (uint32_t i = 0; i < s->count; i++) {
		const struct extra *e = &s->extras[s->by_name[i]];
		struct folder *f = s->folders + s->folder_count;

		if (i == 0 || f[-1].ino != e->parent) {
			f->ino = e->parent;
			f->first = i;
			s->folder_count++;
		} else {
			f--;
		}
		f->count++;
		f->folders += !e->is_file;
	}
	return 0;
}

static int order_places(const void *a, const void *b)
{
	const struct mount_place *x = a, *y = b;

	return policy_path_order(x->path, y->path);
}

static int add_places(struct scene *s, struct mount_place *places, size_t count)
{
	size_t longest = 0;

	if (count)
		qsort(places, count, sizeof(*places), order_places);
	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(places[i].path);

		longest = len > longest ? len : longest;
	}

	_cleanup_free_ uint32_t *trail =
		calloc(longest / 2 + 1, sizeof(*trail));

	s->paths = calloc(count + 1, sizeof(*s->paths));
	if (!trail || !s->paths)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		char *path = strdup(places[i].path);

		if (!path)
			return -ENOMEM;
		s->paths[s->path_count++] = path;

		int r = add_path(s, path, i ? s->paths[i - 1] : "",
			places[i].is_file, trail);

		if (r < 0)
			return r;
	}
	return 0;
}

int scene_new(const struct image *img, const struct mount_place *places,
	size_t count, struct scene **ret)
{
	_cleanup_(scene_free) struct scene *s = calloc(1, sizeof(*s));
	_cleanup_free_ struct mount_place *sorted =
		calloc(count + 1, sizeof(*sorted));
	struct image_summary sum;

	if (!s || !sorted)
		return -ENOMEM;
	image_summary(img, &sum);
	s->img = img;
	s->image_last = sum.inodes;
	if (count)
		memcpy(sorted, places, count * sizeof(*sorted));

	int r = image_node(img, LAYOUT_ROOT_INO, &s->root);

	if (r == 0)
		r = digest_of("", 0, &s->empty);
	if (r == 0)
		r = add_places(s, sorted, count);
	if (r == 0)
		r = index_extras(s);
	if (r == 0)
		*ret = take_ptr(s);
	return r;
}

void scene_free(struct scene *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->path_count; i++)
		free(s->paths[i]);
	free(s->paths);
	free(s->extras);
	free(s->by_name);
	free(s->folders);
	free(s);
}

/* ---- asking it ---- */

uint32_t scene_last(const struct scene *s)
{
	return s->image_last + s->count;
}

/* NULL: nothing appears there. */
static const struct folder *folder_of(const struct scene *s, uint32_t ino)
{
	uint32_t low = 0, high = s->folder_count;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (s->folders[mid].ino < ino)
			low = mid + 1;
		else
			high = mid;
	}
	return low < s->folder_count && s->folders[low].ino == ino
		       ? &s->folders[low]
		       : NULL;
}

static bool is_extra(const struct scene *s, uint64_t ino)
{
	return ino > s->image_last && ino - s->image_last <= s->count;
}

static const struct extra *extra_of(const struct scene *s, uint64_t ino)
{
	return &s->extras[ino - s->image_last - 1];
}

int scene_node(const struct scene *s, uint64_t ino, struct image_node *ret)
{
	if (!is_extra(s, ino)) {
		int r = image_node(s->img, ino, ret);

		if (r == 0 && s->count && S_ISDIR(ret->mode)) {
			const struct folder *f = folder_of(s, ret->ino);

			ret->nlink += f ? f->folders : 0;
		}
		return r;
	}

	const struct folder *f = folder_of(s, (uint32_t)ino);
	bool is_file = extra_of(s, ino)->is_file;

	*ret = (struct image_node){
		.ino = (uint32_t)ino,
		.mode = is_file ? S_IFREG | 0644 : S_IFDIR | 0755,
		.nlink = is_file ? 1 : 2 + (f ? f->folders : 0),
		.mtime = s->root.mtime,
		.mtime_nsec = s->root.mtime_nsec,
		.home = LAYOUT_NONE,
		.data = LAYOUT_NONE,
		.xset = LAYOUT_NONE,
	};
	return 0;
}

static struct image_entry entry_of(const struct scene *s, uint32_t index)
{
	const struct extra *e = &s->extras[index];

	return (struct image_entry){
		.name = e->path + e->name,
		.name_len = (uint32_t)(e->end - e->name),
		.ino = ino_of(s, index),
		.parent = e->parent,
		.type = e->is_file ? S_IFREG : S_IFDIR,
	};
}

int scene_lookup(const struct scene *s, const struct image_node *dir,
	const char *name, size_t len, struct image_entry *ret)
{
	const struct folder *f = folder_of(s, dir->ino);
	int r = -ENOENT;

	if (!is_extra(s, dir->ino))
		r = image_lookup(s->img, dir, name, len, ret);
	else if (!S_ISDIR(dir->mode))
		r = -ENOTDIR;
	if (r != -ENOENT || !f)
		return r;

	uint32_t low = f->first, high = f->first + f->count;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		int way = compare_names(&s->extras[s->by_name[mid]], name, len);

		if (way == 0) {
			*ret = entry_of(s, s->by_name[mid]);
			return 0;
		}
		if (way < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return -ENOENT;
}

uint32_t scene_parent(const struct scene *s, const struct image_node *node)
{
	if (is_extra(s, node->ino))
		return extra_of(s, node->ino)->parent;
	return image_parent(s->img, node);
}

char *scene_path(const struct scene *s, uint32_t ino, const char *name)
{
	char *path;

	if (!is_extra(s, ino))
		return image_path(s->img, ino, name);

	const struct extra *e = extra_of(s, ino);

	return asprintf(&path, "%.*s%s%s", (int)e->end, e->path,
		       name ? "/" : "", name ? name : "") < 0
		       ? NULL
		       : path;
}

int scene_object(const struct scene *s, const struct image_node *node,
	struct image_object *ret)
{
	if (!is_extra(s, node->ino))
		return image_object(s->img, node->data, ret);
	*ret = (struct image_object){.digest = s->empty, .index = LAYOUT_NONE};
	return 0;
}

int scene_entry(const struct scene *s, const struct image_node *dir,
	uint64_t index, struct image_entry *ret)
{
	const struct folder *f = folder_of(s, dir->ino);

	if (!is_extra(s, dir->ino)) {
		if (index < dir->size)
			return image_entry(
				s->img, dir->data + (uint32_t)index, ret);
		index -= dir->size;
	}
	if (!f || index >= f->count)
		return -ENOENT;
	*ret = entry_of(s, s->by_name[f->first + index]);
	return 0;
}

bool scene_extra(const struct scene *s, uint32_t index, struct image_entry *ret)
{
	if (index >= s->count)
		return false;
	*ret = entry_of(s, index);
	return true;
}
