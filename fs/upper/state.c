/* SPDX-License-Identifier: Apache-2.0 */
/* The state folder and its database; see state.h. */
#include "fs/upper/state.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "fs/base/folders.h"
#include "fs/base/io.h"
#include "fs/db/db.h"

struct state {
	char *dir;  /* for messages */
	char *file; /* of the database */
	struct db *db;
	int storage, volumes;
	/* Run once for each file of an image; NULL until the first time. */
	struct db_stmt *put_original, *get_original;
};

/* Bytes are BLOB where they are a path, which may have any. */
static const char schema[] =
	"CREATE TABLE mount("
	"id INTEGER PRIMARY KEY CHECK(id = 1),"
	"mount_point BLOB NOT NULL,"
	"image BLOB NOT NULL,"
	"image_id BLOB NOT NULL CHECK(length(image_id) = 32),"
	"tree_id BLOB NOT NULL CHECK(length(tree_id) = 32),"
	"policy BLOB NOT NULL CHECK(length(policy) = 32),"
	"began INTEGER NOT NULL" /* seconds since 1970 */
	") STRICT;"
	"CREATE TABLE storage("
	"name TEXT PRIMARY KEY,"
	"path BLOB NOT NULL,"
	"place TEXT NOT NULL CHECK(place IN ('folder', 'volume')),"
	"form TEXT NOT NULL CHECK(form IN ('empty', 'overlay', 'file')),"
	"size INTEGER NOT NULL CHECK(size >= 0),"
	/* of the image it was seeded over; NULL: it was not */
	"tree_id BLOB CHECK(length(tree_id) = 32),"
	"made INTEGER NOT NULL,"
	"used INTEGER NOT NULL" /* mounted last */
	") STRICT;"
	"CREATE TABLE original("
	"storage TEXT NOT NULL,"
	"path BLOB NOT NULL,"
	"facts BLOB NOT NULL CHECK(length(facts) = 16),"
	"PRIMARY KEY(storage, path)"
	") STRICT, WITHOUT ROWID;";

/* ---- the lock ---- */

/* Who else can change what lies there decides what programs read. */
static int open_folder(const char *dir, int *ret, struct diag *diag)
{
	_cleanup_close_ int fd =
		open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return diag_errno(diag, -errno, "state folder %s", dir);
	if (st.st_uid != geteuid() || (st.st_mode & 022))
		return diag_set(diag, -EPERM,
			"state folder %s: others than you can change what is "
			"in it; give a folder of your own, with mode 0700",
			dir);
	*ret = take_fd(fd);
	return 0;
}

static int busy(int fd, const char *dir, struct diag *diag)
{
	char holder[512] = "";
	ssize_t n = io_pread(fd, holder, sizeof(holder) - 1, 0);

	holder[n > 0 ? n : 0] = '\0';
	holder[strcspn(holder, "\n")] = '\0';
	return diag_set(diag, -EBUSY,
		"state folder %s: in use by %s; unmount there first, or give "
		"another folder with --state",
		dir, *holder ? holder : "another mount");
}

int state_lock(
	const char *dir, const char *mount_point, int *ret, struct diag *diag)
{
	_cleanup_close_ int folder = -1, fd = -1;
	int r = folders_make(dir, diag);

	if (r == 0)
		r = open_folder(dir, &folder, diag);
	if (r < 0)
		return r;
	fd = openat(folder, "lock",
		O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
	if (fd < 0)
		return diag_errno(diag, -errno, "creating %s/lock", dir);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK
			       ? busy(fd, dir, diag)
			       : diag_errno(diag, -errno, "locking %s", dir);

	/* It only makes the message of the next one better. */
	if (ftruncate(fd, 0) == 0)
		(void)!dprintf(fd, "the mount on %s (process %d)\n",
			mount_point, (int)getpid());
	*ret = take_fd(fd);
	return 0;
}

/* ---- the database ---- */

static int failed(const struct state *s, int err, struct diag *diag)
{
	if (err == -EBADMSG)
		return diag_set(diag, err,
			"%s: it is damaged (%s); what is kept lies in the "
			"folders beside it",
			s->file, db_error(s->db));
	return diag_set(diag, err, "%s: %s", s->file, db_error(s->db));
}

static int create(struct state *s)
{
	char mark[96];
	int r = db_exec(s->db, "BEGIN IMMEDIATE");

	(void)snprintf(mark, sizeof(mark),
		"PRAGMA application_id = %d; PRAGMA user_version = %d",
		STATE_APPLICATION_ID, STATE_VERSION);
	if (r == 0)
		r = db_exec(s->db, schema);
	if (r == 0)
		r = db_exec(s->db, mark);
	if (r == 0)
		r = db_exec(s->db, "COMMIT");
	if (r < 0)
		db_rollback(s->db);
	return r;
}

static int check(struct state *s, struct diag *diag)
{
	int64_t id, version, tables;
	int r = db_exec_int(s->db, "PRAGMA application_id", &id);

	if (r == 0)
		r = db_exec_int(s->db, "PRAGMA user_version", &version);
	if (r == 0)
		r = db_exec_int(
			s->db, "SELECT count(*) FROM sqlite_master", &tables);
	if (r == 0 && id == 0 && tables == 0) {
		r = create(s);
		return r < 0 ? failed(s, r, diag) : 0;
	}
	if (r < 0)
		return failed(s, r, diag);
	if (id != STATE_APPLICATION_ID)
		return diag_set(diag, -EBADMSG,
			"%s: it is a database, but not one of a state folder",
			s->file);
	if (version > STATE_VERSION)
		return diag_set(diag, -EOPNOTSUPP,
			"%s: version %lld is newer than this program, which "
			"knows %d",
			s->file, (long long)version, STATE_VERSION);
	return 0;
}

static int open_db(struct state *s, struct diag *diag)
{
	/* Closed before SQLite opens it, whose locks a close would drop. */
	int fd = open(s->file, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return diag_errno(diag, -errno, "creating %s", s->file);
	(void)close(fd);

	int r = db_open(s->file, 0, &s->db, diag);

	return r < 0 ? r : check(s, diag);
}

static int open_sub(int dir, const char *name, int *ret)
{
	if (mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	*ret = openat(
		dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *ret < 0 ? -errno : 0;
}

int state_open(const char *dir, struct state **ret, struct diag *diag)
{
	_cleanup_(state_close) struct state *s = calloc(1, sizeof(*s));
	_cleanup_close_ int fd = -1;
	int r;

	if (!s)
		return diag_errno(diag, -ENOMEM, "state folder %s", dir);
	s->storage = s->volumes = -1;
	s->dir = realpath(dir, NULL);
	if (!s->dir)
		return diag_errno(diag, -errno, "state folder %s", dir);
	if (asprintf(&s->file, "%s/state.db", s->dir) < 0) {
		s->file = NULL;
		return diag_errno(diag, -ENOMEM, "state folder %s", dir);
	}
	r = open_folder(s->dir, &fd, diag);
	if (r == 0)
		r = open_db(s, diag);
	if (r < 0)
		return r;
	r = open_sub(fd, "storage", &s->storage);
	if (r == 0)
		r = open_sub(fd, "volumes", &s->volumes);
	if (r < 0)
		return diag_errno(diag, r, "state folder %s", dir);
	*ret = take_ptr(s);
	return 0;
}

void state_close(struct state *s)
{
	if (!s)
		return;
	db_stmt_free(s->put_original);
	db_stmt_free(s->get_original);
	db_close(s->db);
	if (s->storage >= 0)
		(void)close(s->storage); /* nothing is written through it */
	if (s->volumes >= 0)
		(void)close(s->volumes); /* likewise */
	free(s->file);
	free(s->dir);
	free(s);
}

int state_storage_fd(const struct state *s)
{
	return s->storage;
}

int state_volumes_fd(const struct state *s)
{
	return s->volumes;
}

/* ---- records ---- */

int state_begin(struct state *s, struct diag *diag)
{
	int r = db_exec(s->db, "BEGIN IMMEDIATE");

	return r < 0 ? failed(s, r, diag) : 0;
}

int state_commit(struct state *s, struct diag *diag)
{
	int r = db_exec(s->db, "COMMIT");

	if (r < 0) {
		(void)failed(s, r, diag);
		db_rollback(s->db);
	}
	return r;
}

void state_abort(struct state *s)
{
	db_rollback(s->db);
}

static void bind_digest(struct db_stmt *q, const struct digest *d)
{
	db_bind_bytes(q, d->bytes, sizeof(d->bytes));
}

int state_put_mount(
	struct state *s, const struct state_mount *m, struct diag *diag)
{
	_cleanup_(db_stmt_free) struct db_stmt *q = NULL;
	int r = db_prepare(s->db,
		"REPLACE INTO mount(id, mount_point, image, image_id, tree_id, "
		"policy, began) VALUES(1, ?, ?, ?, ?, ?, ?)",
		&q);

	if (r == 0) {
		db_bind_bytes(q, m->mount_point, strlen(m->mount_point));
		db_bind_bytes(q, m->image, strlen(m->image));
		bind_digest(q, &m->image_id);
		bind_digest(q, &m->tree_id);
		bind_digest(q, &m->policy);
		db_bind_int(q, time(NULL));
		r = db_run(q);
	}
	return r < 0 ? failed(s, r, diag) : 0;
}

static const char *const place_words[] = {
	[PLAN_FOLDER] = "folder",
	[PLAN_VOLUME] = "volume",
};

static const char *const form_words[] = {
	[PLAN_EMPTY] = "empty",
	[PLAN_OVERLAY] = "overlay",
	[PLAN_FILE] = "file",
};

/* The index of a column's word; -EBADMSG. */
static int word(
	struct db_stmt *q, int column, const char *const *words, size_t count)
{
	size_t len;
	const char *text = db_bytes(q, column, &len);

	for (size_t i = 0; text && i < count; i++) {
		if (words[i] && strlen(words[i]) == len &&
			memcmp(words[i], text, len) == 0)
			return (int)i;
	}
	return -EBADMSG;
}

/* The row as it is; whoever wrote it may have been a stranger. */
static int read_storage(struct db_stmt *q, struct state_storage *ret)
{
	size_t len = 0;
	int place = word(q, 0, place_words, ARRAY_LEN(place_words));
	int form = word(q, 1, form_words, ARRAY_LEN(form_words));
	const void *tree = db_bytes(q, 3, &len);

	if (place < 0 || form < 0 || db_int(q, 2) < 0 ||
		(tree && len != DIGEST_LEN))
		return -EBADMSG;
	*ret = (struct state_storage){
		.place = (enum plan_place)place,
		.form = (enum plan_form)form,
		.size = (uint64_t)db_int(q, 2),
		.seeded = tree,
	};
	if (tree)
		memcpy(ret->tree_id.bytes, tree, DIGEST_LEN);
	return 0;
}

int state_get(struct state *s, const char *name, struct state_storage *ret,
	struct diag *diag)
{
	_cleanup_(db_stmt_free) struct db_stmt *q = NULL;
	int r = db_prepare(s->db,
		"SELECT place, form, size, tree_id FROM storage WHERE name = ?",
		&q);

	if (r == 0) {
		db_bind_text(q, name);
		r = db_next(q);
		if (r == 0)
			return -ENOENT;
	}
	if (r > 0)
		r = read_storage(q, ret);
	return r < 0 ? failed(s, r, diag) : 0;
}

int state_put(struct state *s, const char *name, const char *path,
	const struct state_storage *storage, struct diag *diag)
{
	_cleanup_(db_stmt_free) struct db_stmt *q = NULL;
	int64_t now = time(NULL);
	int r = db_prepare(s->db,
		"INSERT INTO storage(name, path, place, form, size, tree_id, "
		"made, used) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7) "
		"ON CONFLICT(name) DO UPDATE SET path = ?2, place = ?3, "
		"form = ?4, size = ?5, tree_id = ?6, used = ?7",
		&q);

	if (r == 0) {
		db_bind_text(q, name);
		db_bind_bytes(q, path, strlen(path));
		db_bind_text(q, place_words[storage->place]);
		db_bind_text(q, form_words[storage->form]);
		db_bind_int(q, (int64_t)storage->size);
		if (storage->seeded)
			bind_digest(q, &storage->tree_id);
		else
			db_bind_null(q);
		db_bind_int(q, now);
		r = db_run(q);
	}
	return r < 0 ? failed(s, r, diag) : 0;
}

/* ---- what the image had ---- */

int state_forget_originals(struct state *s, const char *name, struct diag *diag)
{
	_cleanup_(db_stmt_free) struct db_stmt *q = NULL;
	int r = db_prepare(s->db, "DELETE FROM original WHERE storage = ?", &q);

	if (r == 0) {
		db_bind_text(q, name);
		r = db_run(q);
	}
	return r < 0 ? failed(s, r, diag) : 0;
}

int state_put_original(struct state *s, const char *name, const char *path,
	const struct state_facts *facts, struct diag *diag)
{
	struct db_stmt **q = &s->put_original;
	int r = *q ? 0
		   : db_prepare(
			     s->db, "REPLACE INTO original VALUES(?, ?, ?)", q);

	if (r == 0) {
		db_bind_text(*q, name);
		db_bind_bytes(*q, path, strlen(path));
		db_bind_bytes(*q, facts->bytes, sizeof(facts->bytes));
		r = db_run(*q);
	}
	return r < 0 ? failed(s, r, diag) : 0;
}

int state_get_original(struct state *s, const char *name, const char *path,
	struct state_facts *ret, struct diag *diag)
{
	struct db_stmt **q = &s->get_original;
	size_t len = 0;
	int r = *q ? 0
		   : db_prepare(s->db,
			     "SELECT facts FROM original WHERE storage = ? "
			     "AND path = ?",
			     q);

	if (r < 0)
		return failed(s, r, diag);
	db_bind_text(*q, name);
	db_bind_bytes(*q, path, strlen(path));
	r = db_next(*q);
	if (r > 0) {
		const void *facts = db_bytes(*q, 0, &len);

		if (facts && len == sizeof(ret->bytes))
			memcpy(ret->bytes, facts, len);
		else
			r = -EBADMSG;
	} else if (r == 0) {
		r = -ENOENT;
	}
	db_rewind(*q);
	if (r < 0 && r != -ENOENT)
		return failed(s, r, diag);
	return r < 0 ? r : 0;
}
