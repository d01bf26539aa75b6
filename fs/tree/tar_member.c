/* SPDX-License-Identifier: Apache-2.0 */
/* From headers to a member; see tar_member.h. */
#include "fs/tree/tar_member.h"

#include <string.h>

/* A copy of len bytes up to their first NUL, in exactly these bytes. */
static int set_text(struct buf *to, const char *data, size_t len)
{
	buf_reset(to);

	int err = buf_add(to, data, strnlen(data, len));

	if (err == 0)
		err = buf_add(to, "", 1);
	if (err == 0)
		to->len--;
	return err;
}

/* From the extended header, the long name, or the block: the first there is. */
static int set_name(struct buf *to, struct span pax, const struct buf *longer,
	struct span block)
{
	if (pax.data) {
		if (memchr(pax.data, '\0', pax.len))
			return -EBADMSG;
		return set_text(to, pax.data, pax.len);
	}
	if (longer->len)
		return set_text(to, longer->data, longer->len);
	return set_text(to, block.data, block.len);
}

static int read_names(
	struct tar_member *m, const struct tar_headers *from, struct diag *diag)
{
	const struct tar_header *h = from->block;
	const struct pax *pax = from->pax;
	char name[TAR_NAME_MAX];
	struct span path = pax->sparse_name.data ? pax->sparse_name : pax->path;
	bool has_owner = tar_header_is_ustar(h) || tar_header_is_gnu(h);
	struct span link = {h->linkname, sizeof(h->linkname)};
	struct span uname = {h->uname, has_owner ? sizeof(h->uname) : 0};
	struct span gname = {h->gname, has_owner ? sizeof(h->gname) : 0};
	struct buf none = {0};
	int err = set_name(
		&m->path, path, from->long_name, tar_header_name(h, name));

	if (err == 0)
		err = set_name(
			&m->target, pax->linkpath, from->long_link, link);
	if (err == 0)
		err = set_name(&m->uname, pax->uname, &none, uname);
	if (err == 0)
		err = set_name(&m->gname, pax->gname, &none, gname);
	if (err == -EBADMSG)
		return diag_set(diag, err, "a name with a NUL in it");
	return err < 0 ? diag_errno(diag, err, "reading the archive") : 0;
}

static int read_numbers(struct tar_member *m, const struct pax *pax,
	const struct tar_header *h, struct diag *diag)
{
	struct span none = {0};
	bool device = m->type == '3' || m->type == '4';
	int err = tar_number_32(none, h->mode, sizeof(h->mode), &m->mode);

	m->mode &= 07777;
	m->major = m->minor = 0;
	if (err == 0)
		err = tar_number_32(pax->uid, h->uid, sizeof(h->uid), &m->uid);
	if (err == 0)
		err = tar_number_32(pax->gid, h->gid, sizeof(h->gid), &m->gid);
	if (err == 0 && device)
		err = tar_number_32(
			pax->devmajor, h->major, sizeof(h->major), &m->major);
	if (err == 0 && device)
		err = tar_number_32(
			pax->devminor, h->minor, sizeof(h->minor), &m->minor);
	m->mtime_nsec = 0;
	if (err == 0)
		err = pax->mtime.data
			      ? span_time(pax->mtime, &m->mtime, &m->mtime_nsec)
			      : tar_number(
					h->mtime, sizeof(h->mtime), &m->mtime);
	if (err == 0)
		err = pax->size.data ? span_number(pax->size, &m->stored)
				     : tar_unsigned(h->size, sizeof(h->size),
					       &m->stored);
	if (err < 0 || m->stored > INT64_MAX)
		return diag_set(diag, -EBADMSG, "malformed number in a header");
	m->size = m->stored;
	return 0;
}

/* The types of struct tar_member; '\0' for one that is not understood. */
static char member_type(const struct tar_header *h, const struct tar_member *m)
{
	bool slash = m->path.len && m->path.data[m->path.len - 1] == '/';

	switch (h->type) {
	case '\0':
	case '0':
	case '7': /* contiguous: a file like others */
		/* v7 had no type for folders */
		return slash ? '5' : '0';
	case 'S': return tar_header_is_gnu(h) ? '0' : '\0';
	case 'D': return '5'; /* GNU: with a list of names */
	default: return h->type >= '1' && h->type <= '6' ? h->type : '\0';
	}
}

/* Do bytes follow? POSIX says no for most types whatever the size says, and GNU
 * tar and its elders never have any behind a hard link. */
static bool has_body(const struct tar_header *h, char type)
{
	if (h->type == 'D')
		return true;
	return type == '0' || (type == '1' && tar_header_is_ustar(h));
}

int tar_member_fill(
	struct tar_member *m, const struct tar_headers *h, struct diag *diag)
{
	int err = read_names(m, h, diag);

	if (err < 0)
		return err;
	m->type = member_type(h->block, m);
	if (!m->type)
		return diag_set(diag, -EOPNOTSUPP,
			"a member of the unknown type '%c'", h->block->type);
	err = read_numbers(m, h->pax, h->block, diag);
	if (err < 0 || has_body(h->block, m->type))
		return err;
	if (m->type == '5' && m->stored && h->block->type != '5')
		return diag_set(diag, -EBADMSG,
			"a name for a folder, but a file's content");
	m->size = m->stored = 0;
	return 0;
}
