/* SPDX-License-Identifier: Apache-2.0 */
/* stele log check-proof: is this record genuine? */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "fs/audit/prove.h"
#include "fs/base/io.h"
#include "util/cmd.h"
#include "util/exit.h"
#include "util/help.h"
#include "util/log_key.h"
#include "util/log_row.h"
#include "util/out.h"

struct check_values {
	bool json, quiet;
	const char *public_key;
};

static const struct help_exit exits[] = {
	{EXIT_LEDGER_EDITED,
		"the proof does not hold: what it says was changed"},
	{EXIT_LEDGER_NOT_SIGNED, "it is not signed by the public key"},
	{0, NULL},
};

static const struct opt options[] = {
	{
		.name = "public-key",
		.letter = 'k',
		.kind = OPT_STRING,
		.offset = offsetof(struct check_values, public_key),
		.value = "KEY|FILE",
		.help = "the key of the ledger, as 'stele log key' printed it",
	},
	{
		.name = "json",
		.letter = 'j',
		.kind = OPT_FLAG,
		.offset = offsetof(struct check_values, json),
		.help = "one JSON object with everything",
	},
	{
		.name = "quiet",
		.letter = 'q',
		.kind = OPT_FLAG,
		.offset = offsetof(struct check_values, quiet),
		.help = "print nothing; the exit code says it",
	},
	{0},
};

/* ---- reading ---- */

static int read_file(const char *path, struct buf *ret)
{
	enum { STEP = 1 << 16 };
	bool standard = strcmp(path, "-") == 0;
	_cleanup_close_ int fd =
		standard ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n = 1;

	if (!standard && fd < 0)
		return -errno;
	while (n > 0) {
		char *to = buf_reserve(ret, STEP);

		if (!to)
			return ret->max - ret->len < STEP ? -E2BIG : -ENOMEM;
		n = io_read(standard ? STDIN_FILENO : fd, to, STEP);
		if (n > 0)
			ret->len += (size_t)n;
	}
	return (int)n;
}

/* ---- printing ---- */

static const char *name_of(const struct prove_row *row)
{
	switch (row->table) {
	case 'a': return "attempt";
	case 'e': return "event";
	case 'm': return "mount";
	case 'n': return "target";
	default: return row->ancestor ? "ancestor" : "process";
	}
}

static int print_text(const struct proved *p)
{
	int r = 0;

	printf("proved: record %" PRIu64 " is in the ledger %s, signed at size "
	       "%" PRIu64 "\n",
		p->seq, p->checkpoint.origin, p->checkpoint.size);
	for (size_t i = 0; r == 0 && i < p->count; i++) {
		const struct prove_row *row = &p->rows[i];

		printf("\n%s", name_of(row));
		if (row->ancestor)
			printf(" %u", row->ancestor);
		putchar('\n');
		r = log_row_print(row->table, &row->bytes);
	}
	return r;
}

/* Takes value over, also when it is NULL for lack of memory. */
static int set(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) < 0 ? -ENOMEM : 0;
}

static int add_json_row(json_t *rows, const struct prove_row *row)
{
	json_t *o = json_object();
	int r = set(o, "row", json_string(name_of(row)));

	if (r == 0 && row->ancestor)
		r = set(o, "ancestor", json_integer(row->ancestor));
	if (r == 0)
		r = log_row_json(o, row->table, &row->bytes);
	if (r < 0) {
		json_decref(o);
		return r;
	}
	return json_array_append_new(rows, o) < 0 ? -ENOMEM : 0;
}

static int fill_json(json_t *o, json_t *rows, const struct proved *p)
{
	char hex[DIGEST_HEX_LEN + 1];
	int r = set(o, "type", json_string("proof"));

	digest_hex(&p->checkpoint.root, hex);
	if (r == 0)
		r = set(o, "seq", json_integer((json_int_t)p->seq));
	if (r == 0)
		r = set(o, "origin", json_string(p->checkpoint.origin));
	if (r == 0)
		r = set(o, "size",
			json_integer((json_int_t)p->checkpoint.size));
	if (r == 0)
		r = set(o, "root", json_string(hex));
	for (size_t i = 0; r == 0 && i < p->count; i++)
		r = add_json_row(rows, &p->rows[i]);
	return r < 0 ? r : set(o, "rows", json_incref(rows));
}

static int print_json(const struct proved *p)
{
	json_t *o = json_object(), *rows = json_array();
	int r = o && rows ? fill_json(o, rows, p) : -ENOMEM;

	json_decref(rows);
	if (r < 0) {
		json_decref(o);
		return r;
	}
	return out_json_line(stdout, o);
}

/* ---- the command line ---- */

static int refused(int r, const char *path, const struct diag *diag)
{
	if (r == -EBADMSG)
		return fail(
			(int)EXIT_LEDGER_EDITED, "%s: %s", path, diag->text);
	if (r == -ENOKEY)
		return fail(EXIT_LEDGER_NOT_SIGNED, "%s: %s", path, diag->text);
	return fail_diag(r, diag);
}

static int check(const struct check_values *v, const char *path)
{
	_cleanup_buf_ struct buf text;
	struct note_key key;
	struct proved proved;
	struct diag diag = {0};
	int r = log_key_read(v->public_key, &key, &diag);

	buf_init(&text, PROOF_MAX + (1u << 16));
	if (r == -EINVAL)
		return fail(EXIT_USAGE, "%s", diag.text);
	if (r < 0)
		return fail_diag(r, &diag);
	r = read_file(path, &text);
	if (r == -E2BIG)
		return fail(EXIT_INPUT, "%s is too long for a proof", path);
	if (r < 0)
		return fail(
			exit_code_of(r), "reading %s: %s", path, strerror(-r));
	r = prove_check(
		text.data ? text.data : "", text.len, &key, &proved, &diag);
	if (r < 0)
		return refused(r, path, &diag);
	if (!v->quiet)
		r = v->json ? print_json(&proved) : print_text(&proved);
	proved_done(&proved);
	return r == -ENOMEM ? fail(EXIT_SYSTEM, "out of memory") : EXIT_OK;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct check_values v = {0};
	int code, n = opt_parse(self, argc, argv, &v, &code);

	if (n < 0)
		return code;
	if (n != 1)
		return opt_misuse(self, "give one proof, or - for standard "
					"input");
	if (!v.public_key)
		return opt_misuse(self, "give --public-key: a proof is only as "
					"good as the key it is checked with");
	return check(&v, argv[1]);
}

static const struct example examples[] = {
	{"stele log check-proof 4711.tlog-proof --public-key mnt.vkey",
		"check a proof and print its record"},
	{"stele log check-proof - -k mnt.vkey --json < proof", "for a program"},
	{0},
};

const struct command cmd_log_check_proof = {
	.name = "log check-proof",
	.operands = "PROOF",
	.summary = "check the proof of a record with a public key",
	.description =
		"Checks a proof that 'stele log prove' made, with nothing but "
		"the public key of the ledger: that the record in it is in a "
		"tree that the mount signed, and that mount, process and file "
		"are those that the record names. Then prints all of them, as "
		"they are in the ledger.",
	.options = options,
	.examples = examples,
	.complete = OPERAND_PATH,
	.exits = exits,
	.run = run,
};
