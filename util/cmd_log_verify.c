/* SPDX-License-Identifier: Apache-2.0 */
/* stele log verify: is the ledger what the mount wrote? */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "fs/audit/verify.h"
#include "util/cmd.h"
#include "util/exit.h"
#include "util/help.h"
#include "util/log_known.h"
#include "util/out.h"
#include "util/progress.h"
#include "util/where.h"

struct verify_values {
	bool json, quiet;
	struct log_known known;

	struct progress bar;
	struct verify_result result;
	int error; /* of printing */
};

/* How a verdict is called, how the program ends, and what it means. */
static const struct verdict {
	const char *name;
	enum exit_code code;
	const char *meaning, *advice;
} verdicts[VERIFY_KINDS] = {
	[VERIFY_NOTE] = {"intact", EXIT_OK, NULL, NULL},
	[VERIFY_CRASHED] = {"unverifiable", EXIT_LEDGER_CRASHED,
		"The mount was killed, or the machine stopped, before it "
		"signed its last records. All before them is as it was "
		"written; these few could have been changed since.",
		"Mount again with this ledger: the new mount records what it "
		"found and signs it. For evidence, copy the ledger with its "
		"-wal file first."},
	[VERIFY_NOT_SIGNED] = {"unsigned", EXIT_LEDGER_NOT_SIGNED,
		"A signature that the mount made is missing or was changed. "
		"The records may be genuine, but nothing proves it for those "
		"behind the last one named as signed.",
		"Give checkpoints that were anchored elsewhere with --expect: "
		"what they cover is proved again."},
	[VERIFY_EDITED] = {"edited", EXIT_LEDGER_EDITED,
		"Rows were changed, removed or put in after the mount had "
		"written them. Up to the last one named as signed, records "
		"that are not listed here are as they were written.",
		"Keep this file as evidence. Look in backups and in what was "
		"exported for the listed records, and find out who could write "
		"to the file at the time."},
	[VERIFY_TRUNCATED] = {"truncated", EXIT_LEDGER_TRUNCATED,
		"Records at the end were removed: what is still there proves "
		"that there were more. Up to the last one named as signed, "
		"what is left is as it was written, but for what is listed.",
		"Keep this file as evidence. Look for the missing records, "
		"whose numbers are known, in backups and in what was "
		"exported."},
	[VERIFY_ROLLED_BACK] = {"rolled-back", EXIT_LEDGER_ROLLED_BACK,
		"The ledger is older than a checkpoint that is known from "
		"elsewhere: an earlier copy was put in its place, or its end "
		"was removed together with the checkpoints in it.",
		"If nobody restored a backup on purpose, somebody did it to "
		"hide what came after the last record. Look for a newer copy."},
	[VERIFY_FORKED] = {"forked", EXIT_LEDGER_FORKED,
		"There are two histories: the ledger disagrees with what is "
		"known from elsewhere, its key or a checkpoint. It is another "
		"ledger, or was written anew from some record on.",
		"First make sure that key and checkpoints are of this very "
		"ledger. If they are, nothing in it can be relied on."},
};

static const struct help_exit exits[] = {
	{EXIT_LEDGER_EDITED, "records were changed, removed or put in"},
	{EXIT_LEDGER_TRUNCATED, "records at the end were removed"},
	{EXIT_LEDGER_ROLLED_BACK,
		"the whole ledger is older than what is known from elsewhere"},
	{EXIT_LEDGER_FORKED, "its key or a checkpoint is of another history"},
	{EXIT_LEDGER_NOT_SIGNED, "a signature is missing or wrong"},
	{EXIT_LEDGER_CRASHED,
		"the mount was killed; its last records are not signed, and "
		"nothing else is wrong"},
	{0, NULL},
};

static const struct opt options[] = {
	{
		.name = "public-key",
		.letter = 'k',
		.kind = OPT_STRING,
		.offset = offsetof(struct verify_values, known.public_key),
		.value = "KEY|FILE",
		.help = "the first key of the ledger, as 'stele log key' "
			"printed it",
	},
	{
		.name = "expect",
		.letter = 'e',
		.kind = OPT_LIST,
		.offset = offsetof(struct verify_values, known.expects),
		.value = "FILE|LINE",
		.help = "checkpoints from elsewhere that the ledger must agree "
			"with",
	},
	{
		.name = "json",
		.letter = 'j',
		.kind = OPT_FLAG,
		.offset = offsetof(struct verify_values, json),
		.help = "one JSON object a line: what was found, then the "
			"result",
	},
	{
		.name = "quiet",
		.letter = 'q',
		.kind = OPT_FLAG,
		.offset = offsetof(struct verify_values, quiet),
		.help = "no progress bar, and nothing when all is well",
	},
	{0},
};

/* ---- what was found ---- */

static const char *kind_name(enum verify_kind kind)
{
	return kind == VERIFY_NOTE ? "note" : verdicts[kind].name;
}

static void print_finding(const struct verify_finding *f)
{
	char text[40];

	printf("%s: ", kind_name(f->kind));
	out_name(stdout, f->text, strlen(f->text));
	if (f->kind != VERIFY_NOTE && f->has_before) {
		out_time_ns(f->before, text);
		printf("; the record before is of %s", text);
	}
	if (f->kind != VERIFY_NOTE && f->has_after) {
		out_time_ns(f->after, text);
		printf("; the one after of %s", text);
	}
	putchar('\n');
}

/* Takes value over, also when it is NULL for lack of memory. */
static int set(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) < 0 ? -ENOMEM : 0;
}

static int set_number(json_t *object, const char *key, uint64_t n)
{
	return set(object, key, json_integer((json_int_t)n));
}

static int set_time(json_t *object, const char *key, int64_t ns)
{
	char text[40];

	out_time_ns(ns, text);
	return set(object, key, json_string(text));
}

static int fill_finding(json_t *o, const struct verify_finding *f)
{
	int r = set(o, "type", json_string("finding"));

	if (r == 0)
		r = set(o, "kind", json_string(kind_name(f->kind)));
	if (r == 0 && f->first > 0)
		r = set_number(o, "first", f->first);
	if (r == 0 && f->first > 0)
		r = set_number(o, "last", f->last);
	if (r == 0 && f->has_before)
		r = set_time(o, "time_before", f->before);
	if (r == 0 && f->has_after)
		r = set_time(o, "time_after", f->after);
	if (r == 0 && f->has_checkpoint)
		r = set_number(o, "checkpoint", f->checkpoint);
	if (r == 0)
		r = out_json_set_name(o, "text", f->text, strlen(f->text));
	return r;
}

static int print_object(json_t *object, int r)
{
	if (r < 0) {
		json_decref(object);
		return r;
	}
	return out_json_line(stdout, object);
}

static void on_found(void *arg, const struct verify_finding *f)
{
	struct verify_values *v = arg;

	if (v->quiet && f->kind == VERIFY_NOTE)
		return;
	progress_end(&v->bar);
	if (v->json) {
		json_t *o = json_object();
		int r = print_object(o, o ? fill_finding(o, f) : -ENOMEM);

		v->error = v->error ? v->error : r;
	} else {
		print_finding(f);
	}
}

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct verify_values *v = arg;

	progress_update(&v->bar, done, total);
}

/* ---- the result ---- */

static int fill_signed(json_t *o, const struct verify_result *s)
{
	char hex[DIGEST_HEX_LEN + 1];
	int r;

	if (s->signed_size == 0)
		return 0;
	digest_hex(&s->signed_root, hex);
	r = set(o, "signed_root", json_string(hex));
	return r < 0 ? r : set_time(o, "signed_time", s->signed_time);
}

static int fill_result(json_t *o, const struct verify_result *s)
{
	const struct {
		const char *key;
		uint64_t value;
	} numbers[] = {
		{"code", verdicts[s->kind].code},
		{"records", s->records},
		{"records_removed", s->removed},
		{"attempts_removed", s->removed_attempts},
		{"attempts", s->attempts},
		{"attempts_open", s->open_attempts},
		{"checkpoints", s->checkpoints},
		{"keys", s->epochs},
		{"signed_size", s->signed_size},
		{"expected", s->expected},
		{"notes", s->found[VERIFY_NOTE]},
	};
	int r = set(o, "type", json_string("result"));

	if (r == 0)
		r = set(o, "result", json_string(verdicts[s->kind].name));
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(numbers); i++)
		r = set_number(o, numbers[i].key, numbers[i].value);
	for (int k = VERIFY_NOTE + 1; r == 0 && k < VERIFY_KINDS; k++)
		r = set_number(o, verdicts[k].name, s->found[k]);
	if (r == 0)
		r = fill_signed(o, s);
	if (r == 0)
		r = out_json_set_name(
			o, "origin", s->origin, strlen(s->origin));
	if (r == 0)
		r = out_json_set_name(o, "key", s->key, strlen(s->key));
	if (r == 0)
		r = set(o, "key_given", json_boolean(s->key_given));
	if (r == 0)
		r = set(o, "key_file", json_boolean(s->keyfile_read));
	return r < 0 ? r : set(o, "writer", json_boolean(s->writer));
}

/* More of a kind than were told. */
static void print_more(const struct verify_result *s)
{
	for (int k = VERIFY_KINDS - 1; k >= 0; k--) {
		if (s->found[k] > VERIFY_TOLD)
			printf("%s: %" PRIu64 " more\n", kind_name(k),
				s->found[k] - VERIFY_TOLD);
	}
}

static void print_signed(const struct verify_result *s)
{
	char text[40];

	printf("%s: %" PRIu64 " record%s", verdicts[s->kind].name, s->records,
		s->records == 1 ? "" : "s");
	if (s->removed > 0)
		printf(", %" PRIu64 " of them removed by retention",
			s->removed);
	printf(", %" PRIu64 " attempt%s", s->attempts,
		s->attempts == 1 ? "" : "s");
	if (s->signed_size > 0) {
		out_time_ns(s->signed_time, text);
		printf("; signed up to record %" PRIu64 " of %s",
			s->signed_size, text);
	}
	if (s->writer && s->signed_size < s->records)
		printf(", the others soon: the mount is there");
	putchar('\n');
}

static void print_result(const struct verify_result *s)
{
	const struct verdict *d = &verdicts[s->kind];

	print_more(s);
	print_signed(s);
	if (d->meaning) {
		putchar('\n');
		help_wrap(stdout, d->meaning, 0, 0);
		help_wrap(stdout, d->advice, 0, 0);
	}
	if (s->key_given)
		return;
	putchar('\n');
	help_wrap(stdout,
		s->expected > 0
			? "Judged by the ledger's own key, and by the "
			  "checkpoints that were expected."
			: "Judged by the ledger's own key: who can write the "
			  "whole file anew can make one that is intact, too. "
			  "Give --public-key, or --expect, to be sure that it "
			  "is the one.",
		0, 0);
}

static int finish(struct verify_values *v)
{
	const struct verify_result *s = &v->result;
	int code = verdicts[s->kind].code;

	if (v->json) {
		json_t *o = json_object();
		int r = print_object(o, o ? fill_result(o, s) : -ENOMEM);

		v->error = v->error ? v->error : r;
	} else if (!v->quiet || code != EXIT_OK) {
		print_result(s);
	}
	if (v->error == -ENOMEM)
		return fail(EXIT_SYSTEM, "out of memory");
	return code;
}

/* ---- the command line ---- */

static int verify(struct verify_values *v, const char *operand)
{
	const struct verify_hooks hooks = {
		.found = on_found, .progress = on_progress, .arg = v};
	_cleanup_free_ char *path = NULL;
	struct verify_options opt;
	struct diag diag = {0};
	int r = log_known_read(&v->known, &diag);

	if (r == -EINVAL)
		return fail(EXIT_USAGE, "%s", diag.text);
	if (r == 0)
		r = where_ledger_operand(operand, &path, &diag);
	if (r < 0)
		return fail_diag(r, &diag);
	if (log_known_options(&v->known, path, &opt) < 0)
		return fail(EXIT_SYSTEM, "out of memory");
	progress_begin(&v->bar, "verify", v->quiet);
	r = verify_ledger(path, &opt, &hooks, &v->result, &diag);
	progress_end(&v->bar);
	return r < 0 ? fail_diag(r, &diag) : finish(v);
}

static int run(const struct command *self, int argc, char **argv)
{
	struct verify_values v = {0};
	int code, n = opt_parse(self, argc, argv, &v, &code);

	if (n < 0)
		return code;
	log_known_init(&v.known);
	if (n != 1)
		code = opt_misuse(self, "give one mount point or ledger");
	else
		code = verify(&v, argv[1]);
	log_known_done(&v.known);
	return code;
}

static const struct example examples[] = {
	{"stele log verify /mnt --public-key mnt.vkey",
		"with the key that 'stele log key' printed at first"},
	{"journalctl -t stele > anchors; stele log verify /mnt -e anchors",
		"against the checkpoints that went to the journal"},
	{"stele log verify evidence.ledger --json",
		"a copy of a ledger, for a program"},
	{0},
};

const struct command cmd_log_verify = {
	.name = "log verify",
	.operands = "MOUNTPOINT|FILE",
	.summary = "check that nobody changed a ledger",
	.description =
		"Computes the hash of every record of the ledger anew, and "
		"compares the tree of them with every checkpoint that the "
		"mount signed. Prints what was found, a line each, then the "
		"verdict and what it means; the gravest thing found decides "
		"it. Works on a copy, and while a mount writes.\n"
		"\n"
		"What is inside a ledger can't prove that it is the right one, "
		"or all of it. Two things from elsewhere do: the public key "
		"('stele log key'), and the latest checkpoint that an anchor "
		"of the mount put where an intruder can't reach it. FILE holds "
		"signed notes, or lines with 'stele checkpoint', as they are "
		"in the system's log; such a line can be given itself. The "
		"file LEDGER-key is compared, too, "
		"when it is beside the ledger.\n"
		"\n"
		"Notes tell what is no fault of the ledger, but matters to who "
		"reads it: changes of the clock, mounts that were killed, "
		"attempts that were only counted, records that were removed by "
		"retention.",
	.options = options,
	.examples = examples,
	.complete = OPERAND_MOUNT,
	.exits = exits,
	.run = run,
};
