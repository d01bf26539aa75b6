/* SPDX-License-Identifier: Apache-2.0 */
/* ACL text to the kernel's value; see acl.h. */
#include "fs/tree/acl.h"

#include <endian.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <string.h>

/* What fits into the greatest extended attribute. */
#define ENTRIES_MAX 8191
#define NO_ID UINT32_MAX
#define FIELDS 4

/* The tag is one of <linux/posix_acl.h>; their order is that of a valid list.
 */
struct entry {
	uint32_t tag, perm, id;
};

struct list {
	struct entry *entries; /* owned */
	size_t count, cap;
};

static int list_add(struct list *l, struct entry e)
{
	if (l->count == ENTRIES_MAX)
		return -E2BIG;
	if (l->count == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 8;
		struct entry *grown =
			reallocarray(l->entries, cap, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		l->entries = grown;
		l->cap = cap;
	}
	l->entries[l->count++] = e;
	return 0;
}

static struct span trim(struct span s)
{
	while (s.len && (s.data[0] == ' ' || s.data[0] == '\t')) {
		s.data++;
		s.len--;
	}
	while (s.len && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* Take what is before the first of two bytes off *text. */
static struct span cut_at(struct span *text, char one, char other)
{
	struct span s = {text->data, 0};

	while (s.len < text->len && text->data[s.len] != one &&
		text->data[s.len] != other)
		s.len++;

	size_t used = s.len < text->len ? s.len + 1 : s.len;

	text->data += used;
	text->len -= used;
	return trim(s);
}

static int parse_tag(struct span s, bool named, uint32_t *ret)
{
	if (span_is(s, "user") || span_is(s, "u"))
		*ret = named ? ACL_USER : ACL_USER_OBJ;
	else if (span_is(s, "group") || span_is(s, "g"))
		*ret = named ? ACL_GROUP : ACL_GROUP_OBJ;
	else if ((span_is(s, "mask") || span_is(s, "m")) && !named)
		*ret = ACL_MASK;
	else if ((span_is(s, "other") || span_is(s, "o")) && !named)
		*ret = ACL_OTHER;
	else
		return -EBADMSG;
	return 0;
}

static int parse_perm(struct span s, uint32_t *ret)
{
	uint32_t perm = 0;

	if (s.len == 0 || s.len > 3)
		return -EBADMSG;
	for (size_t i = 0; i < s.len; i++) {
		switch (s.data[i]) {
		case 'r': perm |= 4; break;
		case 'w': perm |= 2; break;
		case 'x': perm |= 1; break;
		case '-': break;
		default: return -EBADMSG;
		}
	}
	*ret = perm;
	return 0;
}

static int parse_id(struct span s, uint32_t *ret)
{
	uint64_t n;

	if (span_number(s, &n) < 0 || n >= NO_ID)
		return -EBADMSG;
	*ret = (uint32_t)n;
	return 0;
}

static int find_id(struct span name, struct span number, enum owner_kind kind,
	struct owners *owners, uint32_t *ret)
{
	if (parse_id(name, ret) == 0)
		return 0;
	if (memchr(name.data, '\0', name.len))
		return -EBADMSG;
	if (number.len && owners_is_numeric(owners))
		return parse_id(number, ret);

	_cleanup_free_ char *text = strndup(name.data, name.len);

	if (!text)
		return -ENOMEM;

	int r = owners_find(owners, kind, text, ret);

	return r == -ENOENT && number.len ? parse_id(number, ret) : r;
}

static int parse_entry(struct span text, struct owners *owners,
	struct list *list, struct diag *diag)
{
	struct span f[FIELDS] = {0};
	struct entry e = {.id = NO_ID};
	size_t count = 0;

	while (text.len && count < FIELDS)
		f[count++] = cut_at(&text, ':', ':');
	if (text.len || count < 2)
		return -EBADMSG;
	if (count == 2) { /* "mask:rwx", as Solaris has it */
		f[2] = f[1];
		f[1].len = 0;
	}

	int r = parse_tag(f[0], f[1].len > 0, &e.tag);

	if (r == 0)
		r = parse_perm(f[2], &e.perm);
	if (r == 0 && f[1].len)
		r = find_id(f[1], f[3],
			e.tag == ACL_USER ? OWNER_USER : OWNER_GROUP, owners,
			&e.id);
	if (r == -ENOENT)
		return diag_set(diag, -EBADMSG,
			"the access control list names %.*s, whose number is "
			"not known on this machine",
			(int)f[1].len, f[1].data);
	return r < 0 ? r : list_add(list, e);
}

static int entry_cmp(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->tag != y->tag)
		return x->tag < y->tag ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

/* Sort, and see that there is one of each that there must be. */
static int finish(struct list *l, struct acl_mode *ret)
{
	uint32_t seen = 0, perm[ACL_OTHER + 1] = {0};

	if (l->count)
		qsort(l->entries, l->count, sizeof(*l->entries), entry_cmp);
	for (size_t i = 0; i < l->count; i++) {
		if (i && entry_cmp(&l->entries[i - 1], &l->entries[i]) == 0)
			return -EBADMSG;
		seen |= l->entries[i].tag;
		perm[l->entries[i].tag] = l->entries[i].perm;
	}

	uint32_t basic = ACL_USER_OBJ | ACL_GROUP_OBJ | ACL_OTHER;
	bool named = seen & (ACL_USER | ACL_GROUP);

	if ((seen & basic) != basic || (named && !(seen & ACL_MASK)))
		return -EBADMSG;
	ret->minimal = seen == basic;
	ret->mode = perm[ACL_USER_OBJ] << 6 | perm[ACL_OTHER];
	ret->mode |= perm[seen & ACL_MASK ? ACL_MASK : ACL_GROUP_OBJ] << 3;
	return 0;
}

static int write_value(const struct list *l, struct buf *ret)
{
	struct posix_acl_xattr_header head = {
		.a_version = htole32(POSIX_ACL_XATTR_VERSION)};
	int r = buf_add(ret, &head, sizeof(head));

	for (size_t i = 0; i < l->count && r == 0; i++) {
		struct posix_acl_xattr_entry e = {
			.e_tag = htole16((uint16_t)l->entries[i].tag),
			.e_perm = htole16((uint16_t)l->entries[i].perm),
			.e_id = htole32(l->entries[i].id),
		};

		r = buf_add(ret, &e, sizeof(e));
	}
	return r;
}

int acl_from_text(struct span text, struct owners *owners, struct buf *ret,
	struct acl_mode *ret_mode, struct diag *diag)
{
	struct acl_mode mode;
	struct list list = {0};
	int r = 0;

	diag_set(diag, -EBADMSG, "malformed access control list");
	while (text.len && r == 0) {
		struct span line = cut_at(&text, ',', '\n');
		struct span entry = cut_at(&line, '#', '#');

		if (entry.len)
			r = parse_entry(entry, owners, &list, diag);
	}
	if (r == 0)
		r = finish(&list, &mode);
	if (r == 0)
		r = write_value(&list, ret);
	free(list.entries);
	if (r == 0)
		*ret_mode = mode;
	return r;
}
