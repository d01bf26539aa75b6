/* SPDX-License-Identifier: Apache-2.0 */
/* stele(1) in the man(7) macros; see man.h. No date: same source, same page. */
#include "util/man.h"

#include <string.h>

#include "util/cmd.h"
#include "util/help.h"

/* One run of text without newline, with what roff would interpret escaped. */
static void text_len(FILE *f, const char *text, size_t len)
{
	if (len > 0 && (text[0] == '.' || text[0] == '\''))
		fputs("\\&", f);
	for (size_t i = 0; i < len; i++) {
		switch (text[i]) {
		case '\\': fputs("\\e", f); break;
		case '-': fputs("\\-", f); break;
		case '\'': fputs("\\(aq", f); break;
		case '`': fputs("\\(ga", f); break;
		case '^': fputs("\\(ha", f); break;
		case '~': fputs("\\(ti", f); break;
		default: putc(text[i], f); break;
		}
	}
}

static void text(FILE *f, const char *s)
{
	text_len(f, s, strlen(s));
}

static void line(FILE *f, const char *s)
{
	text(f, s);
	putc('\n', f);
}

/* As help.c shows it: paragraphs filled, indented lines as they are. */
static void paragraphs(FILE *f, const char *s)
{
	bool kept = false;

	while (*s) {
		size_t len = strcspn(s, "\n");

		if (kept != (*s == ' ')) {
			kept = !kept;
			fputs(kept ? ".nf\n" : ".fi\n", f);
		}
		if (len == 0)
			fputs(".PP\n", f);
		text_len(f, s, len);
		if (len > 0)
			putc('\n', f);
		s += len;
		s += *s == '\n';
	}
	if (kept)
		fputs(".fi\n", f);
}

static void option(FILE *f, const struct opt *o)
{
	fputs(".TP\n", f);
	if (o->letter) {
		fprintf(f, "\\fB\\-%c\\fR", o->letter);
		if (!o->name && o->kind != OPT_FLAG)
			fprintf(f, " \\fI%s\\fR", o->value);
	}
	if (o->name) {
		fputs(o->letter ? ", \\fB\\-\\-" : "\\fB\\-\\-", f);
		text(f, o->name);
		fputs("\\fR", f);
		if (o->kind != OPT_FLAG)
			fprintf(f, "=\\fI%s\\fR", o->value);
	}
	putc('\n', f);
	line(f, o->help);
}

static void command(FILE *f, const struct command *cmd)
{
	fprintf(f, ".SS stele %s\n", cmd->name);
	fprintf(f, ".B stele %s\n[\\fIOPTION\\fR...] ", cmd->name);
	line(f, cmd->operands);
	fputs(".PP\n", f);
	if (cmd->description)
		paragraphs(f, cmd->description);
	else
		line(f, cmd->summary);
	for (const struct opt *o = cmd->options; o && (o->name || o->letter);
		o++)
		option(f, o);
	for (const struct example *e = cmd->examples; e && e->command; e++) {
		fputs(e == cmd->examples ? ".PP\nExamples:\n" : "", f);
		fputs(".TP\n.B ", f);
		line(f, e->command);
		line(f, e->what);
	}
}

static void usage(FILE *f, const struct command *cmd)
{
	fprintf(f, ".B stele %s\n[\\fIOPTION\\fR...] ", cmd->name);
	line(f, cmd->operands);
	fputs(".br\n", f);
}

static void synopsis(FILE *f)
{
	fputs(".SH SYNOPSIS\n", f);
	commands_print(f, usage);
	fputs(".B mount \\-t fuse.stele\n"
	      "[\\fB\\-o\\fR \\fIOPTIONS\\fR] \\fIIMAGE DIR\\fR\n",
		f);
}

static void exit_list(FILE *f, const struct help_exit *list)
{
	for (const struct help_exit *e = list; e->meaning; e++) {
		fprintf(f, ".TP\n.B %d\n", e->code);
		line(f, e->meaning);
	}
}

static void exits_of(FILE *f, const struct command *cmd)
{
	if (!cmd->exits)
		return;
	fprintf(f, ".PP\n\\fBstele %s\\fR also:\n", cmd->name);
	exit_list(f, cmd->exits);
}

static void exits(FILE *f)
{
	fputs(".SH EXIT STATUS\n", f);
	exit_list(f, help_exits);
	commands_print(f, exits_of);
	fputs(".PP\nAs the helper of\n.BR mount (8)\n"
	      "it ends with the codes of that: 0, 1 (usage or permission), "
	      "2 (system error), 32 (the mount failed).\n",
		f);
}

static void surroundings(FILE *f)
{
	fputs(".SH ENVIRONMENT\n"
	      ".TP\n.B PAGER\n"
	      "Shows long output on a terminal; empty or \\fBcat\\fR for none. "
	      "Unset: \\fBless \\-FRX\\fR.\n"
	      ".TP\n.B NO_COLOR\n"
	      "When set and not empty, nothing is coloured.\n"
	      ".SH OUTPUT\n"
	      "Control characters, bytes that are not valid UTF\\-8 and "
	      "characters that change the reading direction are shown as "
	      "\\fB\\en\\fR, \\fB\\et\\fR, \\fB\\er\\fR, \\fB\\ee\\fR, "
	      "\\fB\\e\\e\\fR or \\fB\\exHH\\fR, so that no name can forge a "
	      "line. In JSON a name that is not valid UTF\\-8 is escaped so "
	      "too, and a field with \\fB_raw\\fR after its name has the "
	      "bytes in base64.\n"
	      ".SH SEE ALSO\n"
	      ".BR mount (8),\n.BR fuse (4),\n.BR fusermount3 (1),\n"
	      ".BR tar (1)\n",
		f);
}

void man_print(FILE *f)
{
	fputs(".\\\" Made by \"stele help --man\".\n", f);
	fprintf(f, ".TH STELE 1 \"\" \"stele %s\" \"User Commands\"\n",
		STELE_VERSION);
	fputs(".SH NAME\nstele \\- immutable images that record refused "
	      "writes\n",
		f);
	synopsis(f);
	fputs(".SH DESCRIPTION\n", f);
	line(f, help_about);
	fputs(".SH COMMANDS\n", f);
	commands_print(f, command);
	exits(f);
	surroundings(f);
}
