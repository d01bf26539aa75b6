/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the first inputs of fuzz_image into a folder; corpus/image/ holds them
 * and what fuzzing has added.
 */
#include <stdio.h>

#include "tests/lib/image_sample.h"

static int seed(const char *folder, const char *name, struct sample s)
{
	char path[4096];
	struct diag diag = {0};

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);

	int r = sample_write(&s, path, NULL, NULL, &diag);

	if (r < 0)
		fprintf(stderr, "%s\n", diag.text);
	return r;
}

/* All kinds with contents of a few bytes: fast to fuzz. */
static struct sample small(int level)
{
	static const struct sample_content contents[SAMPLE_CONTENT_COUNT] = {
		[SAMPLE_LARGE] = {(const uint8_t *)"large", 5},
		[SAMPLE_SPARSE] = {(const uint8_t *)"sparse", 6},
		[SAMPLE_TEXT] = {(const uint8_t *)"text", 4},
		[SAMPLE_ZERO] = {(const uint8_t *)"\0\0\0", 3},
		[SAMPLE_TAIL] = {(const uint8_t *)"tail", 4},
		[SAMPLE_EMPTY] = {(const uint8_t *)"", 0},
		[SAMPLE_BIG_SPARSE] = {(const uint8_t *)"big", 3},
	};
	struct sample s = sample_all_kinds(level);

	s.contents = contents;
	return s;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	return seed(argv[1], "seed-nothing", sample_nothing(0)) < 0 ||
	       seed(argv[1], "seed-small-raw", small(0)) < 0 ||
	       seed(argv[1], "seed-small-zstd", small(3)) < 0 ||
	       seed(argv[1], "seed-all-raw", sample_all_kinds(0)) < 0 ||
	       seed(argv[1], "seed-all-zstd", sample_all_kinds(3)) < 0;
}
