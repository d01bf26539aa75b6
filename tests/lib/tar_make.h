/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tar streams, block by block, so that a test can write what no tar program
 * would. All functions append, and abort when memory is out.
 */
#ifndef TESTS_LIB_TAR_MAKE_H
#define TESTS_LIB_TAR_MAKE_H

#include "fs/base/buf.h"

enum tar_magic { TAR_USTAR, TAR_GNU, TAR_V7 };

struct tar_make {
	const char *name;
	char type;	    /* '\0' is a type: give '0' for a file */
	const char *target; /* or NULL */
	const char *data;   /* of len bytes, behind the header */
	size_t len;
	const char *size; /* the field itself, when it is to lie */
	uint32_t mode;	  /* 0: 0644 */
	uint32_t uid, gid;
	const char *uname, *gname; /* or NULL */
	enum tar_magic magic;
	const char *prefix;	   /* ustar */
	const char *major, *minor; /* the fields, octal */
	const char *mtime;	   /* the field, octal */
};

/* Initialisers of the usual ones. */
#define TAR_FILE(n, text)                                                     \
	{                                                                     \
		.name = n, .type = '0', .data = text, .len = sizeof(text) - 1 \
	}
#define TAR_FOLDER(n)                                \
	{                                            \
		.name = n, .type = '5', .mode = 0755 \
	}
#define TAR_LINK(n, to)                              \
	{                                            \
		.name = n, .type = '2', .target = to \
	}
#define TAR_HARD(n, to)                              \
	{                                            \
		.name = n, .type = '1', .target = to \
	}

/* Header, data and padding. */
void tar_add(struct buf *b, const struct tar_make *m);
/* A record of an extended header into text; value of len bytes. */
void tar_record(
	struct buf *text, const char *key, const char *value, size_t len);
/* An extended header with one record. */
void tar_add_record(
	struct buf *b, char type, const char *key, const char *value);
/* Two blocks of zeros. */
void tar_end(struct buf *b);
/* Put the sum of a header right, after its block was changed by hand. */
void tar_fix_sum(char block[512]);
/* filter: ARCHIVE_FILTER_GZIP, ... */
void tar_compress(const struct buf *from, struct buf *to, int filter);

#endif
