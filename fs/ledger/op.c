/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the kinds of attempts and events. They are stored: they stay. */
#include "fs/ledger/ledger.h"

#include <assert.h>
#include <string.h>

static const char *const op_names[] = {
	[LEDGER_OPEN] = "open",
	[LEDGER_CREATE] = "create",
	[LEDGER_TMPFILE] = "tmpfile",
	[LEDGER_MKNOD] = "mknod",
	[LEDGER_MKDIR] = "mkdir",
	[LEDGER_SYMLINK] = "symlink",
	[LEDGER_LINK] = "link",
	[LEDGER_UNLINK] = "unlink",
	[LEDGER_RMDIR] = "rmdir",
	[LEDGER_RENAME] = "rename",
	[LEDGER_CHMOD] = "chmod",
	[LEDGER_CHOWN] = "chown",
	[LEDGER_TRUNCATE] = "truncate",
	[LEDGER_UTIMES] = "utimes",
	[LEDGER_SETXATTR] = "setxattr",
	[LEDGER_REMOVEXATTR] = "removexattr",
	[LEDGER_WRITE] = "write",
	[LEDGER_FALLOCATE] = "fallocate",
	[LEDGER_COPY_FILE_RANGE] = "copy_file_range",
	[LEDGER_SETFLAGS] = "setflags",
	[LEDGER_ACCESS] = "access",
};

_Static_assert(ARRAY_LEN(op_names) == LEDGER_OP_COUNT, "every kind is named");

static const char *const event_names[] = {
	[LEDGER_EVENT_DAMAGE] = "damage",
	[LEDGER_EVENT_LOST] = "lost",
	[LEDGER_EVENT_MOUNT] = "mount",
	[LEDGER_EVENT_UNMOUNT] = "unmount",
	[LEDGER_EVENT_HEARTBEAT] = "heartbeat",
	[LEDGER_EVENT_RECOVERY] = "recovery",
	[LEDGER_EVENT_GAP] = "gap",
	[LEDGER_EVENT_PRUNE] = "prune",
	[LEDGER_EVENT_CLOCK] = "clock",
	[LEDGER_EVENT_ALARM] = "alarm",
};

_Static_assert(
	ARRAY_LEN(event_names) == LEDGER_EVENT_COUNT, "every kind is named");

static int find(const char *const *names, int count, const char *name)
{
	for (int i = 0; i < count; i++) {
		if (strcmp(names[i], name) == 0)
			return i;
	}
	return -EINVAL;
}

const char *ledger_op_name(enum ledger_op op)
{
	assert((unsigned)op < LEDGER_OP_COUNT);
	return op_names[op];
}

int ledger_op_parse(const char *name, enum ledger_op *ret)
{
	int i = find(op_names, LEDGER_OP_COUNT, name);

	if (i < 0)
		return i;
	*ret = (enum ledger_op)i;
	return 0;
}

const char *ledger_event_name(enum ledger_event kind)
{
	assert((unsigned)kind < LEDGER_EVENT_COUNT);
	return event_names[kind];
}

int ledger_event_parse(const char *name, enum ledger_event *ret)
{
	int i = find(event_names, LEDGER_EVENT_COUNT, name);

	if (i < 0)
		return i;
	*ret = (enum ledger_event)i;
	return 0;
}
