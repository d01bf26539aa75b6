/* SPDX-License-Identifier: Apache-2.0 */
/* Children to look at, and what their facts are compared with. */
#ifndef TESTS_UNIT_PROC_KIT_H
#define TESTS_UNIT_PROC_KIT_H

#include "tests/unit/unit.h"

#include "fs/who/proc.h"

/* A child that runs a shell command and answers what it is sent. */
struct child {
	pid_t pid;
	int to, from;
};

/* With arguments "zero", "a b", "" and "\xff\n" behind the script. */
void start(struct child *c, const char *folder, const char *script);

/* Wait until the child has written a line. */
void await_line(const struct child *c);

void tell(const struct child *c);
void stop(struct child *c);

struct proc_table *must_make(const struct proc_options *opt);

void same_bytes(const struct proc_bytes *b, const char *want, size_t len);
void same_text(const struct proc_bytes *b, const char *want);
void same_link(const struct proc_bytes *b, const char *link);

#endif
