/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes a large ledger for bench/ledger_query: rows as a mount writes them,
 * without the mount, the processes and the waiting.
 *
 *	make_ledger FILE single|packed ATTEMPTS
 *
 * single: one row for each attempt; packed: one for each 4096 of them. All
 * paths are distinct; about one in 10,000 ends in "passwd". Attempts are a
 * millisecond apart, the first one at 1,700,000,000 seconds since 1970.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/db/db.h"
#include "fs/ledger/ledger.h"
#include "fs/ledger/names.h"
#include "fs/ledger/schema.h"
#include "tests/lib/prng.h"

#define FIRST_NS INT64_C(1700000000000000000)
#define STEP_NS INT64_C(1000000)

struct maker {
	struct db *db;
	struct db_stmt *attempt;
	struct names_packer *packer;
	struct prng prng;
	int64_t seq;
};

static int64_t at(int64_t attempt)
{
	return FIRST_NS + attempt * STEP_NS;
}

static void make_path(struct maker *m, int64_t attempt, char path[128])
{
	static const char *const folders[] = {"/etc", "/usr/lib/python3.11",
		"/var/lib/dpkg/info", "/home/app/node_modules/.cache",
		"/opt/service/data"};
	const char *folder = folders[prng_below(&m->prng, ARRAY_LEN(folders))];
	bool passwd = prng_below(&m->prng, 10000) == 0;

	(void)snprintf(path, 128, "%s/d%" PRIu64 "/f%" PRId64 "%s", folder,
		prng_below(&m->prng, 500), attempt,
		passwd ? ".passwd" : ".tmp");
}

/* The columns of an attempt that have a value, in the order of INSERT. */
#define INSERT                                                             \
	"INSERT INTO attempt(seq, mount_id, t_real, t_boot, op, errno,"    \
	" rule, dac_denied, path, ino, parent_ino, flags, mode,"           \
	" caller_visible, tid, uid, gid, proc_id, count, t_last, targets," \
	" names) VALUES(?, 1, ?, ?, ?, 30, 'image', 0, ?, NULL, 77,"       \
	" 33345, 420, 1, ?, 1000, 1000, ?, ?, ?, ?, ?)"

static int add_row(struct maker *m, int64_t first, const char *path,
	int64_t count, const void *names, size_t len)
{
	struct db_stmt *s = m->attempt;
	int64_t process = 1 + (int64_t)prng_below(&m->prng, 100);

	db_bind_int(s, ++m->seq);
	db_bind_int(s, at(first));
	db_bind_int(s, at(first) - FIRST_NS / 2);
	db_bind_int(s, LEDGER_CREATE);
	db_bind_bytes(s, path, strlen(path));
	db_bind_int(s, 1000 + process);
	db_bind_int(s, process);
	db_bind_int(s, count);
	if (count > 1)
		db_bind_int(s, at(first + count - 1));
	else
		db_bind_null(s);
	db_bind_int(s, count);
	db_bind_bytes(s, names, len);
	return db_run(s);
}

static int add_single(struct maker *m, int64_t attempts)
{
	int r = 0;

	for (int64_t i = 0; r == 0 && i < attempts; i++) {
		char path[128];

		make_path(m, i, path);
		r = add_row(m, i, path, 1, NULL, 0);
	}
	return r;
}

static int pack(struct maker *m, int64_t first, int64_t count)
{
	const void *names;
	size_t len;
	int r = 0;

	names_begin(m->packer, at(first));
	for (int64_t i = first; r == 0 && i < first + count; i++) {
		char path[128];

		make_path(m, i, path);

		struct names_entry e = {.path = path,
			.len = strlen(path),
			.ino = 77,
			.ino_is_parent = true,
			.count = 1,
			.t_first = at(i),
			.t_last = at(i)};

		r = names_add(m->packer, &e);
	}
	if (r == 0)
		r = names_end(m->packer, &names, &len);
	return r < 0 ? r : add_row(m, first, "/", count, names, len);
}

static int add_packed(struct maker *m, int64_t attempts)
{
	int r = 0;

	for (int64_t i = 0; r == 0 && i < attempts; i += NAMES_MAX) {
		int64_t left = attempts - i;

		r = pack(m, i, left < NAMES_MAX ? left : NAMES_MAX);
	}
	return r;
}

/* One mount and the processes 1 to 100, each the child of the one before. */
static int add_facts(struct maker *m)
{
	int r = db_exec(m->db,
		"INSERT INTO mount(id, image_id, mount_point, boot_id, pid,"
		" started, started_boot) VALUES(1, zeroblob(32), x'2f6d6e74',"
		" '0f4c8a55-1111-4222-8333-0123456789ab', 900,"
		" 1700000000000000000, 850000000000000000)");

	return r < 0 ? r
		     : db_exec(m->db,
			       "INSERT INTO proc(id, parent_id, mount_id,"
			       " first_seq, tgid, ppid, start_ticks,"
			       " exec_stamp, exe, comm, cmdline, uid)"
			       " WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
			       " SELECT i + 1 FROM n WHERE i < 100)"
			       " SELECT i, nullif(i - 1, 0), 1, 1, 1000 + i,"
			       " 999 + i, 5000 + i, i,"
			       " CAST('/usr/bin/tool' || (i % 7) AS BLOB),"
			       " CAST('tool' || (i % 7) AS BLOB),"
			       " CAST('tool --in ' || i AS BLOB), 1000 FROM n");
}

static int make(struct maker *m, const char *path, bool packed, int64_t count,
	struct diag *diag)
{
	int r = db_open(path, 0, &m->db, diag);

	if (r == 0)
		r = schema_create(m->db, path, diag);
	if (r == 0)
		r = db_exec(m->db, "PRAGMA journal_mode = WAL");
	if (r == 0)
		r = db_exec(m->db, "BEGIN");
	if (r == 0)
		r = add_facts(m);
	if (r == 0)
		r = db_prepare(m->db, INSERT, &m->attempt);
	if (r == 0)
		r = names_packer_new(&m->packer);
	if (r == 0)
		r = packed ? add_packed(m, count) : add_single(m, count);
	return r < 0 ? r : db_exec(m->db, "COMMIT");
}

int main(int argc, char **argv)
{
	struct maker m = {.prng = {7}};
	struct diag diag = {0};
	char *end = NULL;
	int64_t count = argc == 4 ? strtoll(argv[3], &end, 10) : 0;
	bool packed = argc == 4 && strcmp(argv[2], "packed") == 0;

	if (count < 1 || *end || (!packed && strcmp(argv[2], "single") != 0)) {
		(void)fprintf(stderr,
			"usage: make_ledger FILE single|packed ATTEMPTS\n");
		return 2;
	}

	/* SQLite wants the path without symbolic links, and the file. */
	int fd = open(argv[1], O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	_cleanup_free_ char *real = fd < 0 ? NULL : realpath(argv[1], NULL);
	int r = real ? make(&m, real, packed, count, &diag) : -errno;

	if (fd >= 0)
		(void)close(fd); /* nothing was written through it */
	if (r < 0)
		(void)fprintf(stderr, "make_ledger: %s: %s %s\n", argv[1],
			strerror(-r), *diag.text ? diag.text : "");
	names_packer_free(m.packer);
	db_stmt_free(m.attempt);
	db_close(m.db);
	return r < 0;
}
