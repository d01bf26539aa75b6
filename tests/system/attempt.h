/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One system call at a time, named in text, so that a table in Python can say
 * what is tried and compare the exact errno. See attempt.c.
 */
#ifndef TESTS_SYSTEM_ATTEMPT_H
#define TESTS_SYSTEM_ATTEMPT_H

#include <stdint.h>

#define ATTEMPT_ARGS_MAX 6

/* What a call works on besides its arguments. */
struct attempt_place {
	int root; /* the folder that relative paths begin at: also the cwd */
	int held; /* opened before privileges were dropped, or -1 */
};

/*
 * A kind of call. args are exactly as many strings as the table says, paths
 * relative to place->root. Returns 0 or a negative errno; what it opened is
 * closed again.
 */
typedef int (*attempt_run)(
	const struct attempt_place *place, char *const *args);

struct attempt_kind {
	const char *name;
	int args;
	attempt_run run;
};

/* Calls that want to change something; ends with an entry without name. */
extern const struct attempt_kind attempt_changes[];
/* Calls that only look. */
extern const struct attempt_kind attempt_looks[];

/* Who makes the calls. */
struct attempt_identity {
	int64_t uid, gid;   /* -1: as it is */
	int64_t ruid;	    /* the real id when it is another; -1 */
	const char *groups; /* "5,6"; "": none; NULL: as they are */
	const char *caps;   /* "none" or names with commas; NULL: as they are */
	/* "self": become root of a new user namespace that maps only the
	 * caller; a number: map 65536 ids from it on; NULL: none */
	const char *userns;
};

/* Take on the identity, in this thread only. Exits with a message on failure.
 */
void attempt_become(const struct attempt_identity *who);

/* Decimal, octal or hexadecimal, also negative. Exits with a message. */
long long attempt_number(const char *text);

/* Say what failed, with errno, and exit 2: the test itself is wrong. */
_Noreturn void attempt_die(const char *what);

#endif
