/* SPDX-License-Identifier: Apache-2.0 */
/* An unnamed file of contents; see spool.h. */
#include "fs/tree/spool.h"

#include <fcntl.h>
#include <string.h>

#include "fs/base/io.h"
#include "fs/tree/table.h"

struct content {
	struct digest digest;
	uint64_t off;
};

struct spool {
	int fd;
	uint64_t start;	 /* of the content at hand */
	uint64_t end;	 /* where it goes on */
	uint64_t length; /* of the file: holes at the end are not written */
	struct hasher *hasher;
	char *dir; /* for messages; owned */

	struct content *contents; /* count of them; owned */
	size_t count, cap;
	struct table by_digest; /* index into contents */
};

/* Without O_TMPFILE on that file system: a name for an instant. */
static int make_unnamed(const char *dir)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
	_cleanup_free_ char *name = NULL;

	if (fd >= 0)
		return fd;
	if (errno != EOPNOTSUPP && errno != EISDIR)
		return -errno;
	if (asprintf(&name, "%s/.stele-XXXXXX", dir) < 0) {
		name = NULL;
		return -ENOMEM;
	}
	fd = mkostemp(name, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (unlink(name) < 0) {
		int err = -errno;

		close_cleanup(&fd);
		return err;
	}
	return fd;
}

int spool_new(const char *dir, struct spool **ret, struct diag *diag)
{
	_cleanup_(spool_free) struct spool *s = calloc(1, sizeof(*s));

	if (!s)
		return diag_errno(diag, -ENOMEM, "making a spool file");
	s->fd = make_unnamed(dir);
	if (s->fd < 0)
		return diag_errno(
			diag, s->fd, "making a temporary file in %s", dir);
	s->hasher = hasher_new();
	s->dir = strdup(dir);
	if (!s->hasher || !s->dir)
		return diag_errno(diag, -ENOMEM, "making a spool file");
	*ret = take_ptr(s);
	return 0;
}

void spool_free(struct spool *s)
{
	if (!s)
		return;
	close_cleanup(&s->fd);
	hasher_free(s->hasher);
	table_done(&s->by_digest);
	free(s->contents);
	free(s->dir);
	free(s);
}

static int failed(const struct spool *s, int err, struct diag *diag)
{
	return diag_errno(diag, err,
		"keeping the archive's contents in a temporary file in %s",
		s->dir);
}

void spool_begin(struct spool *s)
{
	s->end = s->start;
	hasher_begin(s->hasher);
}

int spool_add(struct spool *s, const void *data, size_t len, struct diag *diag)
{
	int r = io_pwrite(s->fd, data, len, s->end);

	if (r < 0)
		return failed(s, r, diag);
	hasher_add(s->hasher, data, len);
	s->end += len;
	s->length = s->end;
	return 0;
}

int spool_add_hole(struct spool *s, uint64_t len, struct diag *diag)
{
	static const uint8_t zeros[64 << 10];

	if (__builtin_add_overflow(s->end, len, &s->end) || s->end > INT64_MAX)
		return failed(s, -EFBIG, diag);
	while (len) {
		size_t n = len < sizeof(zeros) ? (size_t)len : sizeof(zeros);

		hasher_add(s->hasher, zeros, n);
		len -= n;
	}
	return 0;
}

static int set_length(struct spool *s, uint64_t length, struct diag *diag)
{
	if (s->length == length)
		return 0;
	if (ftruncate(s->fd, (off_t)length) < 0)
		return failed(s, -errno, diag);
	s->length = length;
	return 0;
}

/* A digest is random already. */
static uint64_t hash_of(const struct digest *d)
{
	uint64_t hash;

	memcpy(&hash, d->bytes, sizeof(hash));
	return hash;
}

static const struct content *find(
	const struct spool *s, const struct digest *digest)
{
	const struct table_slot *slot = NULL;
	uint64_t hash = hash_of(digest);

	while ((slot = table_next(&s->by_digest, hash, slot))) {
		if (digest_equal(&s->contents[slot->value].digest, digest))
			return &s->contents[slot->value];
	}
	return NULL;
}

static int remember(struct spool *s, const struct digest *digest)
{
	if (s->count == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 256;
		struct content *c = reallocarray(s->contents, cap, sizeof(*c));

		if (!c)
			return -ENOMEM;
		s->contents = c;
		s->cap = cap;
	}
	s->contents[s->count] = (struct content){*digest, s->start};
	return table_add(&s->by_digest, hash_of(digest), s->count++);
}

int spool_end(struct spool *s, struct digest *ret_digest, uint64_t *ret_off,
	struct diag *diag)
{
	struct digest digest;

	hasher_end(s->hasher, &digest);

	const struct content *c = find(s, &digest);
	/* Cut off a content that is there already, so that a hole that comes
	 * in its place is one. */
	int r = set_length(s, c ? s->start : s->end, diag);

	if (r == 0 && !c) {
		r = remember(s, &digest);
		if (r < 0)
			return failed(s, r, diag);
	}
	if (r < 0)
		return r;
	*ret_digest = digest;
	*ret_off = c ? c->off : s->start;
	if (!c)
		s->start = s->end;
	return 0;
}

int spool_take_fd(struct spool *s)
{
	return take_fd(s->fd);
}
