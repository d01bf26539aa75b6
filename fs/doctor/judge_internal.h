/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the judgement share. */
#ifndef FS_DOCTOR_JUDGE_INTERNAL_H
#define FS_DOCTOR_JUDGE_INTERNAL_H

#include "fs/doctor/judge.h"

/* A judgement under way. A failure is kept, and ends it. */
struct judge {
	struct doctor_findings *findings;
	const struct doctor_mount *mount; /* NULL: of the machine */
	int error;
};

struct judge_kind {
	enum doctor_level level;
	const char *kind, *why;
};

/* A new finding; what is formatted. */
void judge_add(struct judge *j, const struct judge_kind *kind, const char *what,
	...) format_like(3, 4);

/*
 * The command of the finding that was added last. Each argument of a %s becomes
 * one word of a shell, whatever it holds; the format knows %s and %% only.
 */
void judge_mend(struct judge *j, const char *format, ...) format_like(2, 3);
/* The same by mount or umount in the mount namespace where this is seen. */
void judge_mend_there(struct judge *j, const struct doctor_seen *s,
	const char *program, const char *format, ...) format_like(4, 5);

/* Of one mount wherever it is seen, of its daemon, of its ledger. */
void judge_mount(struct judge *j);
void judge_daemon(struct judge *j, const struct doctor_machine *machine);
void judge_store(struct judge *j);

/* How j->mount is to be mounted anew. */
struct judge_anew {
	const char *option; /* one more, or NULL */
	const char *ledger; /* another, or NULL */
	const char *by;	    /* what to run it by: "sudo ", or NULL; as it is */
};
void judge_mend_anew(struct judge *j, const struct judge_anew *how);

#endif
