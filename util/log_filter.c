/* SPDX-License-Identifier: Apache-2.0 */
/* Options that say which records; see log_filter.h. */
#include "util/log_filter.h"

#include <string.h>
#include <time.h>

#include "util/exit.h"
#include "util/when.h"

/* The kernel keeps so much of a name. */
#define COMM_MAX 15
#define BOOT_ID_MIN 4
#define HEX "0123456789abcdefABCDEF"

/* ---- kinds ---- */

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

/* What passes when nothing was named. */
static void set_default_ops(const struct log_filter *l, struct query_filter *f)
{
	bool of_process = l->pid || l->tree || l->exe || l->comm ||
			  l->container || l->rule || l->error || l->uid >= 0;

	f->ops = UINT64_MAX;
	if (!of_process)
		f->events = ~(1u << LEDGER_EVENT_MOUNT |
			      1u << LEDGER_EVENT_UNMOUNT |
			      1u << LEDGER_EVENT_HEARTBEAT);
}

static int set_ops(const struct log_filter *l, struct query_filter *f)
{
	int code = EXIT_OK;

	if (l->ops.count == 0)
		set_default_ops(l, f);
	for (size_t i = 0; code == EXIT_OK && i < l->ops.count; i++)
		code = add_ops(f, l->ops.items[i]);
	if (l->events)
		f->events = ~0u;
	return code;
}

/* ---- times ---- */

static int set_time(
	const char *option, const char *text, int64_t now, int64_t *ret)
{
	if (!text || when_parse(text, now, ret) == 0)
		return EXIT_OK;
	return fail(EXIT_USAGE, "--%s '%s' is not a time; give one of %s",
		option, text, WHEN_FORMS);
}

static int set_times(const struct log_filter *l, struct query_filter *f)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t); /* cannot fail for this clock */

	int64_t now = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
	int code = set_time("since", l->since, now, &f->since);

	if (code == EXIT_OK)
		code = set_time("until", l->until, now, &f->until);
	if (code == EXIT_OK && l->until && f->since > f->until)
		return fail(EXIT_USAGE,
			"--since '%s' is later than --until '%s'", l->since,
			l->until);
	return code;
}

/* ---- others ---- */

/* "0", "-1", or the beginning of an id. */
static int set_boot(const char *text, struct query_filter *f)
{
	const char *digits = text + (*text == '-');
	size_t len = strlen(digits);

	f->has_boot = true;
	if (strcmp(text, "0") == 0)
		return EXIT_OK;
	if (*text == '-' && len > 0 && len < 10 &&
		strspn(digits, "0123456789") == len) {
		f->boot = -strtoll(digits, NULL, 10);
		return EXIT_OK;
	}
	f->boot_id = text;
	if (*text != '-' && len >= BOOT_ID_MIN && strspn(text, HEX "-") == len)
		return EXIT_OK;
	return fail(EXIT_USAGE,
		"--boot '%s' is neither 0, -1, -2 ... nor the beginning of a "
		"boot's id, %d hexadecimal digits at least",
		text, BOOT_ID_MIN);
}

static bool is_errno(const char *text, int number)
{
	const char *name = strerrorname_np(number);
	char decimal[16];

	(void)snprintf(decimal, sizeof(decimal), "%d", number);
	return strcmp(text, decimal) == 0 ||
	       (name && strcasecmp(text, name) == 0);
}

static int set_errno(const char *text, struct query_filter *f)
{
	for (int i = 1; i < 4096; i++) {
		if (is_errno(text, i)) {
			f->error = i;
			return EXIT_OK;
		}
	}
	return fail(EXIT_USAGE,
		"--errno '%s' is no error; give a name such as EROFS, or a "
		"number from 1 to 4095",
		text);
}

static int check_names(const struct log_filter *l)
{
	if (l->under && *l->under != '/')
		return fail(EXIT_USAGE,
			"--under '%s': paths in a ledger begin with '/'",
			l->under);
	if (l->comm && strlen(l->comm) > COMM_MAX)
		return fail(EXIT_USAGE,
			"--comm '%s': the kernel keeps %d bytes of a name; "
			"give these, or use --exe",
			l->comm, COMM_MAX);
	if (l->container &&
		(!*l->container || l->container[strspn(l->container, HEX "-")]))
		return fail(EXIT_USAGE,
			"--container '%s' is not the beginning of a "
			"container's id, hexadecimal digits",
			l->container);
	return EXIT_OK;
}

int log_filter_parse(const struct log_filter *l, struct query_filter *ret)
{
	struct query_filter f = {
		.path = l->path,
		.under = l->under,
		.pid = (pid_t)l->pid,
		.tree = (pid_t)l->tree,
		.exe = l->exe,
		.comm = l->comm,
		.container = l->container,
		.rule = l->rule,
		.has_uid = l->uid >= 0,
		.uid = (uid_t)l->uid,
	};
	int code = set_times(l, &f);

	if (code == EXIT_OK)
		code = set_ops(l, &f);
	if (code == EXIT_OK && l->boot)
		code = set_boot(l->boot, &f);
	if (code == EXIT_OK && l->error)
		code = set_errno(l->error, &f);
	if (code == EXIT_OK)
		code = check_names(l);
	if (code == EXIT_OK)
		*ret = f;
	return code;
}

void log_filter_done(struct log_filter *l)
{
	opt_list_done(&l->ops);
}
