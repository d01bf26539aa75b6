/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the first inputs of fuzz_names into a folder; corpus/names/ holds them
 * and what fuzzing has added.
 */
#include <string.h>

#include "fs/ledger/names.h"

#define T_REAL INT64_C(1767225600000000000)

static int write_seed(
	const char *folder, const char *name, const void *bytes, size_t len)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);

	FILE *f = fopen(path, "we");

	if (!f)
		return -1;

	bool ok = fwrite(bytes, 1, len, f) == len;

	return fclose(f) == 0 && ok ? 0 : -1;
}

static int add(struct names_packer *p, int n)
{
	char path[64];
	struct names_entry e = {
		.path = path,
		.path2 = n % 3 ? NULL : "/to/\xff",
		.len2 = 5,
		.ino = (uint64_t)n * 1000,
		.ino_is_parent = n % 2,
		.count = n + 1,
		.t_first = T_REAL + n * 1000000,
		.t_last = T_REAL - n * 5000,
	};

	e.len = (size_t)snprintf(path, sizeof(path), "/usr/lib/x-%d", n * n);
	return names_add(p, &e);
}

/* A blob of so many entries; above a few it is packed. */
static int seed(
	struct names_packer *p, const char *folder, const char *name, int count)
{
	const void *blob;
	size_t len;
	int r = 0;

	names_begin(p, T_REAL);
	for (int i = 0; r == 0 && i < count; i++)
		r = add(p, i);
	if (r == 0)
		r = names_end(p, &blob, &len);
	if (r == 0)
		r = write_seed(folder, name, blob, len);
	/* Its entries alone: the target puts a length before them. */
	if (r == 0 && count == 3)
		r = write_seed(folder, "seed-entries", (const char *)blob + 4,
			len - 4);
	return r;
}

int main(int argc, char **argv)
{
	_cleanup_(names_packer_free) struct names_packer *p = NULL;

	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	if (names_packer_new(&p) < 0)
		return 1;
	return seed(p, argv[1], "seed-none", 0) < 0 ||
	       seed(p, argv[1], "seed-few", 3) < 0 ||
	       seed(p, argv[1], "seed-many", 60) < 0;
}
