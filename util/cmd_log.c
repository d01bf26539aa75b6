/* SPDX-License-Identifier: Apache-2.0 */
/* stele log: what was refused, when, to whom. */
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "fs/audit/query.h"
#include "util/cmd.h"
#include "util/exit.h"
#include "util/log_print.h"
#include "util/out.h"
#include "util/when.h"
#include "util/where.h"

/* How long a new record may go unseen. */
#define FOLLOW_MS 100
#define MAX_UID INT64_C(4294967294)

struct log {
	bool follow, json, reverse, quiet;
	const char *since, *until, *path, *under, *comm;
	struct opt_list ops;
	int64_t pid, uid, last;

	struct query_filter filter;
	struct query *query;
	struct log_json objects;
	bool color;
	uint64_t printed;
};

static const struct opt options[] = {
	{"follow", 'f', OPT_FLAG, offsetof(struct log, follow), NULL,
		"wait for new records and print them as they come", 0, 0},
	{"since", 'S', OPT_STRING, offsetof(struct log, since), "TIME",
		"only records from TIME on", 0, 0},
	{"until", 'U', OPT_STRING, offsetof(struct log, until), "TIME",
		"only records up to TIME", 0, 0},
	{"path", 'p', OPT_STRING, offsetof(struct log, path), "GLOB",
		"only paths that match; * matches slashes too", 0, 0},
	{"under", 'u', OPT_STRING, offsetof(struct log, under), "DIR",
		"only paths in DIR and below", 0, 0},
	{"op", 'o', OPT_LIST, offsetof(struct log, ops), "NAME[,NAME...]",
		"only these kinds of records", 0, 0},
	{"pid", 0, OPT_NUMBER, offsetof(struct log, pid), "N",
		"only attempts of this process or thread", 1, INT_MAX},
	{"uid", 0, OPT_NUMBER, offsetof(struct log, uid), "N",
		"only attempts of this user", 0, MAX_UID},
	{"comm", 'c', OPT_STRING, offsetof(struct log, comm), "NAME",
		"only attempts of processes of this name", 0, 0},
	{"last", 'n', OPT_NUMBER, offsetof(struct log, last), "N",
		"only the last N records that match", 0, INT64_MAX},
	{"reverse", 'r', OPT_FLAG, offsetof(struct log, reverse), NULL,
		"newest first", 0, 0},
	{"json", 'j', OPT_FLAG, offsetof(struct log, json), NULL,
		"one JSON object a line, with everything that is known", 0, 0},
	{"quiet", 'q', OPT_FLAG, offsetof(struct log, quiet), NULL,
		"print nothing; the exit code says whether a record matches", 0,
		0},
	{0},
};

static const struct example examples[] = {
	{"stele log /mnt --follow", "watch what is being refused"},
	{"stele log /mnt --since -1h --under /etc",
		"the last hour's attempts in /etc"},
	{"stele log /mnt --op unlink,rename --json",
		"deletions and renames, for a program"},
	{"stele log evidence.ledger -n 20 -r",
		"the last 20 records of a file, newest first"},
	{0},
};

/* ---- the command line ---- */

static int bad_op(const char *name)
{
	char names[512];
	size_t len = 0;

	for (int i = 0; i < LEDGER_OP_COUNT + LEDGER_EVENT_COUNT; i++) {
		int n = snprintf(names + len, sizeof(names) - len, "%s%s",
			i ? ", " : "",
			i < LEDGER_OP_COUNT
				? ledger_op_name(i)
				: ledger_event_name(i - LEDGER_OP_COUNT));

		if (n < 0 || (size_t)n >= sizeof(names) - len)
			break;
		len += (size_t)n;
	}
	return fail(EXIT_USAGE, "--op '%s' is not one of %s", name, names);
}

static int add_op(struct query_filter *f, const char *name)
{
	enum ledger_event event;
	enum ledger_op op;

	if (ledger_op_parse(name, &op) == 0)
		f->ops |= UINT64_C(1) << op;
	else if (ledger_event_parse(name, &event) == 0)
		f->events |= 1u << event;
	else
		return bad_op(name);
	return EXIT_OK;
}

/* "unlink,rename" */
static int add_ops(struct query_filter *f, const char *list)
{
	int code = EXIT_OK;

	while (code == EXIT_OK) {
		size_t len = strcspn(list, ",");
		char name[64];

		(void)snprintf(name, sizeof(name), "%.*s",
			len < sizeof(name) ? (int)len : (int)sizeof(name),
			list);
		code = add_op(f, name);
		if (!list[len])
			break;
		list += len + 1;
	}
	return code;
}

static int set_time(
	const char *option, const char *text, int64_t now, int64_t *ret)
{
	if (!text || when_parse(text, now, ret) == 0)
		return EXIT_OK;
	return fail(EXIT_USAGE, "--%s '%s' is not a time; give one of %s",
		option, text, WHEN_FORMS);
}

static int set_filter(struct log *l)
{
	struct query_filter *f = &l->filter;
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t); /* cannot fail for this clock */

	int64_t now = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
	int code = set_time("since", l->since, now, &f->since);

	if (code == EXIT_OK)
		code = set_time("until", l->until, now, &f->until);
	for (size_t i = 0; code == EXIT_OK && i < l->ops.count; i++)
		code = add_ops(f, l->ops.items[i]);
	f->path = l->path;
	f->under = l->under;
	f->comm = l->comm;
	f->pid = (pid_t)l->pid;
	f->has_uid = l->uid >= 0;
	f->uid = (uid_t)l->uid;
	return code;
}

/* ---- the ledger ---- */

static int open_ledger(struct log *l, const char *operand)
{
	_cleanup_free_ char *path = NULL;
	struct diag diag = {0};
	int r = where_ledger_operand(operand, &path, &diag);

	if (r == 0)
		r = query_open(path, &l->query, &diag);
	return r < 0 ? fail_diag(r, &diag) : EXIT_OK;
}

static int read_failed(struct log *l, int r)
{
	return fail(exit_code_of(r), "reading the ledger: %s",
		query_error(l->query));
}

/* ---- printing ---- */

static int print_row(struct log *l, const struct query_row *row)
{
	l->printed++;
	if (l->quiet)
		return 0;
	if (l->json)
		return log_json_print(&l->objects, l->query, row);
	log_print_line(row, l->color);
	return ferror(stdout) ? -EIO : 0;
}

/* Print what there is. 0; 1 when that is enough; -errno. */
static int print_rows(struct log *l)
{
	const struct query_row *row;
	int r;

	while ((r = query_next(l->query, &row)) > 0) {
		r = print_row(l, row);
		/* Who stopped reading, a pager or head, has seen enough. */
		if (r < 0)
			return ferror(stdout) ? 1 : r;
		if (l->quiet)
			return 1;
	}
	return r;
}

/* Wait a moment. False when nobody reads standard output any more. */
static bool wait_a_moment(void)
{
	struct pollfd out = {.fd = STDOUT_FILENO};

	return fflush(stdout) == 0 &&
	       (poll(&out, 1, FOLLOW_MS) <= 0 ||
		       !(out.revents & (POLLERR | POLLHUP)));
}

static int follow(struct log *l)
{
	int r = 0;

	while (r == 0 && wait_a_moment()) {
		r = query_more(l->query);
		if (r > 0)
			r = print_rows(l);
	}
	return r;
}

static int print_log(struct log *l)
{
	bool terminal = isatty(STDOUT_FILENO) == 1;
	int r = query_start(l->query, &l->filter,
		l->reverse ? QUERY_BACKWARD : QUERY_FORWARD, l->last);

	if (r < 0)
		return read_failed(l, r);
	l->color = out_color();
	if (!l->follow && !l->quiet)
		out_pager_begin();
	if (terminal && !l->json && !l->quiet)
		log_print_header(l->color);
	r = print_rows(l);
	if (r == 0 && l->follow)
		r = follow(l);
	out_pager_end();
	if (r < 0)
		return read_failed(l, r);
	return l->printed ? EXIT_OK : EXIT_NO;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct log l = {.uid = -1, .last = -1};
	int code = EXIT_OK;
	int count = opt_parse(self, argc, argv, &l, &code);

	if (count < 0)
		return code;
	if (count != 1)
		code = opt_misuse(self, "give one mount point or ledger");
	else if (command_find_sub(self, argv[1]))
		code = opt_misuse(self,
			"'%s' must stand directly behind 'log'; a file of that "
			"name is ./%s",
			argv[1], argv[1]);
	else if (l.follow && l.reverse)
		code = opt_misuse(self, "--follow and --reverse exclude "
					"each other");
	else
		code = set_filter(&l);
	if (code == EXIT_OK)
		code = open_ledger(&l, argv[1]);
	if (code == EXIT_OK)
		code = print_log(&l);
	log_json_done(&l.objects);
	query_close(l.query);
	opt_list_done(&l.ops);
	return code;
}

extern const struct command cmd_log_verify;
extern const struct command cmd_log_prove;
extern const struct command cmd_log_check_proof;
extern const struct command cmd_log_key;

static const struct command *const subcommands[] = {
	&cmd_log_verify,
	&cmd_log_prove,
	&cmd_log_check_proof,
	&cmd_log_key,
	NULL,
};

const struct command cmd_log = {
	.name = "log",
	.operands = "MOUNTPOINT|FILE",
	.summary = "show the attempts to write that were refused",
	.description =
		"Prints one line for each attempt to change the image mounted "
		"at MOUNTPOINT, or recorded in the ledger FILE, oldest first: "
		"when, which process, what it tried, what it was answered, and "
		"the path inside the image. Control characters in names are "
		"shown escaped. Damage found in the image (damage) and "
		"attempts that could not be recorded (lost) are shown too.\n"
		"\n"
		"MOUNTPOINT need not be mounted any more. A ledger is read "
		"while a mount writes to it without holding it up.\n"
		"\n"
		"TIME is \"2026-11-22 14:30[:05]\" or \"14:30\" (local time), "
		"2026-11-22T14:30:05Z, \"2026-11-22\", -2h, \"10m ago\", "
		"today, yesterday, now or @SECONDS. GLOB has * and ? and "
		"[a-z]; [*] is a star itself.\n"
		"\n"
		"The exit code is 1 when no record matches.",
	.options = options,
	.examples = examples,
	.complete = OPERAND_MOUNT,
	.subcommands = subcommands,
	.run = run,
};
