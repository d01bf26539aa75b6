/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a mount shows: the image, and empty folders and files in places that the
 * image lacks, so that something can be mounted on them. They have the inode
 * numbers after the image's last, in the order of their paths: the same places
 * give the same numbers, and a server that is started anew can answer for what
 * the kernel holds. In listings they come behind the image's names.
 *
 * The image's id is not changed by them. All functions may be called from
 * several threads at once.
 */
#ifndef FS_MOUNT_SCENE_H
#define FS_MOUNT_SCENE_H

#include "fs/image/image.h"
#include "fs/mount/mount.h"

struct scene;

/*
 * img must outlive the scene; places are copied. What the image has already is
 * left alone, and missing folders on the way to a place appear, too. -EINVAL
 * for a path that is not absolute and clean, -ENAMETOOLONG, -ENOTDIR when
 * something that is no folder is in the way, -E2BIG, -ENOMEM.
 */
int scene_new(const struct image *img, const struct mount_place *places,
	size_t count, struct scene **ret) must_check;
void scene_free(struct scene *s); /* NULL is allowed */
DEFINE_CLEANUP(scene_free, struct scene *);

/* The highest inode number. */
uint32_t scene_last(const struct scene *s);

/* As the functions of image.h with these names. Only a folder's node.nlink
 * counts what appears in it; node.size does not. */
int scene_node(
	const struct scene *s, uint64_t ino, struct image_node *ret) must_check;
int scene_lookup(const struct scene *s, const struct image_node *dir,
	const char *name, size_t len, struct image_entry *ret) must_check;
uint32_t scene_parent(const struct scene *s, const struct image_node *node);
char *scene_path(
	const struct scene *s, uint32_t ino, const char *name) must_check;

/* The object of a regular file. */
int scene_object(const struct scene *s, const struct image_node *node,
	struct image_object *ret) must_check;

/* An entry of a folder, by index from 0; -ENOENT behind the last. */
int scene_entry(const struct scene *s, const struct image_node *dir,
	uint64_t index, struct image_entry *ret) must_check;

/* What appears, in any folder, by index from 0; false behind the last. */
bool scene_extra(
	const struct scene *s, uint32_t index, struct image_entry *ret);

#endif
