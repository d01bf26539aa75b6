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

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	return seed(argv[1], "seed-nothing", sample_nothing(0)) < 0 ||
	       seed(argv[1], "seed-all-raw", sample_all_kinds(0)) < 0 ||
	       seed(argv[1], "seed-all-zstd", sample_all_kinds(3)) < 0;
}
