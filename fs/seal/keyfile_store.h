/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of a key file, on their way to disk and back; what they say is
 * keyfile.c's. No file that was replaced keeps its bytes.
 */
#ifndef FS_SEAL_KEYFILE_STORE_H
#define FS_SEAL_KEYFILE_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "fs/base/diag.h"

/* Longer than any key file: an origin, four lines of base64, two numbers. */
#define KEYFILE_MAX 1024

/* A text that is a secret; done overwrites it. */
struct secret_text {
	size_t len;
	char bytes[KEYFILE_MAX];
};

void secret_text_done(struct secret_text *t);

#define _cleanup_secret_ __attribute__((cleanup(secret_text_done)))

/* As keyfile_read, but for what the text says. */
int keyfile_store_read(const char *path, struct secret_text *ret,
	struct diag *diag) must_check;

/* -EEXIST when there is one. */
int keyfile_store_create(const char *path, const struct secret_text *t,
	struct diag *diag) must_check;

/* *ret_done tells whether the new file is in its place, also on failure. */
int keyfile_store_replace(const char *path, const struct secret_text *t,
	bool *ret_done, struct diag *diag) must_check;

#endif
