/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bash function from the command table; see completion.h. It needs nothing
 * but bash itself, so that it works where bash-completion is not installed.
 */
#include "util/completion.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "util/cmd.h"

/* How the shell function names what an operand or a value is. */
static const char *kind(enum operand o)
{
	switch (o) {
	case OPERAND_PATH: return "path";
	case OPERAND_IMAGE: return "image";
	case OPERAND_DIR: return "dir";
	case OPERAND_MOUNT: return "mount";
	case OPERAND_COMMAND: return "command";
	case OPERAND_NONE: break;
	}
	return "none";
}

/* The name that the help gives an option's value says what it is. */
static const char *value_kind(const char *value)
{
	if (strstr(value, "IMAGE"))
		return "image";
	if (strstr(value, "DIR"))
		return "dir";
	if (strstr(value, "FILE") || strstr(value, "PATH"))
		return "path";
	return "none";
}

/* "short|wide|json": all that an option takes. */
static bool is_choice(const char *value)
{
	return islower((unsigned char)*value) && strchr(value, '|');
}

static void option_value(
	FILE *f, const struct command *cmd, const char *name, const char *value)
{
	fprintf(f, "\t\t'%s':%s) ", cmd->name, name);
	if (is_choice(value)) {
		fputs("words='", f);
		for (; *value; value++)
			putc(*value == '|' ? ' ' : *value, f);
		fputs("' ;;\n", f);
	} else {
		fprintf(f, "kind=%s ;;\n", value_kind(value));
	}
}

static void option_words(FILE *f, const struct command *cmd)
{
	for (const struct opt *o = cmd->options; o && (o->name || o->letter);
		o++) {
		if (o->name)
			fprintf(f, "--%s%s ", o->name,
				o->kind == OPT_FLAG ? "" : "=");
		if (o->letter)
			fprintf(f, "-%c ", o->letter);
	}
	fputs("--help", f);
}

/* "build:--output) kind=image ;;" for each option that has a value. */
static void option_values(FILE *f, const struct command *cmd)
{
	for (const struct opt *o = cmd->options; o && (o->name || o->letter);
		o++) {
		const char letter[] = {'-', o->letter, '\0'};
		char name[64];

		if (o->kind == OPT_FLAG)
			continue;
		if (o->letter)
			option_value(f, cmd, letter, o->value);
		if (!o->name)
			continue;
		(void)snprintf(name, sizeof(name), "--%s", o->name);
		option_value(f, cmd, name, o->value);
	}
}

/* The names behind the first `skip` bytes. */
static void command_names(
	FILE *f, const struct command *const *list, size_t skip)
{
	for (const struct command *const *c = list; *c; c++)
		fprintf(f, "%s%s", c == list ? "" : " ", (*c)->name + skip);
}

/*
 * "log) subs='verify prove' ;;" for each command that has some; in front of
 * the cursor, the second word makes another command of the first.
 */
static void subcommands(FILE *f)
{
	fputs("\tcase $cmd in\n", f);
	for (const struct command *const *c = commands; *c; c++) {
		if (!(*c)->subcommands)
			continue;
		fprintf(f, "\t%s) subs='", (*c)->name);
		command_names(f, (*c)->subcommands, strlen((*c)->name) + 1);
		fputs("' ;;\n", f);
	}
	fputs("\tesac\n"
	      "\tif ((COMP_CWORD > 2)); then\n"
	      "\t\t[[ \" $subs \" != *\" ${COMP_WORDS[2]} \"* ]] ||\n"
	      "\t\t\tcmd+=\" ${COMP_WORDS[2]}\"\n"
	      "\t\tsubs=\n"
	      "\tfi\n",
		f);
}

/* What to offer for a kind of word, a line each. */
static const char offer[] =
	"_stele_offer()\n"
	"{\n"
	"\tlocal dir type\n\n"
	"\tcase $1 in\n"
	"\tpath) compgen -f -- \"$2\" ;;\n"
	"\tdir) compgen -d -- \"$2\" ;;\n"
	"\timage)\n"
	"\t\tcompgen -d -- \"$2\"\n"
	"\t\tcompgen -f -X '!*.stele' -- \"$2\"\n"
	"\t\t;;\n"
	"\tmount)\n"
	"\t\t# not compgen -W, which would expand what the names hold\n"
	"\t\twhile read -r _ dir type _; do\n"
	"\t\t\tprintf -v dir %b \"$dir\"\n"
	"\t\t\tif [[ $type == fuse.stele && $dir == \"$2\"* ]]; then\n"
	"\t\t\t\tprintf '%s\\n' \"$dir\"\n"
	"\t\t\tfi\n"
	"\t\tdone </proc/self/mounts\n"
	"\t\tcompgen -d -- \"$2\"\n"
	"\t\t;;\n"
	"\tcommand) compgen -W \"$_stele_commands\" -- \"$2\" ;;\n"
	"\tesac\n"
	"}\n\n";

static const char function_head[] =
	"_stele()\n"
	"{\n"
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]}\n"
	"\tlocal prev=${COMP_WORDS[COMP_CWORD - 1]} kind= words=\n"
	"\tlocal cmd=${COMP_WORDS[1]} subs=\n\n";

static const char function_words[] =
	"\t# bash makes words of --name, = and value\n"
	"\tif [[ $cur == '=' ]]; then\n"
	"\t\tcur=\n"
	"\telif [[ $prev == '=' ]]; then\n"
	"\t\tprev=${COMP_WORDS[COMP_CWORD - 2]}\n"
	"\tfi\n"
	"\tif ((COMP_CWORD == 1)); then\n"
	"\t\twords=\"$_stele_commands --help --version\"\n"
	"\telse\n"
	"\t\tcase $cmd:$prev in\n";

static const char function_tail[] =
	"\t\tesac\n"
	"\tfi\n"
	"\tif [[ $words ]]; then\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	"\telse\n"
	"\t\tmapfile -t COMPREPLY < <({\n"
	"\t\t\t_stele_offer \"$kind\" \"$cur\"\n"
	"\t\t\tcompgen -W \"$subs\" -- \"$cur\"\n"
	"\t\t} | sort -u)\n"
	"\t\t[[ $kind == none ]] || compopt -o filenames\n"
	"\tfi\n"
	"\t[[ ${COMPREPLY[*]} != *= ]] || compopt -o nospace\n"
	"}\n"
	"complete -F _stele stele\n";

static void operand_words(FILE *f, const struct command *cmd)
{
	fprintf(f, "\t\t'%s':-*) words=\"", cmd->name);
	option_words(f, cmd);
	fprintf(f, "\" ;;\n\t\t'%s':*) kind=%s ;;\n", cmd->name,
		kind(cmd->complete));
}

void completion_bash(FILE *f)
{
	fputs("# Completion of stele in bash; made by \"stele help "
	      "--completion bash\".\n_stele_commands=\"",
		f);
	command_names(f, commands, 0);
	fputs("\"\n\n", f);
	fputs(offer, f);
	fputs(function_head, f);
	subcommands(f);
	fputs(function_words, f);
	commands_print(f, option_values);
	fputs("\t\tesac\n\tfi\n", f);
	fputs("\tif [[ ! $words$kind ]]; then\n\t\tcase $cmd:$cur in\n", f);
	commands_print(f, operand_words);
	fputs(function_tail, f);
}
