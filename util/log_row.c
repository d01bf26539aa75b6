/* SPDX-License-Identifier: Apache-2.0 */
/* A row column by column; see log_row.h. */
#include "util/log_row.h"

#include <inttypes.h>
#include <string.h>

#include "fs/ledger/ledger.h"
#include "fs/ledger/names.h"
#include "fs/ledger/record.h"
#include "util/out.h"

/* A value, by its column's name: what kind of thing a number or blob is. */
static bool is_one_of(const char *name, const char *const *list)
{
	for (; *list; list++) {
		if (strcmp(name, *list) == 0)
			return true;
	}
	return false;
}

static bool is_time(const char *name)
{
	static const char *const times[] = {"t_real", "t_last", "atime",
		"mtime", "started", "start_real", NULL};

	return is_one_of(name, times);
}

/* Better read in octal. */
static bool is_mode(const char *name)
{
	static const char *const modes[] = {"mode", "umask", NULL};

	return is_one_of(name, modes);
}

/* Better read in hexadecimal. */
static bool is_mask(const char *name)
{
	static const char *const masks[] = {"flags", "cap_eff", "tty", NULL};

	return is_one_of(name, masks);
}

static bool is_digest(const char *name, const struct record_value *v)
{
	static const char *const digests[] = {"image_id", "tree_id",
		"policy_digest", "exe_digest", "digest", NULL};

	return v->type == 'B' && v->len == DIGEST_LEN &&
	       is_one_of(name, digests);
}

static const char *hex_of(
	const struct record_value *v, char ret[DIGEST_HEX_LEN + 1])
{
	struct digest d;

	memcpy(d.bytes, v->bytes, DIGEST_LEN);
	digest_hex(&d, ret);
	return ret;
}

/* The name of an operation or an error, or NULL. */
static const char *meaning(const char *name, int64_t number)
{
	if (strcmp(name, "op") == 0 && number >= 0 && number < LEDGER_OP_COUNT)
		return ledger_op_name((enum ledger_op)number);
	if (strcmp(name, "errno") == 0 && number > 0 && number < 4096)
		return strerrorname_np((int)number);
	return NULL;
}

/* ---- packed targets ---- */

static int print_target(void *arg, const struct names_entry *e)
{
	printf("    %6" PRId64 "  ", e->count);
	out_name(stdout, e->path, e->len);
	if (e->path2) {
		fputs(" -> ", stdout);
		out_name(stdout, e->path2, e->len2);
	}
	putchar('\n');
	return ferror(stdout) ? 1 : 0;
}

static int add_target(void *arg, const struct names_entry *e)
{
	json_t *array = arg, *o = json_object();
	int r = json_object_set_new(o, "count", json_integer(e->count)) < 0
			? -ENOMEM
			: out_json_set_name(o, "path", e->path, e->len);

	if (r == 0 && e->path2)
		r = out_json_set_name(o, "path2", e->path2, e->len2);
	if (r < 0) {
		json_decref(o);
		return r;
	}
	return json_array_append_new(array, o) < 0 ? -ENOMEM : 0;
}

/* A blob that the tree vouches for is what the writer wrote; one that can't be
 * read all the same is shown as having no targets. */
static int read_targets(const struct record_value *v, int64_t t_real,
	int (*fn)(void *arg, const struct names_entry *e), void *arg)
{
	struct names_reader *reader;
	int r = names_reader_new(&reader);

	if (r < 0)
		return r;
	r = names_read(reader, v->bytes, v->len, t_real, fn, arg);
	names_reader_free(reader);
	return r == -ENOMEM ? r : 0;
}

/* ---- columns ---- */

/* The row being walked. */
struct walk {
	const char *name; /* of the column */
	int64_t t_real;	  /* of an attempt, from when it is known */
	json_t *object;	  /* NULL: to standard output */
};

static int print_number(const struct walk *w, int64_t number)
{
	const char *word = meaning(w->name, number);
	char text[40];

	printf("%" PRId64, number);
	if (is_time(w->name)) {
		out_time_ns(number, text);
		printf(" (%s)", text);
	} else if (is_mode(w->name)) {
		printf(" (%" PRIo64 ")", number);
	} else if (is_mask(w->name)) {
		printf(" (0x%" PRIx64 ")", number);
	} else if (word) {
		printf(" (%s)", word);
	}
	putchar('\n');
	return 0;
}

static int print_value(const struct walk *w, const struct record_value *v)
{
	char hex[DIGEST_HEX_LEN + 1];

	printf("  %-14s  ", w->name);
	if (v->type == 'I')
		return print_number(w, v->number);
	if (strcmp(w->name, "names") == 0) {
		putchar('\n');
		return read_targets(v, w->t_real, print_target, NULL);
	}
	if (is_digest(w->name, v))
		fputs(hex_of(v, hex), stdout);
	else
		out_name(stdout, v->bytes, v->len);
	putchar('\n');
	return 0;
}

/* Takes value over, also when it is NULL for lack of memory. */
static int set(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) < 0 ? -ENOMEM : 0;
}

static int set_number(const struct walk *w, int64_t number)
{
	const char *word = meaning(w->name, number);
	char text[40];

	if (is_time(w->name)) {
		out_time_ns(number, text);
		return set(w->object, w->name, json_string(text));
	}
	if (word && strcmp(w->name, "op") == 0)
		return set(w->object, w->name, json_string(word));
	return set(w->object, w->name, json_integer(number));
}

static int set_value(const struct walk *w, const struct record_value *v)
{
	char hex[DIGEST_HEX_LEN + 1];
	json_t *targets;

	if (v->type == 'I')
		return set_number(w, v->number);
	if (is_digest(w->name, v))
		return set(w->object, w->name, json_string(hex_of(v, hex)));
	if (strcmp(w->name, "names") != 0)
		return out_json_set_name(w->object, w->name, v->bytes, v->len);
	targets = json_array();
	if (!targets || read_targets(v, w->t_real, add_target, targets) < 0) {
		json_decref(targets);
		return -ENOMEM;
	}
	return set(w->object, "names", targets);
}

static int walk_row(json_t *object, char table, const struct buf *bytes)
{
	struct walk w = {.object = object};
	struct record_value v;
	size_t at = 0;
	int count = 0, r = 0;
	const char *const *names = record_columns(table, &count);

	for (int i = 0; r == 0 && i < count; i++) {
		if (record_next(bytes, &at, &v) <= 0)
			return 0; /* who checked the row has counted them */
		w.name = names[i];
		if (strcmp(w.name, "t_real") == 0)
			w.t_real = v.number;
		if (v.type != 'N')
			r = object ? set_value(&w, &v) : print_value(&w, &v);
	}
	return r;
}

int log_row_print(char table, const struct buf *bytes)
{
	return walk_row(NULL, table, bytes);
}

int log_row_json(json_t *object, char table, const struct buf *bytes)
{
	return walk_row(object, table, bytes);
}
