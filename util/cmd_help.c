/* SPDX-License-Identifier: Apache-2.0 */
/* stele help */
#include <string.h>

#include "fs/base/cleanup.h"
#include "util/cmd.h"
#include "util/completion.h"
#include "util/exit.h"
#include "util/help.h"
#include "util/man.h"

struct help_values {
	bool man;
	const char *completion;
};

static const struct opt options[] = {
	{
		.name = "man",
		.kind = OPT_FLAG,
		.offset = offsetof(struct help_values, man),
		.help = "print the manual page stele(1) in roff",
	},
	{
		.name = "completion",
		.kind = OPT_STRING,
		.offset = offsetof(struct help_values, completion),
		.value = "SHELL",
		.help = "print the completion for a shell: bash",
	},
	{0},
};

static const struct example examples[] = {
	{"stele help mount", "the same as stele mount --help"},
	{"stele help --man | man -l -", "read the manual page"},
	{"source <(stele help --completion bash)",
		"complete commands and options in this shell"},
	{0},
};

static int run(const struct command *self, int argc, char **argv)
{
	struct help_values v = {0};
	const struct command *cmd = NULL;
	int code, n = opt_parse(self, argc, argv, &v, &code);

	if (n < 0)
		return code;
	if (n > 2 || (n > 0 && (v.man || v.completion)))
		return opt_misuse(self, "too many arguments");
	if (v.completion && strcmp(v.completion, "bash") != 0)
		return opt_misuse(self,
			"--completion: no completion for '%s', only for bash",
			v.completion);
	if (n > 0)
		cmd = command_find(argv[1]);
	if (cmd && n > 1)
		cmd = command_find_sub(cmd, argv[2]);
	if (n > 0 && !cmd)
		return opt_misuse(self, "there is no command '%s%s%s'", argv[1],
			n > 1 ? " " : "", n > 1 ? argv[2] : "");
	if (cmd) {
		help_command(stdout, cmd);
	} else if (v.man) {
		man_print(stdout);
	} else if (v.completion) {
		completion_bash(stdout);
	} else {
		help_overview(stdout);
	}
	return EXIT_OK;
}

const struct command cmd_help = {
	.name = "help",
	.operands = "[COMMAND [SUBCOMMAND]]",
	.summary = "explain a command, print the manual page or the completion",
	.description = "Explains one command, or lists all of them.",
	.options = options,
	.examples = examples,
	.complete = OPERAND_COMMAND,
	.run = run,
};
