/* SPDX-License-Identifier: Apache-2.0 */
/* libarchive as a decompressor; see stream.h. */
#include "fs/tree/stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>
#include <string.h>

#define READ_SIZE (64 << 10)

struct stream {
	struct archive *archive;
	const uint8_t *data; /* given by libarchive, not yet by us */
	size_t len;
	bool ended;
	uint64_t offset, max;
};

static int broken(const struct stream *s, struct diag *diag)
{
	const char *text = archive_error_string(s->archive);
	int err = archive_errno(s->archive);

	/* What is malformed has one of libarchive's own numbers; others are of
	 * the system. */
	if (err > 0 && err != EILSEQ && err != EINVAL)
		return diag_errno(diag, -err, "reading the archive");
	return diag_set(diag, -EBADMSG,
		"the archive is broken or cut off after %llu plain bytes: %s",
		(unsigned long long)s->offset, text ? text : "unknown reason");
}

/* Anything but OK would mean: an external program does it. */
static bool add_filters(struct archive *a)
{
	return archive_read_support_filter_gzip(a) == ARCHIVE_OK &&
	       archive_read_support_filter_bzip2(a) == ARCHIVE_OK &&
	       archive_read_support_filter_xz(a) == ARCHIVE_OK &&
	       archive_read_support_filter_zstd(a) == ARCHIVE_OK &&
	       archive_read_support_filter_lz4(a) == ARCHIVE_OK;
}

int stream_open(int fd, uint64_t max, struct stream **ret, struct diag *diag)
{
	_cleanup_(stream_free) struct stream *s = calloc(1, sizeof(*s));
	struct archive_entry *entry;

	if (!s)
		return diag_errno(diag, -ENOMEM, "reading the archive");
	s->max = max;
	s->archive = archive_read_new();
	if (!s->archive)
		return diag_errno(diag, -ENOMEM, "reading the archive");
	if (!add_filters(s->archive))
		return diag_set(diag, -EOPNOTSUPP,
			"this libarchive lacks gzip, bzip2, xz, zstd or lz4");
	if (archive_read_support_format_raw(s->archive) != ARCHIVE_OK ||
		archive_read_support_format_empty(s->archive) != ARCHIVE_OK)
		return broken(s, diag);
	if (archive_read_open_fd(s->archive, fd, READ_SIZE) != ARCHIVE_OK)
		return broken(s, diag);
	switch (archive_read_next_header(s->archive, &entry)) {
	case ARCHIVE_EOF: s->ended = true; break;
	case ARCHIVE_OK: break;
	default: return broken(s, diag);
	}
	*ret = take_ptr(s);
	return 0;
}

void stream_free(struct stream *s)
{
	if (!s)
		return;
	(void)archive_read_free(s->archive); /* nothing was written */
	free(s);
}

/* Make sure that s->len > 0, unless the stream is at its end. */
static int fill(struct stream *s, struct diag *diag)
{
	la_int64_t offset;
	const void *data;
	size_t len;

	while (s->len == 0 && !s->ended) {
		switch (archive_read_data_block(
			s->archive, &data, &len, &offset)) {
		case ARCHIVE_EOF: s->ended = true; break;
		case ARCHIVE_OK:
			s->data = data;
			s->len = len;
			break;
		default: return broken(s, diag);
		}
	}
	return 0;
}

ssize_t stream_next(
	struct stream *s, const uint8_t **ret, size_t want, struct diag *diag)
{
	int r = fill(s, diag);

	if (r < 0)
		return r;
	if (s->len == 0)
		return 0;
	if (want > s->len)
		want = s->len;
	if (s->max && want > s->max - s->offset)
		return diag_set(diag, -EFBIG,
			"the archive holds more than %llu bytes",
			(unsigned long long)s->max);
	*ret = s->data;
	s->data += want;
	s->len -= want;
	s->offset += want;
	return (ssize_t)want;
}

ssize_t stream_read(struct stream *s, void *buf, size_t len, struct diag *diag)
{
	size_t done = 0;

	while (done < len) {
		const uint8_t *data;
		ssize_t n = stream_next(s, &data, len - done, diag);

		if (n < 0)
			return n;
		if (n == 0)
			break;
		memcpy((uint8_t *)buf + done, data, (size_t)n);
		done += (size_t)n;
	}
	return (ssize_t)done;
}

uint64_t stream_offset(const struct stream *s)
{
	return s->offset;
}
