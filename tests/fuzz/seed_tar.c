/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the first inputs of fuzz_tar into a folder; corpus/tar/ holds them,
 * some archives of GNU tar and Python, and what fuzzing has added.
 */
#include <archive.h>
#include <stdbool.h>
#include <string.h>

#include "tests/lib/tar_make.h"

static void add_all_kinds(struct buf *b)
{
	static const struct tar_make members[] = {
		{.name = "a/", .type = '5', .mode = 01777},
		{.name = "a/file", .type = '0', .data = "text", .len = 4},
		{.name = "/abs//./x.o", .type = '0', .uname = "root"},
		{.name = "hard", .type = '1', .target = "./a/file"},
		{.name = "link", .type = '2', .target = "../x"},
		{.name = "char", .type = '3', .major = "5", .minor = "1"},
		{.name = "fifo", .type = '6', .mtime = "17"},
		{.name = "v7/", .type = '\0', .magic = TAR_V7},
	};

	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		tar_add(b, &members[i]);
	tar_end(b);
}

static void add_pax(struct buf *b)
{
	static const char *const records[][2] = {
		{"path", "long"},
		{"mtime", "-1.5"},
		{"uid", "4294967294"},
		{"SCHILY.xattr.user.a%3Db", "value"},
		{"LIBARCHIVE.xattr.user.%41", "AAEC"},
		{"SCHILY.acl.access", "u::rw-,u:me:r--:7,g::r,m::r,o::-"},
		{"RHT.security.selinux", "u:r:t"},
	};
	_cleanup_buf_ struct buf text = {.max = 1 << 16};

	tar_add_record(b, 'g', "gid", "9");
	for (size_t i = 0; i < ARRAY_LEN(records); i++)
		tar_record(&text, records[i][0], records[i][1],
			strlen(records[i][1]));
	tar_add(b, &(struct tar_make){.name = "x",
			   .type = 'x',
			   .data = text.data,
			   .len = text.len});
	tar_add(b, &(struct tar_make){
			   .name = "f", .type = '0', .data = "abc", .len = 3});
	tar_end(b);
}

static int write_seed(const char *folder, const char *name, const struct buf *b)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);

	FILE *f = fopen(path, "we");

	if (!f)
		return -1;

	bool ok = fwrite(b->data, 1, b->len, f) == b->len;

	return fclose(f) == 0 && ok ? 0 : -1;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int filter;
	} filters[] = {
		{"seed-gzip", ARCHIVE_FILTER_GZIP},
		{"seed-bzip2", ARCHIVE_FILTER_BZIP2},
		{"seed-xz", ARCHIVE_FILTER_XZ},
		{"seed-zstd", ARCHIVE_FILTER_ZSTD},
		{"seed-lz4", ARCHIVE_FILTER_LZ4},
	};
	_cleanup_buf_ struct buf kinds = {.max = 1 << 20},
				 pax = {.max = 1 << 20};

	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	add_all_kinds(&kinds);
	add_pax(&pax);
	if (write_seed(argv[1], "seed-kinds", &kinds) < 0 ||
		write_seed(argv[1], "seed-pax", &pax) < 0)
		return 1;
	for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
		_cleanup_buf_ struct buf z = {.max = 1 << 20};

		tar_compress(&pax, &z, filters[i].filter);
		if (write_seed(argv[1], filters[i].name, &z) < 0)
			return 1;
	}
	return 0;
}
