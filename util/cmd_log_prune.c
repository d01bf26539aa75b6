/* SPDX-License-Identifier: Apache-2.0 */
/* stele log prune: remove old records by rule, and on record. */
#include <inttypes.h>
#include <time.h>

#include "fs/ledger/retain.h"
#include "util/cmd.h"
#include "util/exit.h"
#include "util/when.h"
#include "util/where.h"

struct prune_values {
	const char *before;
};

static const struct opt options[] = {
	{
		.name = "before",
		.kind = OPT_STRING,
		.offset = offsetof(struct prune_values, before),
		.value = "TIME",
		.help = "remove what happened before TIME",
	},
	{0},
};

static int parse_before(const struct prune_values *v, int64_t *ret)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now); /* cannot fail for this clock */
	if (when_parse(v->before, (int64_t)now.tv_sec * 1000000000, ret) == 0)
		return EXIT_OK;
	return fail(EXIT_USAGE, "--before '%s' is not a time; give one of %s",
		v->before, WHEN_FORMS);
}

static int prune(const char *operand, int64_t before)
{
	_cleanup_free_ char *path = NULL;
	struct retain_done done = {0};
	struct diag diag = {0};
	int r = where_ledger_operand(operand, &path, &diag);

	if (r == 0)
		r = retain_prune(path, before, &done, &diag);
	if (r < 0)
		return fail_diag(r, &diag);
	if (done.last == 0)
		return fail(EXIT_NO,
			"nothing may be removed: whole segments of %d records "
			"go, all older than that, and only below a checkpoint "
			"that was anchored",
			RETAIN_SEGMENT);
	printf("removed records %" PRId64 " to %" PRId64 ", which stood for "
	       "%" PRId64 " attempts\n",
		done.first, done.last, done.attempts);
	return EXIT_OK;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct prune_values v = {0};
	int64_t before;
	int code, n = opt_parse(self, argc, argv, &v, &code);

	if (n < 0)
		return code;
	if (n != 1)
		return opt_misuse(self, "give one mount point or ledger");
	if (!v.before)
		return opt_misuse(self, "say --before which TIME");
	code = parse_before(&v, &before);
	return code == EXIT_OK ? prune(argv[1], before) : code;
}

static const struct example examples[] = {
	{"stele log prune /mnt --before -90d",
		"keep three months, once the mount has ended"},
	{0},
};

const struct command cmd_log_prune = {
	.name = "log prune",
	.operands = "MOUNTPOINT|FILE",
	.summary = "remove the oldest records, and record that",
	.description =
		"Removes whole segments of records that are all older than "
		"TIME from the ledger of MOUNTPOINT, or the ledger FILE, which "
		"no mount may be writing to (a mount does the same by itself "
		"with -o ledger_keep). The roots of what is removed stay, so "
		"the rest verifies as before, and a record says what went, and "
		"how many attempts it stood for.\n"
		"\n"
		"Only what lies below an anchored checkpoint may go: somebody "
		"else knows then that it was there.\n"
		"\n"
		"The exit code is 1 when nothing may be removed.",
	.options = options,
	.examples = examples,
	.complete = OPERAND_MOUNT,
	.run = run,
};
