/* SPDX-License-Identifier: Apache-2.0 */
/* stele log: what was refused, when, to whom. */
#include <poll.h>
#include <string.h>

#include "fs/audit/query.h"
#include "util/cmd.h"
#include "util/exit.h"
#include "util/log_filter.h"
#include "util/log_out.h"
#include "util/out.h"
#include "util/where.h"

/* How long a new record may go unseen. */
#define FOLLOW_MS 100

struct log {
	bool follow, json, reverse, quiet;
	struct log_filter which;
	const char *output;
	int64_t last;

	struct query_filter filter;
	struct query *query;
	struct log_out out;
	uint64_t printed;
};

static const struct opt options[] = {
	{"follow", 'f', OPT_FLAG, offsetof(struct log, follow), NULL,
		"wait for new records and print them as they come", 0, 0},
	LOG_FILTER_OPTIONS(struct log, which),
	{"last", 'n', OPT_NUMBER, offsetof(struct log, last), "N",
		"only the last N records that match", 0, INT64_MAX},
	{"reverse", 'r', OPT_FLAG, offsetof(struct log, reverse), NULL,
		"newest first", 0, 0},
	{"output", 'o', OPT_STRING, offsetof(struct log, output),
		"short|wide|json|ocsf|ecs|falco|csv|timesketch",
		"how to print records: the formats are described above", 0, 0},
	{"json", 'j', OPT_FLAG, offsetof(struct log, json), NULL,
		"the same as --output=json", 0, 0},
	{"names", 0, OPT_FLAG, offsetof(struct log, out.names), NULL,
		"a line for each name of a record that has several", 0, 0},
	{"quiet", 'q', OPT_FLAG, offsetof(struct log, quiet), NULL,
		"print nothing; the exit code says whether a record matches", 0,
		0},
	{0},
};

static const struct example examples[] = {
	{"stele log /mnt --follow", "watch what is being refused"},
	{"stele log /mnt --since -1h --under /etc",
		"the last hour's attempts in /etc"},
	{"stele log /mnt --op unlink,rename -o json",
		"deletions and renames, for a program"},
	{"stele log /mnt -o ocsf --follow | forward-to-siem",
		"for another program, as it happens"},
	{"stele log evidence.ledger -n 20 -r",
		"the last 20 records of a file, newest first"},
	{0},
};

/* ---- the ledger ---- */

static int open_ledger(struct log *l, const char *operand)
{
	_cleanup_free_ char *path = NULL;
	struct diag diag = {0};
	int r = where_ledger_operand(operand, &path, &diag);

	if (r == 0)
		r = query_open(path, &l->query, &diag);
	if (r == 0 && l->out.format->attests)
		r = attest_open(path, &l->out.attest, &diag);
	if (r == 0 && l->out.attest)
		l->out.origin = attest_origin(l->out.attest);
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
	return l->quiet ? 0 : log_out_row(&l->out, row);
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
	return r < 0 ? r : log_out_flush(&l->out);
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
	struct log_out *o = &l->out;

	/* Who follows sees what is still being counted when it is complete. */
	l->filter.closed = l->follow;

	int r = query_start(l->query, &l->filter,
		l->reverse ? QUERY_BACKWARD : QUERY_FORWARD, l->last);

	if (r < 0)
		return read_failed(l, r);
	o->query = l->query;
	o->titles = isatty(STDOUT_FILENO) == 1;
	o->color = out_color();
	if (!l->follow && !l->quiet)
		out_pager_begin();
	if (!l->quiet)
		r = log_out_begin(o);
	if (r == 0)
		r = print_rows(l);
	if (r == 0 && l->follow)
		r = follow(l);
	out_pager_end();
	if (r < 0)
		return read_failed(l, r);
	return l->printed ? EXIT_OK : EXIT_NO;
}

static int bad_output(const char *name)
{
	char names[128];
	size_t len = 0;

	for (const struct log_format *const *f = log_out_formats; *f; f++)
		len += (size_t)snprintf(names + len, sizeof(names) - len,
			"%s%s", len ? ", " : "", (*f)->name);
	return fail(EXIT_USAGE, "--output '%s' is not one of %s", name, names);
}

static int set_output(struct log *l)
{
	const char *name = l->output ? l->output : l->json ? "json" : "short";

	if (l->output && l->json && strcmp(l->output, "json") != 0)
		return fail(EXIT_USAGE,
			"--json and --output=%s exclude each other", l->output);
	l->out.format = log_out_find(name);
	l->out.origin = "";
	return l->out.format ? EXIT_OK : bad_output(name);
}

static int run(const struct command *self, int argc, char **argv)
{
	struct log l = {.which = LOG_FILTER_INIT, .last = -1};
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
		code = set_output(&l);
	if (code == EXIT_OK)
		code = log_filter_parse(&l.which, &l.filter);
	if (code == EXIT_OK)
		code = open_ledger(&l, argv[1]);
	if (code == EXIT_OK)
		code = print_log(&l);
	log_out_done(&l.out);
	attest_close(l.out.attest);
	query_close(l.query);
	log_filter_done(&l.which);
	return code;
}

extern const struct command cmd_log_verify;
extern const struct command cmd_log_report;
extern const struct command cmd_log_summary;
extern const struct command cmd_log_prove;
extern const struct command cmd_log_check_proof;
extern const struct command cmd_log_key;
extern const struct command cmd_log_prune;

static const struct command *const subcommands[] = {
	&cmd_log_summary,
	&cmd_log_report,
	&cmd_log_verify,
	&cmd_log_prove,
	&cmd_log_check_proof,
	&cmd_log_key,
	&cmd_log_prune,
	NULL,
};

const struct command cmd_log = {
	.name = "log",
	.operands = "MOUNTPOINT|FILE",
	.summary = "show the attempts to write that were refused",
	.description =
		"Prints one line for each attempt to change the image mounted "
		"at MOUNTPOINT, or recorded in the ledger FILE, oldest first: "
		"when, which process, what it tried, what it was answered, the "
		"path inside the image, and the rule that refused it. Control "
		"characters in names are shown escaped. Damage found in the "
		"image (damage), attempts that were only counted (gap) or "
		"could not be recorded (lost), and more are shown too; "
		"--events shows all.\n"
		"\n"
		"Attempts that come fast share a record, and lines that are "
		"alike but for their time are printed as one: \xc3\x97N says "
		"how many attempts a line stands for. A record of several "
		"names shows the folder they are in; --names gives each a line "
		"of its own, in every format.\n"
		"\n"
		"MOUNTPOINT need not be mounted any more. A ledger is read "
		"while a mount writes to it without holding it up.\n"
		"\n"
		"The formats of --output:\n"
		"\n"
		" short       TIME PID COMM OP ERR PATH RULE; local time\n"
		" wide        the same with container, user, program,\n"
		"             working folder, and who started it\n"
		" json        JSON lines with everything that is known\n"
		" ocsf        JSON lines by OCSF 1.9, File System Activity,\n"
		"             with the record's hash in the ledger\n"
		" ecs         JSON lines by the Elastic Common Schema 9\n"
		" falco       JSON lines as Falco's alerts\n"
		" csv         every column, by RFC 4180 with a header\n"
		" timesketch  JSON lines for Timesketch\n"
		"\n"
		"In csv, texts are escaped as on a terminal, so that a field "
		"is never longer than a line; and a text that a spreadsheet "
		"would take for a formula, since it begins with =, +, - or @, "
		"gets an apostrophe in front. In JSON, a name that is no UTF-8 "
		"is escaped likewise, and its bytes are in KEY_raw or path_raw "
		"in base64.\n"
		"\n" LOG_FILTER_HELP "\n"
		"\n"
		"The exit code is 1 when no record matches.",
	.options = options,
	.examples = examples,
	.complete = OPERAND_MOUNT,
	.subcommands = subcommands,
	.run = run,
};
