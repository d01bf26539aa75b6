/* SPDX-License-Identifier: Apache-2.0 */
/* Tar streams by hand; see tar_make.h. */
#include "tests/lib/tar_make.h"

#include <archive.h>
#include <archive_entry.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

/* Fuzzing uses this too, so it knows nothing of cmocka. */
static void require(bool ok)
{
	if (!ok)
		abort();
}

static void add(struct buf *b, const void *data, size_t len)
{
	require(buf_add(b, data, len) == 0);
}

static void pad(struct buf *b)
{
	static const char zeros[512];

	add(b, zeros, -b->len & 511);
}

/* A field that is filled to its end when the text is long enough. */
static void field(char *at, size_t len, const char *text)
{
	if (text)
		memcpy(at, text, strnlen(text, len));
}

void tar_fix_sum(char block[512])
{
	unsigned sum = 0;
	char text[9];

	memset(block + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += (unsigned char)block[i];
	(void)snprintf(text, sizeof(text), "%06o", sum & 0777777);
	memcpy(block + 148, text, 7);
}

static void octal(char *at, size_t len, uint64_t n)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%0*" PRIo64, (int)len - 1, n);
	memcpy(at, text, len - 1);
}

void tar_add(struct buf *b, const struct tar_make *m)
{
	char h[512] = {0};

	field(h, 100, m->name);
	octal(h + 100, 8, m->mode ? m->mode : 0644);
	octal(h + 108, 8, m->uid);
	octal(h + 116, 8, m->gid);
	octal(h + 124, 12, m->len);
	if (m->size)
		memcpy(h + 124, m->size, 12);
	field(h + 136, 12, m->mtime ? m->mtime : "00000000000");
	h[156] = m->type;
	field(h + 157, 100, m->target);
	if (m->magic == TAR_USTAR)
		memcpy(h + 257, "ustar\00000", 8);
	else if (m->magic == TAR_GNU)
		memcpy(h + 257, "ustar  ", 8);
	field(h + 265, 32, m->uname);
	field(h + 297, 32, m->gname);
	field(h + 329, 8, m->major);
	field(h + 337, 8, m->minor);
	field(h + 345, 155, m->prefix);
	tar_fix_sum(h);
	add(b, h, sizeof(h));
	if (m->len)
		add(b, m->data, m->len);
	pad(b);
}

void tar_record(
	struct buf *text, const char *key, const char *value, size_t len)
{
	size_t rest = strlen(key) + len + 3, total = rest + 1;
	char head[32];

	/* The length counts its own digits. */
	while (total !=
		rest + (size_t)snprintf(head, sizeof(head), "%zu", total))
		total++;
	require(buf_printf(text, "%zu %s=", total, key) == 0);
	add(text, value, len);
	add(text, "\n", 1);
}

void tar_add_record(
	struct buf *b, char type, const char *key, const char *value)
{
	_cleanup_buf_ struct buf text = {.max = 1 << 20};

	tar_record(&text, key, value, strlen(value));
	tar_add(b, &(struct tar_make){.name = "pax",
			   .type = type,
			   .data = text.data,
			   .len = text.len});
}

void tar_end(struct buf *b)
{
	static const char zeros[1024];

	add(b, zeros, sizeof(zeros));
}

static la_ssize_t on_write(
	struct archive *a, void *arg, const void *data, size_t len)
{
	return buf_add(arg, data, len) == 0 ? (la_ssize_t)len : -1;
}

void tar_compress(const struct buf *from, struct buf *to, int filter)
{
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();

	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_pathname(e, "x");
	require(archive_write_set_format_raw(a) == ARCHIVE_OK &&
		archive_write_add_filter(a, filter) == ARCHIVE_OK &&
		archive_write_set_bytes_in_last_block(a, 1) == ARCHIVE_OK &&
		archive_write_open(a, to, NULL, on_write, NULL) == ARCHIVE_OK &&
		archive_write_header(a, e) == ARCHIVE_OK &&
		archive_write_data(a, from->data, from->len) ==
			(la_ssize_t)from->len &&
		archive_write_close(a) == ARCHIVE_OK);
	archive_write_free(a);
	archive_entry_free(e);
}
