/* SPDX-License-Identifier: Apache-2.0 */
/* Canonical bytes of rows; see record.h. */
#include "fs/ledger/record.h"

#include <string.h>

/* The columns of schema.c's tables once more; a test compares the two. */
static const char *const mount_columns[] = {"id", "image_id", "tree_id",
	"image_path", "mount_point", "options", "policy_digest", "label",
	"version", "host", "machine_id", "boot_id", "pid", "started",
	"started_boot"};

static const char *const proc_columns[] = {"id", "parent_id", "mount_id",
	"first_seq", "tgid", "ppid", "vpid", "start_ticks", "exec_stamp",
	"start_real", "exe", "exe_dev_major", "exe_dev_minor", "exe_ino",
	"exe_digest", "comm", "cmdline", "cmdline_note", "cwd", "cgroup",
	"container", "runtime", "pod", "uid", "euid", "suid", "fsuid", "gid",
	"egid", "sgid", "fsgid", "groups", "auid", "ses", "umask", "cap_eff",
	"seccomp", "no_new_privs", "lsm", "pid_ns", "user_ns", "mnt_ns", "tty"};

static const char *const node_columns[] = {
	"mount_id", "ino", "mode", "uid", "gid", "size", "digest"};

static const char *const attempt_columns[] = {"seq", "mount_id", "t_real",
	"t_boot", "op", "errno", "rule", "dac_denied", "path", "path2", "ino",
	"parent_ino", "flags", "mode", "size", "off", "new_uid", "new_gid",
	"atime", "mtime", "xattr", "caller_visible", "tid", "uid", "gid",
	"proc_id", "count", "t_last", "times", "targets", "names"};

static const char *const event_columns[] = {
	"seq", "mount_id", "t_real", "t_boot", "kind", "path", "text", "count"};

const char *const *record_columns(char table, int *ret_count)
{
#define COLUMNS(of) (*ret_count = (int)ARRAY_LEN(of), of)
	switch (table) {
	case 'm': return COLUMNS(mount_columns);
	case 'p': return COLUMNS(proc_columns);
	case 'n': return COLUMNS(node_columns);
	case 'a': return COLUMNS(attempt_columns);
	case 'e': return COLUMNS(event_columns);
	default: return NULL;
	}
#undef COLUMNS
}

/* ---- collecting ---- */

void record_init(struct record *r)
{
	*r = (struct record){0};
	buf_init(&r->bytes, RECORD_MAX);
}

void record_done(struct record *r)
{
	buf_done(&r->bytes);
}

static void put_big_endian(uint8_t *to, uint64_t value, int len)
{
	for (int i = len - 1; i >= 0; i--) {
		to[i] = (uint8_t)value;
		value >>= 8;
	}
}

static void collect(struct record *r, const void *bytes, size_t len)
{
	if (!r->error)
		r->error = buf_add(&r->bytes, bytes, len);
}

static void collect_null(struct record *r)
{
	collect(r, "N", 1);
}

static void collect_int(struct record *r, int64_t value)
{
	uint8_t cell[9] = {'I'};

	put_big_endian(cell + 1, (uint64_t)value, 8);
	collect(r, cell, sizeof(cell));
}

static void collect_run(
	struct record *r, char type, const void *bytes, size_t len)
{
	uint8_t head[5] = {(uint8_t)type};

	if (len > RECORD_MAX) {
		r->error = r->error ? r->error : -E2BIG;
		return;
	}
	put_big_endian(head + 1, len, 4);
	collect(r, head, sizeof(head));
	collect(r, bytes, len);
}

void record_begin(struct record *r, struct db_stmt *stmt, char table)
{
	r->stmt = stmt;
	r->error = 0;
	buf_reset(&r->bytes);
	collect(r, &table, 1);
}

void record_int(struct record *r, int64_t value)
{
	if (r->stmt)
		db_bind_int(r->stmt, value);
	collect_int(r, value);
}

void record_null(struct record *r)
{
	if (r->stmt)
		db_bind_null(r->stmt);
	collect_null(r);
}

void record_bytes(struct record *r, const void *bytes, size_t len)
{
	if (!bytes) {
		record_null(r);
		return;
	}
	if (r->stmt)
		db_bind_bytes(r->stmt, bytes, len);
	collect_run(r, 'B', bytes, len);
}

void record_text(struct record *r, const char *text)
{
	if (!text) {
		record_null(r);
		return;
	}
	if (r->stmt)
		db_bind_text(r->stmt, text);
	collect_run(r, 'T', text, strlen(text));
}

void record_refer(struct record *r, const struct digest *d)
{
	if (d)
		collect_run(r, 'B', d->bytes, DIGEST_LEN);
	else
		collect_null(r);
}

int record_end(struct record *r)
{
	return r->error;
}

/* ---- from rows ---- */

static void collect_column(struct record *r, struct db_stmt *stmt, int column)
{
	enum db_type type = db_type(stmt, column);
	const void *bytes;
	size_t len;

	switch (type) {
	case DB_NULL: collect_null(r); break;
	case DB_INT: collect_int(r, db_int(stmt, column)); break;
	case DB_TEXT:
	case DB_BLOB:
		bytes = db_bytes(stmt, column, &len);
		collect_run(r, type == DB_TEXT ? 'T' : 'B', bytes, len);
		break;
	default: r->error = r->error ? r->error : -EBADMSG;
	}
}

void record_read(struct record *r, char table, struct db_stmt *stmt, int first,
	int count)
{
	record_begin(r, NULL, table);
	for (int i = 0; i < count; i++)
		collect_column(r, stmt, first + i);
}

/* ---- back to values ---- */

static uint64_t get_big_endian(const char *from, int len)
{
	uint64_t value = 0;

	for (int i = 0; i < len; i++)
		value = value << 8 | (uint8_t)from[i];
	return value;
}

/* The bytes behind a type that has a length. */
static int next_run(const struct buf *bytes, size_t at, struct record_value *v)
{
	if (bytes->len - at < 4)
		return -EBADMSG;
	v->len = get_big_endian(bytes->data + at, 4);
	at += 4;
	if (v->len > bytes->len - at)
		return -EBADMSG;
	v->bytes = bytes->data + at;
	return 0;
}

int record_next(const struct buf *bytes, size_t *at, struct record_value *ret)
{
	size_t i = *at ? *at : 1; /* behind the letter of the table */
	struct record_value v = {0};

	if (!bytes->len || i > bytes->len)
		return -EBADMSG;
	if (i == bytes->len)
		return 0;
	v.type = bytes->data[i++];
	switch (v.type) {
	case 'N': break;
	case 'I':
		if (bytes->len - i < 8)
			return -EBADMSG;
		v.number = (int64_t)get_big_endian(bytes->data + i, 8);
		i += 8;
		break;
	case 'T':
	case 'B':
		if (next_run(bytes, i, &v) < 0)
			return -EBADMSG;
		i += 4 + v.len;
		break;
	default: return -EBADMSG;
	}
	*at = i;
	*ret = v;
	return 1;
}
