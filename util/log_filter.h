/* SPDX-License-Identifier: Apache-2.0 */
/* Which records: the options that all commands on ledgers have in common. */
#ifndef UTIL_LOG_FILTER_H
#define UTIL_LOG_FILTER_H

#include <limits.h>

#include "fs/audit/query.h"
#include "util/opt.h"

/* As given on the command line; begins as LOG_FILTER_INIT. */
struct log_filter {
	const char *since, *until, *path, *under, *exe, *comm, *container;
	const char *rule, *error, *boot;
	struct opt_list ops;
	int64_t pid, tree, uid;
	bool events;
};

#define LOG_FILTER_INIT   \
	{                 \
		.uid = -1 \
	}

/* Rows of a table of options; member is a struct log_filter of type. */
#define LOG_FILTER_OPTION(                                                     \
	type, member, name, letter, kind, field, value, help, min, max)        \
	{                                                                      \
		name, letter, kind, offsetof(type, member.field), value, help, \
			min, max                                               \
	}
#define LOG_FILTER_OPTIONS(type, member)                                       \
	LOG_FILTER_OPTION(type, member, "since", 'S', OPT_STRING, since,       \
		"TIME", "only records from TIME on", 0, 0),                    \
		LOG_FILTER_OPTION(type, member, "until", 'U', OPT_STRING,      \
			until, "TIME", "only records up to TIME", 0, 0),       \
		LOG_FILTER_OPTION(type, member, "boot", 'b', OPT_STRING, boot, \
			"ID",                                                  \
			"only this boot of the machine: an ID, or 0 for the "  \
			"last one in the ledger, -1 for the one before",       \
			0, 0),                                                 \
		LOG_FILTER_OPTION(type, member, "path", 'p', OPT_STRING, path, \
			"GLOB",                                                \
			"only paths that match; * matches slashes too", 0, 0), \
		LOG_FILTER_OPTION(type, member, "under", 'u', OPT_STRING,      \
			under, "DIR", "only paths in DIR and below", 0, 0),    \
		LOG_FILTER_OPTION(type, member, "op", 0, OPT_LIST, ops,        \
			"NAME[,NAME...]", "only these kinds of records", 0,    \
			0),                                                    \
		LOG_FILTER_OPTION(type, member, "events", 0, OPT_FLAG, events, \
			NULL,                                                  \
			"also when mounts began and ended, and heartbeats", 0, \
			0),                                                    \
		LOG_FILTER_OPTION(type, member, "pid", 0, OPT_NUMBER, pid,     \
			"N", "only attempts of this process or thread", 1,     \
			INT_MAX),                                              \
		LOG_FILTER_OPTION(type, member, "tree", 0, OPT_NUMBER, tree,   \
			"N",                                                   \
			"only attempts of this process and all that "          \
			"descend from it",                                     \
			1, INT_MAX),                                           \
		LOG_FILTER_OPTION(type, member, "exe", 'x', OPT_STRING, exe,   \
			"GLOB",                                                \
			"only attempts of programs whose path "                \
			"matches",                                             \
			0, 0),                                                 \
		LOG_FILTER_OPTION(type, member, "comm", 'c', OPT_STRING, comm, \
			"NAME", "only attempts of processes of this name", 0,  \
			0),                                                    \
		LOG_FILTER_OPTION(type, member, "uid", 0, OPT_NUMBER, uid,     \
			"N", "only attempts of this user", 0, UINT32_MAX - 1), \
		LOG_FILTER_OPTION(type, member, "container", 'C', OPT_STRING,  \
			container, "ID",                                       \
			"only attempts from the container whose id begins "    \
			"so",                                                  \
			0, 0),                                                 \
		LOG_FILTER_OPTION(type, member, "rule", 0, OPT_STRING, rule,   \
			"NAME", "only what this rule refused", 0, 0),          \
		LOG_FILTER_OPTION(type, member, "errno", 'e', OPT_STRING,      \
			error, "NAME|N",                                       \
			"only what was answered with this error", 0, 0)

/* Paragraphs for the description of a command: what the values may be. */
#define LOG_FILTER_HELP                                                   \
	"TIME is \"2026-11-22 14:30[:05]\" or \"14:30\" (local time), "   \
	"2026-11-22T14:30:05Z, \"2026-11-22\", -2h, \"10m ago\", today, " \
	"yesterday, now or @SECONDS. A record of many attempts matches "  \
	"when any time from its first to its last does.\n"                \
	"\n"                                                              \
	"GLOB has * and ? and [a-z]; [*] is a star itself. A record of "  \
	"many names matches when one of them does, or its second path "   \
	"(rename, link, symlink)."

/*
 * The filter of these options, with the strings of the command line. EXIT_OK,
 * or EXIT_USAGE after a message. Without --op all attempts pass, and events
 * but those of --events; but no events where only some processes may pass.
 */
int log_filter_parse(
	const struct log_filter *l, struct query_filter *ret) must_check;

/* Give back what the options hold. */
void log_filter_done(struct log_filter *l);

#endif
