/* SPDX-License-Identifier: Apache-2.0 */
/* What a record says in a few words; see log_record.h. */
#include "util/log_record.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/out.h"

static const char *const class_names[LOG_CLASSES] = {
	[LOG_EVENT] = "event",
	[LOG_CREATE] = "create",
	[LOG_UPDATE] = "update",
	[LOG_DELETE] = "delete",
	[LOG_RENAME] = "rename",
	[LOG_ATTRIBUTES] = "attributes",
	[LOG_SECURITY] = "security",
	[LOG_OPEN] = "open",
	[LOG_PROBE] = "probe",
};

static const enum log_class classes[LEDGER_OP_COUNT] = {
	[LEDGER_OPEN] = LOG_OPEN,
	[LEDGER_CREATE] = LOG_CREATE,
	[LEDGER_TMPFILE] = LOG_CREATE,
	[LEDGER_MKNOD] = LOG_CREATE,
	[LEDGER_MKDIR] = LOG_CREATE,
	[LEDGER_SYMLINK] = LOG_CREATE,
	[LEDGER_LINK] = LOG_CREATE,
	[LEDGER_UNLINK] = LOG_DELETE,
	[LEDGER_RMDIR] = LOG_DELETE,
	[LEDGER_RENAME] = LOG_RENAME,
	[LEDGER_CHMOD] = LOG_SECURITY,
	[LEDGER_CHOWN] = LOG_SECURITY,
	[LEDGER_TRUNCATE] = LOG_UPDATE,
	[LEDGER_UTIMES] = LOG_ATTRIBUTES,
	[LEDGER_SETXATTR] = LOG_ATTRIBUTES,
	[LEDGER_REMOVEXATTR] = LOG_ATTRIBUTES,
	[LEDGER_WRITE] = LOG_UPDATE,
	[LEDGER_FALLOCATE] = LOG_UPDATE,
	[LEDGER_COPY_FILE_RANGE] = LOG_UPDATE,
	[LEDGER_SETFLAGS] = LOG_ATTRIBUTES,
	[LEDGER_ACCESS] = LOG_PROBE,
};

static const enum log_level levels[LEDGER_EVENT_COUNT] = {
	[LEDGER_EVENT_DAMAGE] = LOG_BAD,
	[LEDGER_EVENT_LOST] = LOG_BAD,
	[LEDGER_EVENT_MOUNT] = LOG_NOTE,
	[LEDGER_EVENT_UNMOUNT] = LOG_NOTE,
	[LEDGER_EVENT_HEARTBEAT] = LOG_NOTE,
	[LEDGER_EVENT_RECOVERY] = LOG_ODD,
	[LEDGER_EVENT_GAP] = LOG_BAD,
	[LEDGER_EVENT_PRUNE] = LOG_ODD,
	[LEDGER_EVENT_CLOCK] = LOG_ODD,
	[LEDGER_EVENT_ALARM] = LOG_BAD,
};

const char *log_record_class_name(enum log_class class)
{
	return class_names[class];
}

bool log_record_is(const struct query_cell *c, const char *text)
{
	return !c->null && c->len == strlen(text) &&
	       memcmp(c->bytes, text, c->len) == 0;
}

bool log_record_instance(
	const struct query_row *row, char ret[LOG_INSTANCE_ROOM])
{
	const struct query_cell *cell = row->cell, *boot = &cell[QUERY_BOOT_ID];
	char boot_id[40];
	size_t len = 0;

	if (boot->null || cell[QUERY_PID].null ||
		cell[QUERY_START_TICKS].null || cell[QUERY_EXEC_STAMP].null)
		return false;
	/* A forged ledger may have anything in its place. */
	for (size_t i = 0; i < boot->len && len < sizeof(boot_id) - 1; i++) {
		if (isxdigit((unsigned char)boot->bytes[i]) ||
			boot->bytes[i] == '-')
			boot_id[len++] = boot->bytes[i];
	}
	boot_id[len] = '\0';
	(void)snprintf(ret, LOG_INSTANCE_ROOM,
		"%s:%" PRId64 ":%" PRId64 ":%" PRIx64, boot_id,
		cell[QUERY_PID].number, cell[QUERY_START_TICKS].number,
		(uint64_t)cell[QUERY_EXEC_STAMP].number);
	return true;
}

/* Attributes that decide who may do what: file capabilities, ACLs, labels. */
static bool is_security_xattr(const struct query_cell *c)
{
	static const char *const spaces[] = {"security.", "system.posix_acl_"};

	for (size_t i = 0; !c->null && i < ARRAY_LEN(spaces); i++) {
		size_t len = strlen(spaces[i]);

		if (c->len >= len && memcmp(c->bytes, spaces[i], len) == 0)
			return true;
	}
	return false;
}

static void read_attempt(const struct query_row *row, struct log_record *r)
{
	enum ledger_op op;

	/* A kind that we do not know is in a forged ledger only. */
	r->level = LOG_REFUSED;
	r->class = LOG_UPDATE;
	if (ledger_op_parse(r->op, &op) < 0)
		return;
	r->class = classes[op];
	r->op = ledger_op_name(op);
	if (r->class == LOG_PROBE)
		r->level = LOG_NOTE;
	if (is_security_xattr(&row->cell[QUERY_XATTR]))
		r->class = LOG_SECURITY;
}

static void read_event(struct log_record *r)
{
	enum ledger_event event;

	r->class = LOG_EVENT;
	r->level = LOG_BAD;
	if (ledger_event_parse(r->op, &event) < 0)
		return;
	r->level = levels[event];
	r->op = ledger_event_name(event);
}

static void print_names(
	FILE *f, const struct query_row *row, const struct log_record *r)
{
	const struct query_cell *path = &row->cell[QUERY_PATH],
				*path2 = &row->cell[QUERY_PATH2];

	if (r->targets > 1)
		fprintf(f, " %" PRId64 " names in", r->targets);
	if (!path->null) {
		putc(' ', f);
		out_name(f, path->bytes, path->len);
	}
	if (!path2->null) {
		fputs(" -> ", f);
		out_name(f, path2->bytes, path2->len);
	}
}

static void print_attempt(
	FILE *f, const struct query_row *row, const struct log_record *r)
{
	const struct query_cell *comm = &row->cell[QUERY_COMM],
				*pid = &row->cell[QUERY_PID],
				*uid = &row->cell[QUERY_UID];

	fprintf(f, "refused: %s", r->op);
	print_names(f, row, r);
	fputs(" by ", f);
	if (comm->null)
		fputs("a process that is not visible", f);
	else
		out_name(f, comm->bytes, comm->len);
	if (!pid->null)
		fprintf(f, "[%" PRId64 "]", pid->number);
	if (!uid->null)
		fprintf(f, ", uid %" PRId64, uid->number);
	if (r->error)
		fprintf(f, ": %s", r->error);
	if (r->count > 1)
		fprintf(f, ", %" PRId64 " times", r->count);
}

static void print_event(
	FILE *f, const struct query_row *row, const struct log_record *r)
{
	const struct query_cell *text = &row->cell[QUERY_TEXT_OF_EVENT];

	fprintf(f, "%s:", r->op);
	print_names(f, row, r);
	if (!row->cell[QUERY_PATH].null && text->len)
		putc(':', f);
	if (text->len)
		putc(' ', f);
	out_name(f, text->bytes, text->len);
}

static int make_message(const struct query_row *row, struct log_record *r)
{
	size_t len;
	FILE *f = open_memstream(&r->message, &len);

	if (!f)
		return -ENOMEM;
	if (r->class == LOG_EVENT)
		print_event(f, row, r);
	else
		print_attempt(f, row, r);
	if (fclose(f) == 0)
		return 0;
	log_record_done(r);
	return -ENOMEM;
}

/*
 * A number that counts something. A forged ledger may say anything; no record
 * that was written stands for more attempts than this, and so many of them fit
 * into a file that their sum fits into 64 bits.
 */
#define COUNT_MAX (INT64_C(1) << 32)

static int64_t count_of(const struct query_cell *c, int64_t most)
{
	if (c->null || c->number < 1)
		return 1;
	return c->number < most ? c->number : most;
}

int log_record_read(const struct query_row *row, struct log_record *ret)
{
	const struct query_cell *cell = row->cell, *op = &cell[QUERY_OP],
				*error = &cell[QUERY_ERRNO];
	struct log_record r = {.op = "?"};
	char name[32];
	int code;

	/* Looked up below: a pointer to our own name takes its place. */
	(void)snprintf(name, sizeof(name), "%.*s",
		(int)(op->len < sizeof(name) ? op->len : sizeof(name) - 1),
		op->null ? "" : op->bytes);
	r.op = name;
	if (cell[QUERY_TEXT_OF_EVENT].null)
		read_attempt(row, &r);
	else
		read_event(&r);
	if (r.op == name)
		r.op = "?";
	if (!error->null && error->number > 0 && error->number <= INT32_MAX)
		r.error = strerrorname_np((int)error->number);
	r.count = count_of(&cell[QUERY_COUNT],
		r.class == LOG_EVENT ? INT64_MAX : COUNT_MAX);
	r.targets = count_of(&cell[QUERY_TARGETS], COUNT_MAX);
	r.first = r.end = cell[QUERY_T_REAL].number;
	if (!cell[QUERY_T_LAST].null)
		r.end = cell[QUERY_T_LAST].number;
	code = make_message(row, &r);
	if (code == 0)
		*ret = r;
	return code;
}

void log_record_done(struct log_record *r)
{
	free(r->message);
	r->message = NULL;
}
