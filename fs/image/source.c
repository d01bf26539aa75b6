/* SPDX-License-Identifier: Apache-2.0 */
/* Image bytes from a descriptor or from memory; see source.h. */
#include "fs/image/source.h"

#include <string.h>
#include <sys/stat.h>

#include "fs/base/io.h"

struct source {
	int fd;		     /* -1: memory */
	const uint8_t *data; /* borrowed */
	uint64_t size;
	bool padded;
};

int source_from_fd(int fd, struct source **ret)
{
	struct stat st;
	off_t size;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return -EINVAL;

	/* st_size of a block device is 0; its end is found by seeking. */
	size = lseek(fd, 0, SEEK_END);
	if (size < 0)
		return -errno;

	struct source *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->fd = fd;
	s->size = (uint64_t)size;
	s->padded = S_ISBLK(st.st_mode);
	*ret = s;
	return 0;
}

int source_from_memory(const void *data, size_t len, struct source **ret)
{
	struct source *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->fd = -1;
	s->data = data;
	s->size = len;
	*ret = s;
	return 0;
}

void source_free(struct source *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		(void)close(s->fd); /* only ever read */
	free(s);
}

uint64_t source_size(const struct source *s)
{
	return s->size;
}

bool source_is_padded(const struct source *s)
{
	return s->padded;
}

int source_read(struct source *s, void *buf, size_t len, uint64_t off)
{
	if (off > s->size || len > s->size - off)
		return -EBADMSG;
	if (!len)
		return 0;
	if (s->fd < 0) {
		memcpy(buf, s->data + off, len);
		return 0;
	}

	ssize_t n = io_pread(s->fd, buf, len, off);

	if (n < 0)
		return (int)n;
	return (size_t)n == len ? 0 : -EBADMSG;
}
