/* SPDX-License-Identifier: Apache-2.0 */
/* stele log key: the public key that an auditor keeps elsewhere. */
#include <string.h>

#include "fs/audit/keys.h"
#include "fs/audit/reader.h"
#include "util/cmd.h"
#include "util/exit.h"
#include "util/out.h"
#include "util/where.h"

static int read_key(
	const char *operand, char ret[NOTE_KEY_MAX], struct diag *diag)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_(db_close) struct db *db = NULL;
	int r = where_ledger_operand(operand, &path, diag);

	if (r == 0)
		r = reader_open(path, &db, diag);
	if (r < 0)
		return r;
	r = keys_first(db, ret);
	if (r == -ENOENT || r == -EBADMSG)
		return diag_set(diag, -EBADMSG,
			"%s has no readable first key: it was changed; 'stele "
			"log verify' tells more",
			path);
	if (r < 0)
		return diag_set(diag, r, "reading the ledger %s: %s", path,
			db_error(db));
	return 0;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct {
		char none;
	} values = {0};
	char key[NOTE_KEY_MAX];
	struct diag diag = {0};
	int code, n = opt_parse(self, argc, argv, &values, &code);

	if (n < 0)
		return code;
	if (n != 1)
		return opt_misuse(self, "give one mount point or ledger");

	int r = read_key(argv[1], key, &diag);

	if (r < 0)
		return fail_diag(r, &diag);
	out_name(stdout, key, strlen(key));
	putchar('\n');
	return EXIT_OK;
}

static const struct example examples[] = {
	{"stele log key /mnt > mnt.vkey",
		"right after the first mount; keep the file elsewhere"},
	{"stele log verify /mnt --public-key mnt.vkey", "later"},
	{0},
};

const struct command cmd_log_key = {
	.name = "log key",
	.operands = "MOUNTPOINT|FILE",
	.summary = "print the public key that checks a ledger",
	.description =
		"Prints the first key that signed the ledger of MOUNTPOINT, or "
		"the ledger FILE: all later keys are signed by the one before, "
		"so this one suffices for 'stele log verify' and 'stele log "
		"check-proof'. It is no secret, and is written as signed notes "
		"write it (C2SP): NAME+HASH+BASE64.\n"
		"\n"
		"Fetch it as soon as the ledger is made and keep it where who "
		"can change the ledger can't change it.",
	.examples = examples,
	.complete = OPERAND_MOUNT,
	.run = run,
};
