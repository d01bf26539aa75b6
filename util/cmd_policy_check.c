/* SPDX-License-Identifier: Apache-2.0 */
/* stele policy check: what a policy means, before anyone mounts. */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/upper/plan.h"
#include "util/cmd.h"
#include "util/exit.h"
#include "util/out.h"

struct check_values {
	bool plan;
};

struct check {
	struct policy policy;
	struct image *img; /* or NULL */
	struct plan plan;
};

static void check_done(struct check *c)
{
	plan_done(&c->plan);
	image_free(c->img);
	policy_done(&c->policy);
}

static void print_name(const char *name)
{
	out_name(stdout, name, strlen(name));
}

/* ---- what it means ---- */

static void print_start(const struct check *c, const struct plan_step *s)
{
	const struct policy_path *p = s->declared;

	switch (s->form) {
	case PLAN_OVERLAY: printf("starts as the image has it"); break;
	case PLAN_FILE:
		printf(p->seed == POLICY_SEED_EMPTY
				? "a single file that starts empty"
				: "a single file that starts as the image has "
				  "it");
		break;
	case PLAN_AS_IS:
		print_name(p->host);
		printf(" of the host");
		break;
	case PLAN_EMPTY:
		if (c->img || p->seed == POLICY_SEED_EMPTY)
			printf("starts empty");
		else if (p->seed == POLICY_SEED_AUTO)
			printf("starts as the image has it, else empty");
		else
			printf("starts as the image has it");
		break;
	}
	if (c->img && s->ino && s->form == PLAN_EMPTY)
		printf(" (what the image has there is hidden)");
}

static void print_keeping(const struct plan_step *s)
{
	switch (s->place) {
	case PLAN_MEMORY: printf(", in memory, gone at unmount"); break;
	case PLAN_FOLDER:
	case PLAN_VOLUME:
		printf(", kept in storage '");
		print_name(s->name);
		putchar('\'');
		break;
	case PLAN_HOST: break;
	}
}

static void print_limits(const struct plan_step *s)
{
	const struct policy_path *p = s->declared;
	char size[16];

	if (p->size) {
		out_size(p->size, size);
		printf("; at most %s", size);
	}
	if (p->inodes)
		printf("%s%" PRIu64 " files", p->size ? " and " : "; at most ",
			p->inodes);
}

static void print_flags(const struct policy_path *p, const char *before)
{
	const char *between = before;

	if (p->noexec) {
		printf("%snoexec", between);
		between = ",";
	}
	if (p->nosuid) {
		printf("%snosuid", between);
		between = ",";
	}
	if (p->nodev)
		printf("%snodev", between);
}

static void print_owner(const struct check *c, const struct plan_step *s)
{
	const struct policy_path *p = s->declared;

	if (s->form == PLAN_AS_IS)
		return;
	/* Without an image it may have another mode and owner than these. */
	if (c->img ||
		(p->mode != POLICY_MODE_UNSET && p->uid != POLICY_ID_UNSET &&
			p->gid != POLICY_ID_UNSET))
		printf("; %04o %u:%u", (unsigned)s->mode, s->uid, s->gid);
	else if (p->mode != POLICY_MODE_UNSET)
		printf("; %04o", (unsigned)s->mode);
}

static void print_meaning(const struct check *c)
{
	for (size_t i = 0; i < c->plan.count; i++) {
		const struct plan_step *s = &c->plan.steps[i];

		print_name(s->declared->path);
		printf(": ");
		print_start(c, s);
		print_keeping(s);
		print_limits(s);
		print_owner(c, s);
		print_flags(s->declared, "; ");
		if (s->appears)
			printf("; the image lacks it, so an empty %s appears "
			       "there",
				s->is_file ? "file" : "folder");
		putchar('\n');
	}
	if (c->plan.count == 0)
		printf("no path is writable\n");
}

/* ---- the mounts ---- */

static void print_place(const struct plan_step *s)
{
	switch (s->place) {
	case PLAN_MEMORY:
		printf("tmpfs");
		if (s->declared->size)
			printf(" size=%" PRIu64, s->declared->size);
		if (s->declared->inodes)
			printf(" nr_inodes=%" PRIu64, s->declared->inodes);
		break;
	case PLAN_FOLDER:
		printf("STATE/storage/");
		print_name(s->name);
		break;
	case PLAN_VOLUME:
		printf("volume STATE/volumes/");
		print_name(s->name);
		printf(" size=%" PRIu64, s->declared->size);
		break;
	case PLAN_HOST: print_name(s->declared->host); break;
	}
}

static void print_plan(const struct check *c)
{
	for (size_t i = 0; i < c->plan.count; i++) {
		const struct plan_step *s = &c->plan.steps[i];

		print_name(s->declared->path);
		if (s->form == PLAN_OVERLAY)
			printf(": overlay of the image with its upper on ");
		else if (s->place == PLAN_HOST || s->place == PLAN_FOLDER)
			printf(": bind of ");
		else if (s->form == PLAN_FILE)
			printf(": bind of a file on ");
		else
			printf(": ");
		print_place(s);
		print_flags(s->declared, " -o ");
		putchar('\n');
	}
}

static int check(const struct check_values *v, const char *file,
	const char *image, struct check *c)
{
	char hex[DIGEST_HEX_LEN + 1];
	struct diag diag = {0};
	int r = policy_read(file, &c->policy, &diag);

	if (r == 0 && image)
		r = image_open_path(image, &c->img, &diag);
	if (r == 0)
		r = plan_new(&c->policy, c->img, file, &c->plan, &diag);
	if (r < 0)
		return fail_diag(r, &diag);
	if (v->plan) {
		print_plan(c);
		return EXIT_OK;
	}
	print_meaning(c);
	digest_hex(&c->plan.policy, hex);
	printf("policy %s\n", hex);
	return EXIT_OK;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct check_values v = {0};
	struct check c = {0};
	int code, n = opt_parse(self, argc, argv, &v, &code);

	if (n < 0)
		return code;
	if (n < 1 || n > 2)
		return opt_misuse(self,
			n < 1 ? "FILE missing" : "one FILE and one IMAGE only");
	if (v.plan && n < 2)
		return opt_misuse(self,
			"--plan needs an IMAGE: what is mounted depends on "
			"what it has");
	code = check(&v, argv[1], n > 1 ? argv[2] : NULL, &c);
	check_done(&c);
	return code;
}

static const struct opt options[] = {
	{
		.name = "plan",
		.kind = OPT_FLAG,
		.offset = offsetof(struct check_values, plan),
		.help = "print the mounts that would be made, in their order",
	},
	{0},
};

static const struct example examples[] = {
	{"stele policy check app.yaml app.stele",
		"what each path will be like in this image"},
	{"stele policy check --plan app.yaml app.stele", "the mounts"},
	{0},
};

const struct command cmd_policy_check = {
	.name = "policy check",
	.operands = "FILE [IMAGE]",
	.summary = "say what a policy means, path by path",
	.description =
		"Reads the policy FILE as 'stele mount --policy FILE' would "
		"and says what each path will be like; with IMAGE, also what "
		"depends on what the image has there. Nothing is mounted. "
		"The last line is the SHA-256 that the ledger will know the "
		"policy by.\n"
		"\n"
		"Ends with 3 when the policy is wrong, or contradicts the "
		"image; the message names the line.",
	.options = options,
	.examples = examples,
	.complete = OPERAND_PATH,
	.run = run,
};
