/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a record of a ledger says, in the few words that all formats share: its
 * kind, how much it matters, how many attempts it stands for, a sentence.
 */
#ifndef UTIL_LOG_RECORD_H
#define UTIL_LOG_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/audit/query.h"

/* What an attempt wanted to do to a file. */
enum log_class {
	LOG_EVENT, /* no attempt: something that happened to the mount */
	LOG_CREATE,
	LOG_UPDATE,
	LOG_DELETE,
	LOG_RENAME,
	LOG_ATTRIBUTES,
	LOG_SECURITY, /* owner, permissions */
	LOG_OPEN,
	LOG_PROBE, /* only asked whether it might write */
	LOG_CLASSES,
};

/* How much a record matters to somebody who looks for trouble. */
enum log_level {
	LOG_NOTE,    /* mount, heartbeat, a probe */
	LOG_REFUSED, /* a write that was refused, as it should be */
	LOG_ODD,     /* to be explained: a crash, a clock that was set */
	LOG_BAD,     /* damage, or attempts without a record */
	LOG_LEVELS,
};

struct log_record {
	enum log_class class;
	enum log_level level;
	const char *op;	    /* "unlink", "damage"; "?" in a forged ledger */
	const char *error;  /* name of the errno, or NULL */
	int64_t count;	    /* attempts that it stands for; 1 for an event */
	int64_t targets;    /* names that it stands for; mostly 1 */
	int64_t first, end; /* ns since 1970; the same when count is 1 */
	char *message;	    /* "refused: unlink /etc/passwd by rm[12] ..." */
};

/* 0 or -ENOMEM; then log_record_done. Names in the message are escaped. */
int log_record_read(
	const struct query_row *row, struct log_record *ret) must_check;
void log_record_done(struct log_record *r);

/* "create", "update", ...; "event". */
const char *log_record_class_name(enum log_class class);

/*
 * One process of one machine while it runs one program: a process id alone may
 * come again. False when that is not known.
 */
#define LOG_INSTANCE_ROOM 128
bool log_record_instance(
	const struct query_row *row, char ret[LOG_INSTANCE_ROOM]);

/* The cell is there, and as text it is this. */
bool log_record_is(const struct query_cell *c, const char *text);

#endif
