/* SPDX-License-Identifier: Apache-2.0 */
/* From facts to findings: what is wrong, why it matters, what mends it. Pure.
 */
#ifndef FS_DOCTOR_JUDGE_H
#define FS_DOCTOR_JUDGE_H

#include "fs/doctor/facts.h"

enum doctor_level {
	DOCTOR_BLIND, /* attempts are made that no record will be of */
	DOCTOR_RISK,  /* records can be lost, or read or changed by others */
	DOCTOR_SLOW,
	DOCTOR_STALE, /* something dead lies around */
	DOCTOR_NOTE,  /* nothing is wrong: good to know */
};

/* "blind", "risk", "slow", "stale", "note". */
const char *doctor_level_name(enum doctor_level level);

struct doctor_finding {
	enum doctor_level level;
	const char *kind; /* a short name that stays: "read-only"; static */
	const struct doctor_mount *mount; /* borrowed from the facts, or NULL */
	char *what;	 /* what was found, with names as they are; owned */
	const char *why; /* static */
	/* For a shell, of printable ASCII only; owned. NULL: there is none. */
	char *command;
};

struct doctor_findings {
	struct doctor_finding *all; /* owned */
	size_t count, cap;
};

/* Zeroed before, done after, also after a failure. 0 or -ENOMEM. */
int doctor_judge(const struct doctor_facts *facts,
	struct doctor_findings *ret) must_check;
void doctor_findings_done(struct doctor_findings *f);

/* How many are more than a note. */
size_t doctor_findings_bad(const struct doctor_findings *f);

/* A word for a shell, in printable ASCII; NULL: out of memory. */
char *doctor_quote(const char *word);

#endif
