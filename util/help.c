/* SPDX-License-Identifier: Apache-2.0 */
/* Help texts on the terminal; see help.h. The man page is in man.c. */
#include "util/help.h"

#include <stdbool.h>
#include <string.h>

#include "util/cmd.h"
#include "util/exit.h"
#include "util/out.h"

/* Width of the text, and where the second column begins. */
#define WIDTH 79
#define COLUMN 26

const char help_about[] =
	"stele keeps a file tree in one immutable, content-addressed image. "
	"Mounted, it reads like any other folder, refuses every write as a "
	"read-only file system does, and records each refused write so that "
	"you can see who tried to change what.";

const struct help_exit help_exits[] = {
	{EXIT_OK, "it worked"},
	{EXIT_NO, "it worked and the answer is no: the two differ, the path is "
		  "not in the image, the image has another id"},
	{EXIT_USAGE, "the command line is wrong"},
	{EXIT_INPUT, "an image, archive or ledger is malformed or damaged"},
	{EXIT_UNSUPPORTED,
		"made by a newer version, or the kernel lacks something"},
	{EXIT_DENIED, "no permission"},
	{EXIT_SYSTEM, "no such file, input/output error, full disk, no memory"},
	{EXIT_CHANGED, "a file changed while it was read"},
	{EXIT_MOUNT, "the mount point is missing, busy or not fit for it"},
	{0, NULL},
};

/* Highlighting is for the terminal; f is standard output then. */
static const char *bold(FILE *f)
{
	return f == stdout && out_color() ? "\033[1m" : "";
}

static const char *plain(FILE *f)
{
	return f == stdout && out_color() ? "\033[0m" : "";
}

static void heading(FILE *f, const char *text)
{
	fprintf(f, "\n%s%s%s\n", bold(f), text, plain(f));
}

/*
 * Print words from column `at` on, further lines indented by `indent`; a
 * newline counts as a space.
 */
static void wrap_words(
	FILE *f, const char *text, const char *end, int at, int indent)
{
	bool first = true;

	while (text < end) {
		int word = (int)strcspn(text, " \n");

		if (word > end - text)
			word = (int)(end - text);
		if (first)
			first = false;
		else if (at + 1 + word > WIDTH)
			at = fprintf(f, "\n%*s", indent, "") - 1;
		else
			at += fprintf(f, " ");
		at += fprintf(f, "%.*s", word, text);
		text += word;
		text += strspn(text, " \n");
	}
	putc('\n', f);
}

void help_wrap(FILE *f, const char *text, int at, int indent)
{
	wrap_words(f, text, text + strlen(text), at, indent);
}

/* Where a run of wrapped text ends: at a blank line or an indented one. */
static const char *run_end(const char *text)
{
	while (*text && !(*text == '\n' && (text[1] == '\n' || text[1] == ' ')))
		text++;
	return text;
}

/* Paragraphs are wrapped, lines that begin with a space are kept. */
static void paragraphs(FILE *f, const char *text)
{
	while (*text) {
		const char *end = *text == ' ' ? text + strcspn(text, "\n")
					       : run_end(text);

		if (*text == ' ')
			fprintf(f, "%.*s\n", (int)(end - text), text);
		else if (*text == '\n')
			putc('\n', f);
		else
			wrap_words(f, text, end, 0, 0);
		text = *text == '\n' ? text + 1 : end + (*end == '\n');
	}
}

/* One row of two columns; a long left side puts the right one below it. */
static void row(FILE *f, const char *left, const char *right)
{
	int at = fprintf(f, "  %s%s%s", bold(f), left, plain(f)) -
		 (int)(strlen(bold(f)) + strlen(plain(f)));

	if (at > COLUMN - 2) {
		putc('\n', f);
		at = 0;
	}
	fprintf(f, "%*s", COLUMN - at, "");
	help_wrap(f, right, COLUMN, COLUMN);
}

static void print_option(FILE *f, const struct opt *o)
{
	char left[80], letter[8] = "    ", name[64] = "";
	const char *value = o->kind == OPT_FLAG ? "" : o->value;

	if (o->letter)
		(void)snprintf(letter, sizeof(letter), "-%c%s", o->letter,
			o->name ? ", " : " ");
	if (o->name)
		(void)snprintf(name, sizeof(name), "--%s%s", o->name,
			*value ? "=" : "");
	(void)snprintf(left, sizeof(left), "%s%s%s", letter, name, value);
	row(f, left, o->help);
}

static void print_exit_list(FILE *f, const struct help_exit *list)
{
	for (const struct help_exit *e = list; e && e->meaning; e++) {
		int at = fprintf(f, "%3d  ", e->code);

		help_wrap(f, e->meaning, at, at);
	}
}

static const struct opt help_option = {
	.name = "help",
	.kind = OPT_FLAG,
	.help = "show this help",
};

void help_command(FILE *f, const struct command *cmd)
{
	fprintf(f, "%sstele %s%s - %s\n\n", bold(f), cmd->name, plain(f),
		cmd->summary);
	fprintf(f, "usage: stele %s [OPTION...]%s%s\n", cmd->name,
		*cmd->operands ? " " : "", cmd->operands);
	if (cmd->description) {
		putc('\n', f);
		paragraphs(f, cmd->description);
	}

	heading(f, "OPTIONS");
	for (const struct opt *o = cmd->options; o && (o->name || o->letter);
		o++)
		print_option(f, o);
	print_option(f, &help_option);

	if (cmd->subcommands)
		heading(f, "COMMANDS");
	for (const struct command *const *c = cmd->subcommands; c && *c; c++)
		row(f, (*c)->name, (*c)->summary);

	if (cmd->examples)
		heading(f, "EXAMPLES");
	for (const struct example *e = cmd->examples; e && e->command; e++) {
		fprintf(f, "  %s%s%s\n      ", bold(f), e->command, plain(f));
		help_wrap(f, e->what, 6, 6);
	}
	heading(f, "EXIT STATUS");
	print_exit_list(f, help_exits);
	print_exit_list(f, cmd->exits);
}

void help_overview(FILE *f)
{
	fprintf(f, "%sstele%s - immutable images that record refused writes\n",
		bold(f), plain(f));
	fputs("\nusage: stele COMMAND [OPTION...] [ARGUMENT...]\n\n", f);
	help_wrap(f, help_about, 0, 0);

	heading(f, "COMMANDS");
	for (const struct command *const *c = commands; *c; c++) {
		fprintf(f, "  %s%-8s%s  ", bold(f), (*c)->name, plain(f));
		help_wrap(f, (*c)->summary, 12, 12);
	}

	heading(f, "FIRST STEPS");
	fputs("  stele build rootfs/ -o app.stele\n"
	      "  stele mount app.stele /mnt\n"
	      "  stele log /mnt\n"
	      "  stele umount /mnt\n",
		f);
	heading(f, "EXIT STATUS");
	print_exit_list(f, help_exits);
	fputs("\n'stele COMMAND --help' tells about one command, 'man stele' "
	      "about all of them.\n",
		f);
}
