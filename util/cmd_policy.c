/* SPDX-License-Identifier: Apache-2.0 */
/* stele policy: what a policy is, for those who look for it in the help. */
#include "util/cmd.h"

extern const struct command cmd_policy_check;

static const struct command *const subcommands[] = {
	&cmd_policy_check,
	NULL,
};

static int run(const struct command *self, int argc, char **argv)
{
	struct {
		char none;
	} values = {0};
	int code, n = opt_parse(self, argc, argv, &values, &code);

	if (n < 0)
		return code;
	return opt_misuse(self, "say what to do with the policy: check");
}

const struct command cmd_policy = {
	.name = "policy",
	.operands = "check FILE [IMAGE]",
	.summary = "declare which paths of a mount are writable",
	.description =
		"A policy is a YAML file that 'stele mount --policy FILE' "
		"takes. It declares which paths are writable; everything else "
		"stays refused and recorded.\n"
		"\n"
		"  writable:\n"
		"    /var/log/nginx: {source: storage, size: 512M}\n"
		"    /tmp: {source: tmp, size: 64M, mode: \"1777\"}\n"
		"    /srv/uploads: {source: host, path: /data/uploads}\n"
		"    /etc/app: {source: storage, seed: image}\n"
		"\n"
		"Keys of a path:\n"
		"  source         storage: kept; tmp: in memory, gone with the "
		"mount; host: a\n"
		"                 folder or file of the host\n"
		"  path           that folder or file\n"
		"  seed           image: starts as the image has it (default "
		"where it has the\n"
		"                 path); empty: starts empty\n"
		"  size, inodes   limits: 512M; a number\n"
		"  mode, uid, gid of the path itself (default as in the "
		"image, else 0755 0 0)\n"
		"  noexec, nosuid, nodev\n"
		"                 true or false; nodev is true by default\n"
		"  name           what a storage is known by (default: its "
		"path)",
	.complete = OPERAND_PATH,
	.subcommands = subcommands,
	.run = run,
};
