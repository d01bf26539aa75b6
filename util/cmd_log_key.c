/* SPDX-License-Identifier: Apache-2.0 */
/* stele log key: the public key that an auditor keeps elsewhere. */
#include <string.h>

#include "fs/audit/keys.h"
#include "fs/audit/reader.h"
#include "util/cmd.h"
#include "util/exit.h"
#include "util/out.h"
#include "util/where.h"

struct key_values {
	int64_t number;
	bool last;
};

static const struct opt options[] = {
	{
		.name = "number",
		.kind = OPT_NUMBER,
		.offset = offsetof(struct key_values, number),
		.value = "N",
		.help = "that key instead of the first, which has number 0",
		.max = INT64_MAX,
	},
	{
		.name = "last",
		.kind = OPT_FLAG,
		.offset = offsetof(struct key_values, last),
		.help = "the key that signs now",
	},
	{0},
};

static int read_key(const struct key_values *v, const char *operand,
	struct note_key *ret, struct diag *diag)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_(db_close) struct db *db = NULL;
	int r = where_ledger_operand(operand, &path, diag);

	if (r == 0)
		r = reader_open(path, &db, diag);
	if (r < 0)
		return r;
	r = keys_read(db, v->last ? KEYS_LAST : v->number, ret);
	if (r == -ENOENT && v->number > 0)
		return diag_set(diag, r, "%s has no key %lld yet", path,
			(long long)v->number);
	if (r == -ENOENT || r == -EBADMSG)
		return diag_set(diag, -EBADMSG,
			"%s does not have the key, or a malformed one: it was "
			"changed; 'stele log verify' tells more",
			path);
	if (r < 0)
		return diag_set(diag, r, "reading the ledger %s: %s", path,
			db_error(db));
	return 0;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct key_values v = {0};
	char text[NOTE_KEY_MAX];
	struct note_key key;
	struct diag diag = {0};
	int code, n = opt_parse(self, argc, argv, &v, &code);

	if (n < 0)
		return code;
	if (n != 1)
		return opt_misuse(self, "give one mount point or ledger");

	int r = read_key(&v, argv[1], &key, &diag);

	if (r == -ENOENT && v.number > 0)
		return fail(EXIT_NO, "%s", diag.text);
	if (r == 0)
		r = note_key_print(&key, text);
	if (r < 0)
		return fail_diag(r, &diag);
	out_name(stdout, text, strlen(text));
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
		"can change the ledger can't change it. A later key, once the "
		"ledger was verified with the first, is as good for proofs of "
		"records that were signed from then on, and makes them "
		"shorter.\n"
		"\n"
		"The exit code is 1 when there is no key N.",
	.options = options,
	.examples = examples,
	.complete = OPERAND_MOUNT,
	.run = run,
};
