/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over each file of a folder, as a regression test: the
 * target stops the process when something is wrong. An empty folder is wrong.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "fs/base/buf.h"
#include "tests/fuzz/fuzz.h"

#define INPUT_MAX (16u << 20)

static int read_all(const char *path, struct buf *ret)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char chunk[65536];
	size_t n;
	int r = f ? 0 : -errno;

	while (r == 0 && (n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		r = buf_add(ret, chunk, n);
	return r == 0 && ferror(f) ? -EIO : r;
}

/* A copy of its own on the heap, so that reading past its end is seen. */
static int run_one(const char *folder, const char *name)
{
	_cleanup_buf_ struct buf input = {.max = INPUT_MAX};
	_cleanup_free_ uint8_t *exact = NULL;
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);

	int r = read_all(path, &input);

	if (r < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(-r));
		return r;
	}
	exact = malloc(input.len + !input.len);
	if (!exact)
		return -ENOMEM;
	if (input.len)
		memcpy(exact, input.data, input.len);
	printf("%s\n", path);
	(void)fflush(stdout); /* says which one, should it crash */
	(void)LLVMFuzzerTestOneInput(exact, input.len);
	return 0;
}

int main(int argc, char **argv)
{
	_cleanup_closedir_ DIR *d = argc == 2 ? opendir(argv[1]) : NULL;
	struct dirent *e;
	int count = 0;

	if (!d) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		if (run_one(argv[1], e->d_name) < 0)
			return 1;
		count++;
	}
	printf("%d inputs\n", count);
	return count ? 0 : 1;
}
