/* SPDX-License-Identifier: Apache-2.0 */
/* getpwnam and getgrnam with a memory; see owners.h. */
#include "fs/tree/owners.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>

#include "fs/tree/arena.h"
#include "fs/tree/table.h"

/* More than any group of real life needs; larger ones are unknown. */
#define ROOM (256 << 10)

struct owner {
	enum owner_kind kind;
	bool known;
	uint32_t id;
	const char *name;
};

struct owners {
	bool numeric;
	struct arena arena;
	struct table table; /* struct owner *, by name */
	struct table_key key;
	char room[ROOM];
};

struct owners *owners_new(bool numeric)
{
	struct owners *o = calloc(1, sizeof(*o));

	if (o && table_key_init(&o->key) < 0) {
		free(o);
		return NULL;
	}
	if (o)
		o->numeric = numeric;
	return o;
}

bool owners_is_numeric(const struct owners *o)
{
	return o->numeric;
}

void owners_free(struct owners *o)
{
	if (!o)
		return;
	table_done(&o->table);
	arena_done(&o->arena);
	free(o);
}

static void look_up(struct owners *o, struct owner *owner)
{
	struct passwd pw, *found_pw = NULL;
	struct group gr, *found_gr = NULL;

	if (owner->kind == OWNER_USER) {
		(void)getpwnam_r(
			owner->name, &pw, o->room, sizeof(o->room), &found_pw);
		owner->known = found_pw != NULL;
		owner->id = found_pw ? pw.pw_uid : 0;
	} else {
		(void)getgrnam_r(
			owner->name, &gr, o->room, sizeof(o->room), &found_gr);
		owner->known = found_gr != NULL;
		owner->id = found_gr ? gr.gr_gid : 0;
	}
}

int owners_find(
	struct owners *o, enum owner_kind kind, const char *name, uint32_t *ret)
{
	uint64_t hash = table_hash(&o->key, name, strlen(name)) + kind;
	const struct table_slot *slot = NULL;
	struct owner *owner = NULL;

	while ((slot = table_next(&o->table, hash, slot))) {
		owner = (void *)(uintptr_t)slot->value;
		if (owner->kind == kind && strcmp(owner->name, name) == 0)
			break;
	}
	if (!slot) {
		owner = arena_zalloc(&o->arena, sizeof(*owner));
		if (!owner)
			return -ENOMEM;
		owner->kind = kind;
		owner->name = arena_copy(&o->arena, name, strlen(name));
		if (!owner->name)
			return -ENOMEM;
		look_up(o, owner);
		if (table_add(&o->table, hash, (uintptr_t)owner) < 0)
			return -ENOMEM;
	}
	if (!owner->known)
		return -ENOENT;
	*ret = owner->id;
	return 0;
}
