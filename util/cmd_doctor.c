/* SPDX-License-Identifier: Apache-2.0 */
/* stele doctor: what on this machine blinds or slows our mounts. */
#include <string.h>

#include "fs/doctor/judge.h"
#include "fs/doctor/look.h"
#include "fs/doctor/sweep.h"
#include "util/cmd.h"
#include "util/doctor_print.h"
#include "util/doctor_probe.h"
#include "util/exit.h"
#include "util/out.h"
#include "util/unmount.h"
#include "util/where.h"

struct doctor_values {
	bool json, clean;
};

/* The ledger that `stele log` would read. */
static char *ledger_of(const char *mount_point)
{
	struct diag diag;
	char *path = NULL;

	return where_ledger(mount_point, &path, &diag) == 0 ? path : NULL;
}

/* What readers see, so that paths of descriptors compare; it may not exist. */
static char *ledgers_folder(void)
{
	_cleanup_free_ char *folder = NULL;
	struct diag diag;

	if (where_ledgers(&folder, &diag) < 0)
		return NULL;

	char *real = realpath(folder, NULL);

	return real ? real : take_ptr(folder);
}

static int look(const char *only, struct doctor_facts *ret)
{
	_cleanup_free_ char *ledgers = ledgers_folder();
	_cleanup_free_ char *point = NULL;
	struct doctor_look how = {.ledgers = ledgers,
		.ledger_of = ledger_of,
		.probe = doctor_probe};
	struct diag diag = {0};
	int r = only ? where_mount_point(only, &point, &diag) : 0;

	if (r < 0)
		return fail_diag(r, &diag);
	how.only = point;
	r = doctor_look(&how, ret, &diag);
	if (r == -ENOENT)
		return fail(EXIT_MOUNT, "%s", diag.text);
	return r < 0 ? fail_diag(r, &diag) : EXIT_OK;
}

/* ---- --clean ---- */

static void say_removed(const char *what, const char *path)
{
	printf("%s ", what);
	out_name(stdout, path, strlen(path));
	putchar('\n');
}

/* Is it still what lies on top there, and still dead? */
static bool is_dead(const struct doctor_seen *s)
{
	struct mountinfo now;

	if (mountinfo_find_absolute(s->m.dir, &now) != 1)
		return false;

	bool same = now.id == s->m.id && now.minor == s->m.minor &&
		    now.major == s->m.major;

	mountinfo_done(&now);
	return same && doctor_probe(s) == DOCTOR_DEAD;
}

/* An exit_code; counts what was taken away. */
static int clean_mount(const struct doctor_seen *s, size_t *count)
{
	char said[512];

	if (!s->here || !is_dead(s))
		return EXIT_OK;

	int r = unmount_dir(s->m.dir, true, said, sizeof(said));

	if (r < 0)
		return fail(exit_code_of(r), "%s: %s", s->m.dir,
			*said ? said : strerror(-r));
	say_removed("unmounted", s->m.dir);
	++*count;
	return EXIT_OK;
}

static int clean_litter(const struct doctor_litter *l, size_t *count)
{
	int r = doctor_sweep(l);

	/* In use after all, or somebody else was quicker. */
	if (r == -EBUSY || r == -ENOENT)
		return EXIT_OK;
	if (r < 0)
		return fail(exit_code_of(r), "%s: %s", l->path, strerror(-r));
	say_removed("removed", l->path);
	++*count;
	return EXIT_OK;
}

static int clean(const struct doctor_facts *f)
{
	int code = EXIT_OK;
	size_t count = 0;

	for (size_t i = 0; i < f->mount_count; i++) {
		const struct doctor_mount *m = &f->mounts[i];

		for (size_t n = 0; m->state == DOCTOR_DEAD && n < m->seen_count;
			n++) {
			int one = clean_mount(&m->seen[n], &count);

			code = one > code ? one : code;
		}
	}
	for (size_t i = 0; i < f->litter_count; i++) {
		int one = clean_litter(&f->litter[i], &count);

		code = one > code ? one : code;
	}
	if (count == 0 && code == EXIT_OK)
		puts("nothing to clean");
	return code;
}

/* ---- the command ---- */

static int report(const struct doctor_facts *f, const struct doctor_values *v)
{
	struct doctor_findings all = {.all = NULL};
	int r = doctor_judge(f, &all);
	int code = doctor_findings_bad(&all) ? EXIT_NO : EXIT_OK;

	if (r == 0 && v->json)
		r = doctor_print_json(&all);
	else if (r == 0)
		doctor_print_text(f, &all);
	doctor_findings_done(&all);
	return r < 0 ? fail(exit_code_of(r), "%s", strerror(-r)) : code;
}

static int examine(const char *only, const struct doctor_values *v)
{
	struct doctor_facts f = {.mounts = NULL};
	int code = look(only, &f);

	if (code != EXIT_OK)
		return code;
	code = v->clean ? clean(&f) : report(&f, v);
	doctor_facts_done(&f);
	return code;
}

static const struct opt options[] = {
	{"clean", 0, OPT_FLAG, offsetof(struct doctor_values, clean), NULL,
		"unmount what nobody serves, remove locks that nobody holds "
		"and links to ledgers that are gone; says each",
		0, 0},
	{"json", 0, OPT_FLAG, offsetof(struct doctor_values, json), NULL,
		"one JSON object a line", 0, 0},
	{0},
};

static const struct example examples[] = {
	{"sudo stele doctor", "everything on this machine"},
	{"stele doctor /srv/app && echo well", "one mount, in a script"},
	{"sudo stele doctor --json | "
	 "jq -r 'select(.level==\"blind\").command'",
		"what would open its eyes"},
	{0},
};

static int run(const struct command *self, int argc, char **argv)
{
	struct doctor_values v = {.json = false};
	int code, n = opt_parse(self, argc, argv, &v, &code);

	if (n < 0)
		return code;
	if (n > 1)
		return opt_misuse(self, "one MNT only");
	if (v.clean && v.json)
		return opt_misuse(self, "--clean says what it does in words");
	return examine(n ? argv[1] : NULL, &v);
}

const struct command cmd_doctor = {
	.name = "doctor",
	.operands = "[MNT]",
	.summary = "find what blinds or slows mounts on this machine",
	.description =
		"Looks at the running machine, at MNT or at every mounted "
		"image, in all mount namespaces that it can see (containers, "
		"too), and says of each finding what it is, why it matters, "
		"and the one command that mends it. Nothing is changed without "
		"--clean. Root sees most; a namespace without a process is "
		"seen by nobody.\n"
		"\n"
		"A finding is of a level:\n"
		"  blind  attempts that are not recorded, or not whose: a "
		"read-only bind\n"
		"         mount or remount, another mount on top, callers that "
		"the daemon\n"
		"         cannot see\n"
		"  risk   records can be lost, read or changed: the ledger on "
		"a tmpfs, a\n"
		"         network or a nearly full disk, its mode and owner, a "
		"stuck daemon\n"
		"  slow   slower than need be\n"
		"  stale  something dead lies around: --clean takes it away\n"
		"  note   nothing is wrong\n"
		"\n"
		"A JSON object has level, kind, what, why, command, and for a "
		"mount mount, image, ledger and daemon.\n"
		"\n"
		"Ends with 1 when something more than a note was found, with "
		"8 when no image is mounted on MNT.",
	.options = options,
	.examples = examples,
	.complete = OPERAND_MOUNT,
	.run = run,
};
