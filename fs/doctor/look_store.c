/* SPDX-License-Identifier: Apache-2.0 */
/* Where ledgers lie, what lies about there, and the machine; see look.h. */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "fs/base/mountinfo.h"
#include "fs/doctor/look_internal.h"

/* At the list of locks, before one is believed to be free. */
#define LOOKS 3

/* ---- the ledger of a mount ---- */

static int look_fs(struct doctor_store *s)
{
	struct mountinfo_list list = {0};
	int r = mountinfo_read("/proc/self/mountinfo", &list);
	const struct mountinfo *m =
		r == 0 ? mountinfo_walk(&list, s->folder) : NULL;

	if (m) {
		s->fstype = strdup(m->fstype);
		s->fs_dir = strdup(m->dir);
		r = s->fstype && s->fs_dir ? 0 : -ENOMEM;
	}
	mountinfo_list_done(&list);
	return r == -ENOMEM ? r : 0;
}

static void look_file(struct doctor_store *s)
{
	_cleanup_free_ char *key = NULL;
	struct stat st;

	if (!s->ledger || stat(s->ledger, &st) < 0)
		return;
	s->has_file = true;
	s->owner = st.st_uid;
	s->mode = st.st_mode & 07777;
	if (asprintf(&key, "%s-key", s->ledger) < 0)
		key = NULL;
	else if (lstat(key, &st) == 0)
		s->key_mode = st.st_mode & 07777;
}

bool doctor_is_remote(const char *fstype)
{
	static const char *const remote[] = {"nfs", "nfs4", "cifs", "smb3",
		"ceph", "afs", "coda", "9p", "ocfs2", "gfs2", "lustre",
		"fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone",
		"fuse.gcsfuse", "fuse.ceph-fuse"};

	for (size_t i = 0; i < ARRAY_LEN(remote); i++) {
		if (strcmp(fstype, remote[i]) == 0)
			return true;
	}
	return false;
}

static void look_room(struct doctor_store *s)
{
	struct statfs st;

	if (statfs(s->folder, &st) < 0)
		return;
	s->bytes = (uint64_t)st.f_blocks * (uint64_t)st.f_frsize;
	s->free = (uint64_t)st.f_bavail * (uint64_t)st.f_frsize;
	/* Only whether there are any: this one there is not. */
	s->knows_xattrs = true;
	s->has_xattrs = getxattr(s->folder, "user.stele", NULL, 0) >= 0 ||
			errno != EOPNOTSUPP;
}

int look_store(struct doctor_store *s)
{
	const char *slash = s->ledger ? strrchr(s->ledger, '/') : NULL;

	if (!slash)
		return 0;
	s->folder = slash == s->ledger
			    ? strdup("/")
			    : strndup(s->ledger, (size_t)(slash - s->ledger));

	int r = s->folder ? look_fs(s) : -ENOMEM;

	if (r < 0 || (s->fstype && doctor_is_remote(s->fstype)))
		return r;
	look_file(s);
	look_room(s);
	return 0;
}

/* ---- litter ---- */

static int add_litter(struct doctor_facts *f, char **path, bool is_link)
{
	void *all = reallocarray(
		f->litter, f->litter_count + 1, sizeof(*f->litter));

	if (!all)
		return -ENOMEM;
	f->litter = all;
	f->litter[f->litter_count++] = (struct doctor_litter){
		.path = take_ptr(*path), .is_link = is_link};
	return 0;
}

static bool ends_with(const char *name, const char *end)
{
	size_t len = strlen(name), n = strlen(end);

	return len > n && strcmp(name + len - n, end) == 0;
}

/* Whether the kernel's list has a lock on such an inode. 1, 0 or -errno. */
static int find_lock(uint64_t ino)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/locks", "re");
	_cleanup_free_ char *line = NULL;
	size_t room = 0;

	if (!f)
		return -errno;
	(void)setvbuf(f, NULL, _IOFBF, 1 << 16); /* only fewer reads */
	while (getline(&line, &room, f) > 0) {
		const char *at = strstr(line, "FLOCK ");
		uint64_t held;

		if (at &&
			sscanf(at, "FLOCK %*s %*s %*d %*x:%*x:%" SCNu64,
				&held) == 1 &&
			held == ino)
			return 1;
	}
	return 0;
}

/*
 * Taking the lock to see whether somebody has it would stop a mount that begins
 * in that moment. So the kernel's list is read; it numbers devices in its own
 * way, and an inode that only looks the same is one lock too many believed in.
 * It comes a page at a time, and when locks go meanwhile, others are left out:
 * one look is not enough.
 */
static bool is_held(uint64_t ino)
{
	for (int i = 0; i < LOOKS; i++) {
		if (find_lock(ino) != 0)
			return true;
	}
	return false;
}

/* A daemon that was seen has it open. */
static bool is_written(const struct doctor_facts *f,
	const struct look_daemons *d, const char *ledger)
{
	for (size_t i = 0; i < f->mount_count; i++) {
		const char *open = f->mounts[i].daemon.ledger;

		if (open && strcmp(open, ledger) == 0)
			return true;
	}
	for (size_t i = 0; i < d->count; i++) {
		if (d->all[i].ledger && strcmp(d->all[i].ledger, ledger) == 0)
			return true;
	}
	return false;
}

static int look_lock(struct doctor_facts *f, const struct look_daemons *d,
	const char *ledger)
{
	_cleanup_free_ char *path = NULL;
	struct stat st;

	if (asprintf(&path, "%s-lock", ledger) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	if (is_written(f, d, ledger) || lstat(path, &st) < 0 ||
		!S_ISREG(st.st_mode) || is_held(st.st_ino))
		return 0;
	return add_litter(f, &path, false);
}

/* A ledger or the link to one: with its lock, wherever it lies. */
static int look_ledger(
	struct doctor_facts *f, const struct look_daemons *d, char **path)
{
	_cleanup_free_ char *real = realpath(*path, NULL);
	struct stat st;

	if (real)
		return look_lock(f, d, real);
	if (errno == ENOENT && lstat(*path, &st) == 0 && S_ISLNK(st.st_mode))
		return add_litter(f, path, true);
	return 0;
}

static int look_entry(struct doctor_facts *f, const struct look_daemons *d,
	const char *folder, const char *name)
{
	_cleanup_free_ char *path = NULL;

	if (!ends_with(name, ".ledger") && !ends_with(name, ".ledger.new"))
		return 0;
	if (asprintf(&path, "%s/%s", folder, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	return look_ledger(f, d, &path);
}

int look_litter(struct doctor_facts *f, const struct look_daemons *d,
	const char *folder)
{
	_cleanup_closedir_ DIR *dir = opendir(folder);
	struct dirent *e;
	int r = 0;

	while (r == 0 && dir && (e = readdir(dir)))
		r = look_entry(f, d, folder, e->d_name);
	return r;
}

/* ---- the machine ---- */

/* hidepid= of /proc, when it hides anything. */
static int look_proc(struct doctor_machine *m)
{
	struct mountinfo_list list = {0};
	int r = mountinfo_read("/proc/self/mountinfo", &list);
	const struct mountinfo *proc =
		r == 0 ? mountinfo_walk(&list, "/proc") : NULL;
	const char *at = proc ? strstr(proc->super, "hidepid=") : NULL;

	if (at && strncmp(at + 8, "off", 3) != 0 && at[8] != '0') {
		m->hide = strndup(at + 8, strcspn(at + 8, ","));
		r = m->hide ? 0 : -ENOMEM;
	}
	mountinfo_list_done(&list);
	return r == -ENOMEM ? r : 0;
}

int look_machine(struct doctor_machine *m)
{
	_cleanup_free_ char *uring =
		look_text("/sys/module/fuse/parameters/enable_uring");
	struct utsname name;
	struct stat st;

	m->is_root = geteuid() == 0;
	if (uname(&name) == 0 && sscanf(name.release, "%u.%u", &m->release[0],
					 &m->release[1]) != 2)
		m->release[0] = 0;
	m->has_device = stat("/dev/fuse", &st) == 0 && S_ISCHR(st.st_mode);
	m->knows_device = m->has_device || errno == ENOENT;
	m->device_mode = m->has_device ? st.st_mode & 07777 : 0;
	m->uring = uring ? *uring : '\0';
	return look_proc(m);
}
