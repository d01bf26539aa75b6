/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many attempts there were by path, by program, by hour ...: groups of
 * attempts of a ledger, the largest first. Attempts that share a record are
 * told apart where their targets are.
 *
 * Memory is bounded whatever the ledger holds. A table that has too many groups
 * forgets its smallest ones and says by how much its numbers can be too low;
 * with fewer than about a million paths nothing is forgotten.
 */
#ifndef FS_AUDIT_SUMMARY_H
#define FS_AUDIT_SUMMARY_H

#include "fs/audit/query.h"

/* What attempts are grouped by, and what the key of a group is. */
enum summary_by {
	SUMMARY_PATH,	   /* QUERY_NAME */
	SUMMARY_PROGRAM,   /* QUERY_NAME: exe; and its digest */
	SUMMARY_COMM,	   /* QUERY_NAME */
	SUMMARY_CONTAINER, /* QUERY_TEXT; null: in none */
	SUMMARY_UID,	   /* QUERY_NUMBER */
	SUMMARY_OP,	   /* QUERY_TEXT */
	SUMMARY_RULE,	   /* QUERY_TEXT */
	SUMMARY_HOUR,	   /* QUERY_TIME: when it begins, by UTC */
	SUMMARY_PROCESS,   /* QUERY_NUMBER: pid; and comm, exe, start */
	SUMMARY_COUNT,
};

struct summary_group {
	struct query_cell key; /* null: not known */
	int64_t count;	       /* attempts */
	int64_t first, last;   /* the first of them and the last, ns */
	int64_t paths;	       /* distinct ones */
	bool more_paths;       /* and more: they were too many to tell apart */

	/* SUMMARY_PROGRAM: exe_digest. SUMMARY_PROCESS: all of these. */
	struct query_cell exe, exe_digest, comm, start_real;
	int64_t proc_id; /* SUMMARY_PROCESS: for query_ancestors; else 0 */
};

/* Groups with the largest count first; SUMMARY_HOUR: in order of time. */
struct summary_table {
	const struct summary_group *groups;
	size_t count;	   /* of groups that are given */
	int64_t distinct;  /* of groups that there are; at least, when: */
	int64_t forgotten; /* 0, or by how much a count may be too low; a group
			    * that is not given may have had as many */
};

struct summary_totals {
	int64_t attempts;
	int64_t records;     /* that they are in */
	int64_t first, last; /* 0 when there are none */
	int64_t lost;	     /* attempts that could not be recorded */
	int64_t gap;	     /* attempts that were only counted */
	int64_t damage;	     /* events of damage */
};

struct summary_options {
	struct query_filter filter; /* closed is not looked at */
	unsigned by;		    /* bits 1 << summary_by */
	size_t top;   /* groups of each table at most, at least 1 */
	size_t hours; /* the same for SUMMARY_HOUR: the last ones */
	/* 0; else only groups without an attempt before this moment, among all
	 * that match filter but for its since. */
	int64_t new_since;
};

struct summary;

/*
 * Read the ledger; q must not be in use for anything else meanwhile. 0 or
 * -errno (query_error). q may be closed before the summary is.
 */
int summary_new(struct query *q, const struct summary_options *opt,
	struct summary **ret) must_check;
void summary_free(struct summary *s); /* NULL is allowed */
DEFINE_CLEANUP(summary_free, struct summary *);

/* Empty when by was not asked for. Valid until summary_free. */
const struct summary_table *summary_table(
	const struct summary *s, enum summary_by by);
const struct summary_totals *summary_totals(const struct summary *s);

#endif
