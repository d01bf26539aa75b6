/* SPDX-License-Identifier: Apache-2.0 */
/* Findings of the place where the ledger of a mount lies. */
#include <inttypes.h>
#include <string.h>

#include "fs/doctor/judge_internal.h"

/* Below either the disk is full soon. */
#define FREE_MIN (UINT64_C(64) << 20)
#define FREE_PART 20

/* Where a ledger outlives the machine's boot on any Debian. */
#define LASTING "/var/lib/stele/"

static bool is_in_memory(const struct doctor_store *s)
{
	return s->fstype && (strcmp(s->fstype, "tmpfs") == 0 ||
				    strcmp(s->fstype, "ramfs") == 0);
}

/* /srv/app: /var/lib/stele/srv-app.ledger; only a proposal. */
static void mend_elsewhere(struct judge *j)
{
	char path[4400];
	const char *dir = j->mount->seen[0].m.dir;
	int n = snprintf(path, sizeof(path), LASTING "%s.ledger",
		dir[1] ? dir + 1 : "root");

	if (n >= (int)sizeof(path))
		return; /* no command is better than a wrong one */
	for (char *p = path + strlen(LASTING); *p; p++)
		*p = *p == '/' ? '-' : *p;
	judge_mend_anew(j, &(const struct judge_anew){.ledger = path});
}

static void judge_place(struct judge *j)
{
	static const struct judge_kind memory = {DOCTOR_RISK, "in-memory",
		"Its records are gone at the next boot."};
	static const struct judge_kind remote = {DOCTOR_RISK, "remote",
		"SQLite's log and locks do not work over a network: records "
		"can be damaged, and the network can stop the mount."};
	const struct doctor_store *s = &j->mount->store;

	if (is_in_memory(s)) {
		judge_add(j, &memory, "its ledger %s lies on %s", s->ledger,
			s->fstype);
		mend_elsewhere(j);
	} else if (s->fstype && doctor_is_remote(s->fstype)) {
		judge_add(j, &remote, "its ledger %s lies on %s", s->ledger,
			s->fstype);
		mend_elsewhere(j);
	}
}

static void judge_room(struct judge *j)
{
	static const struct judge_kind kind = {DOCTOR_RISK, "full",
		"When it is full, attempts are still refused, but only "
		"counted, or what on-full= says."};
	const struct doctor_store *s = &j->mount->store;

	if (!s->bytes ||
		(s->free >= FREE_MIN && s->free >= s->bytes / FREE_PART))
		return;
	judge_add(j, &kind,
		"%" PRIu64 " MiB of %" PRIu64 " are free where its ledger is, "
		"in %s",
		s->free >> 20, s->bytes >> 20, s->folder);
	if (is_in_memory(s) && s->fs_dir) {
		uint64_t more = s->bytes / 10 > 2 * FREE_MIN ? s->bytes / 10
							     : 2 * FREE_MIN;
		char size[32];

		(void)snprintf(size, sizeof(size), "%" PRIu64 "M",
			((s->bytes + more) >> 20) + 1);
		judge_mend(j, "mount -o remount,size=%s %s", size, s->fs_dir);
	} else {
		/* Which files may go is not ours to say. */
		judge_mend(j, "du -xh %s | sort -h | tail -n 20",
			s->fs_dir ? s->fs_dir : s->folder);
	}
}

static void judge_mode(struct judge *j)
{
	static const struct judge_kind open = {DOCTOR_RISK, "ledger-mode",
		"Command lines in it can hold secrets, and who can write to it "
		"can change it."};
	static const struct judge_kind key = {DOCTOR_RISK, "key-mode",
		"Who reads it can sign records of their own from now on: "
		"replace it by a new epoch after this."};
	static const struct judge_kind owner = {
		DOCTOR_RISK, "ledger-owner", "Its owner can change it."};
	const struct doctor_store *s = &j->mount->store;
	const struct doctor_daemon *d = &j->mount->daemon;
	char name[4400], uid[16];

	if (!s->has_file || !s->ledger)
		return;
	if (s->mode & 077) {
		judge_add(j, &open, "%s has mode %04o", s->ledger,
			(unsigned)s->mode & 07777);
		judge_mend(j, "chmod 0600 %s", s->ledger);
	}
	if (s->key_mode & 077) {
		(void)snprintf(name, sizeof(name), "%s-key", s->ledger);
		judge_add(j, &key, "%s has mode %04o", name,
			(unsigned)s->key_mode & 07777);
		judge_mend(j, "chmod 0600 %s", name);
	}
	if (d->pid && d->knows_uid && d->uid != s->owner) {
		(void)snprintf(uid, sizeof(uid), "%u", (unsigned)d->uid);
		judge_add(j, &owner, "%s belongs to uid %u, its daemon to %s",
			s->ledger, (unsigned)s->owner, uid);
		judge_mend(j, "chown %s %s", uid, s->ledger);
	}
}

void judge_store(struct judge *j)
{
	static const struct judge_kind xattrs = {DOCTOR_NOTE, "no-xattrs",
		"Ledgers need none. What 'stele extract' writes there would "
		"lose those of the image."};
	const struct doctor_store *s = &j->mount->store;

	if (s->ledger && s->folder) {
		judge_place(j);
		judge_room(j);
		if (s->knows_xattrs && !s->has_xattrs)
			judge_add(j, &xattrs, "%s has no extended attributes",
				s->folder);
	}
	judge_mode(j);
}
