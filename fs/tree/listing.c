/* SPDX-License-Identifier: Apache-2.0 */
/* Names of a folder; see listing.h. */
#include "fs/tree/listing.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#define BYTES_MAX ((size_t)1 << 30)

static int compare(const void *a, const void *b)
{
	/* As unsigned bytes, as C has it. */
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int read_names(DIR *d, struct listing *l)
{
	int r = 0;

	while (r == 0) {
		errno = 0;

		const struct dirent *e = readdir(d);

		if (!e)
			return -errno;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		r = buf_add(&l->bytes, e->d_name, strlen(e->d_name) + 1);
		l->count += r == 0;
	}
	return r;
}

static int sort(struct listing *l)
{
	const char *at = l->bytes.data;

	if (l->count == 0)
		return 0;
	l->names = calloc(l->count, sizeof(*l->names));
	if (!l->names)
		return -ENOMEM;
	for (size_t i = 0; i < l->count; i++) {
		l->names[i] = at;
		at += strlen(at) + 1;
	}
	qsort(l->names, l->count, sizeof(*l->names), compare);
	return 0;
}

int listing_read(int fd, struct listing *ret)
{
	_cleanup_close_ int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy < 0)
		return -errno;

	_cleanup_closedir_ DIR *d = fdopendir(copy);

	if (!d)
		return -errno;
	copy = -1;    /* closedir closes it */
	rewinddir(d); /* it may have been read before */
	*ret = (struct listing){0};
	buf_init(&ret->bytes, BYTES_MAX);

	int r = read_names(d, ret);

	if (r == 0)
		r = sort(ret);
	if (r < 0)
		listing_done(ret);
	return r;
}

void listing_done(struct listing *l)
{
	free(l->names);
	buf_done(&l->bytes);
	*l = (struct listing){0};
}
