/* SPDX-License-Identifier: Apache-2.0 */
/* stele log prove: a proof of one record, to be checked without the ledger. */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "fs/audit/prove.h"
#include "fs/base/io.h"
#include "util/cmd.h"
#include "util/exit.h"
#include "util/log_key.h"
#include "util/where.h"

struct prove_values {
	const char *output, *public_key;
};

static const struct opt options[] = {
	{
		.name = "output",
		.letter = 'o',
		.kind = OPT_STRING,
		.offset = offsetof(struct prove_values, output),
		.value = "FILE",
		.help = "write the proof there instead of to standard output",
	},
	{
		.name = "public-key",
		.letter = 'k',
		.kind = OPT_STRING,
		.offset = offsetof(struct prove_values, public_key),
		.value = "KEY|FILE",
		.help = "the key that who checks it has; default: the first of "
			"the ledger",
	},
	{0},
};

/* Digits alone: a sign or a letter is a mistake. */
static bool parse_seq(const char *text, uint64_t *ret)
{
	uint64_t n = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' ||
			__builtin_mul_overflow(n, 10, &n) ||
			__builtin_add_overflow(n, (uint64_t)(*text - '0'), &n))
			return false;
	}
	*ret = n;
	return true;
}

static int make(const struct prove_values *v, const char *operand, uint64_t seq,
	struct buf *ret)
{
	_cleanup_free_ char *path = NULL;
	struct note_key key;
	struct diag diag = {0};
	int r = 0;

	if (v->public_key)
		r = log_key_read(v->public_key, &key, &diag);
	if (r == -EINVAL)
		return fail(EXIT_USAGE, "%s", diag.text);
	if (r == 0)
		r = where_ledger_operand(operand, &path, &diag);
	if (r == 0)
		r = prove_make(
			path, seq, v->public_key ? &key : NULL, ret, &diag);
	if (r == -ENOENT || r == -EAGAIN || r == -ENOKEY)
		return fail(EXIT_NO, "%s", diag.text);
	return r < 0 ? fail_diag(r, &diag) : EXIT_OK;
}

static int write_file(const char *path, const struct buf *proof)
{
	_cleanup_close_ int fd = open(path,
		O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
	int r = fd < 0 ? -errno : io_write(fd, proof->data, proof->len);

	if (r == 0 && close(take_fd(fd)) < 0)
		r = -errno;
	return r < 0 ? fail(exit_code_of(r), "writing %s: %s", path,
			       strerror(-r))
		     : EXIT_OK;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct prove_values v = {0};
	_cleanup_buf_ struct buf proof;
	uint64_t seq;
	int code, n = opt_parse(self, argc, argv, &v, &code);

	buf_init(&proof, PROOF_MAX);
	if (n < 0)
		return code;
	if (n != 2)
		return opt_misuse(self, "give a ledger and a record's number");
	if (!parse_seq(argv[2], &seq))
		return opt_misuse(
			self, "'%s' is no number of a record", argv[2]);
	code = make(&v, argv[1], seq, &proof);
	if (code != EXIT_OK)
		return code;
	if (v.output)
		return write_file(v.output, &proof);
	(void)fwrite(proof.data, 1, proof.len, stdout); /* exit_flush tells */
	return EXIT_OK;
}

static const struct example examples[] = {
	{"stele log prove /mnt 4711 -o 4711.tlog-proof",
		"a proof that can be handed on"},
	{"stele log check-proof 4711.tlog-proof --public-key mnt.vkey",
		"on any machine"},
	{0},
};

const struct command cmd_log_prove = {
	.name = "log prove",
	.operands = "MOUNTPOINT|FILE N",
	.summary = "write a proof of one record",
	.description =
		"Writes a proof that record N is in the ledger: the record "
		"with all that is known of its process, the process's parents, "
		"the mount and the file; the path of hashes from it to a "
		"signed checkpoint; and the changes of keys up to that. It can "
		"be checked without the ledger by who has the public key, and "
		"tells nothing about other records.\n"
		"\n"
		"The proof is a text as C2SP tlog-proof defines it. Command "
		"lines of processes are in it: read it before you hand it "
		"on.\n"
		"\n"
		"The exit code is 1 when there is no such record, or it is not "
		"signed yet.",
	.options = options,
	.examples = examples,
	.complete = OPERAND_MOUNT,
	.run = run,
};
