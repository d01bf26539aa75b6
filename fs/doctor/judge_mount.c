/* SPDX-License-Identifier: Apache-2.0 */
/* Findings of one mount, wherever it is seen, and of its daemon. */
#include <string.h>

#include "fs/doctor/judge_internal.h"

#define CAP_SYS_PTRACE_BIT (UINT64_C(1) << 19)
#define CAP_SYS_ADMIN_BIT (UINT64_C(1) << 21)

/* Below this the kernel ends other processes first. */
#define OOM_SAFE (-900)

/* ", at /app", " in the mount namespace of process 7 (sh), at /app", or "". */
struct place {
	char text[4400];
};

static struct place place_of(const struct judge *j, const struct doctor_seen *s)
{
	struct place p = {""};

	if (s->here && s != j->mount->seen)
		(void)snprintf(p.text, sizeof(p.text), ", at %s", s->m.dir);
	else if (!s->here)
		(void)snprintf(p.text, sizeof(p.text),
			" in the mount namespace of process %d (%s), at %s",
			(int)s->pid, s->comm, s->m.dir);
	return p;
}

/* How it is mounted, but for writing; all is said, since what is not said mount
 * may take away. */
static void options_for_writing(
	const struct mountinfo *m, const char *first, char *ret, size_t room)
{
	static const char *const words[] = {"nosuid", "nodev", "noexec",
		"noatime", "nodiratime", "relatime", "nosymfollow"};
	size_t used = (size_t)snprintf(ret, room, "%s,rw", first);

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (mountinfo_has(m->options, words[i]))
			used += (size_t)snprintf(
				ret + used, room - used, ",%s", words[i]);
	}
}

static void judge_read_only(struct judge *j, const struct doctor_seen *s)
{
	static const struct judge_kind kind = {DOCTOR_BLIND, "read-only",
		"The kernel refuses writes there before it asks us: they are "
		"not recorded. The image is immutable without it."};
	bool whole = mountinfo_has(s->m.super, "ro");
	struct place at = place_of(j, s);
	char options[128];

	if (whole && s != j->mount->seen)
		return; /* the same everywhere */
	if (!whole && !mountinfo_has(s->m.options, "ro"))
		return;
	options_for_writing(&s->m, whole ? "remount" : "remount,bind", options,
		sizeof(options));
	if (whole)
		judge_add(j, &kind, "the whole file system is read-only");
	else
		judge_add(j, &kind, "mounted read-only%s", at.text);
	judge_mend_there(j, s, "mount", "-i -o %s %s", options, s->m.dir);
}

static void judge_cover(struct judge *j, const struct doctor_seen *s)
{
	static const struct judge_kind kind = {DOCTOR_BLIND, "covered",
		"Whoever goes there meets what lies above, and nothing is "
		"recorded."};
	struct place at = place_of(j, s);

	if (!s->cover)
		return;
	judge_add(j, &kind, "another mount lies above it, on %s%s", s->cover,
		at.text);
	judge_mend_there(j, s, "umount", "%s", s->cover);
}

static void judge_dead(struct judge *j, const struct doctor_seen *s)
{
	static const struct judge_kind kind = {DOCTOR_STALE, "dead",
		"Its daemon is gone: every access fails, and nothing is "
		"recorded."};
	struct place at = place_of(j, s);

	judge_add(j, &kind, "nobody serves it%s", at.text);
	if (s->here)
		judge_mend(j, "stele umount --lazy %s", s->m.dir);
	else
		judge_mend_there(j, s, "umount", "-l %s", s->m.dir);
}

static void judge_stuck(struct judge *j)
{
	static const struct judge_kind stopped = {DOCTOR_RISK, "stopped",
		"Its daemon is stopped: whoever uses it waits until it goes "
		"on."};
	static const struct judge_kind stuck = {DOCTOR_RISK, "stuck",
		"Its daemon does not answer, and whoever uses it waits. A "
		"debugger may show why; the command ends it. What is recorded "
		"stays."};
	const struct doctor_daemon *d = &j->mount->daemon;
	char word[64];

	judge_add(j, d->stopped ? &stopped : &stuck,
		"no answer within some seconds");
	if (d->pid) {
		(void)snprintf(word, sizeof(word), "%d", (int)d->pid);
		judge_mend(
			j, d->stopped ? "kill -CONT %s" : "kill -9 %s", word);
	} else {
		(void)snprintf(word, sizeof(word),
			"/sys/fs/fuse/connections/%u/abort", j->mount->minor);
		judge_mend(j, "echo 1 > %s", word);
	}
}

static void judge_closed(struct judge *j)
{
	static const struct judge_kind kind = {DOCTOR_BLIND, "no-allow-other",
		"Others, root too, are refused by the kernel (EACCES): what "
		"they try is not recorded. Ordinary users need "
		"user_allow_other in /etc/fuse.conf for it."};
	const struct doctor_seen *s = j->mount->seen;

	if (mountinfo_has(s->m.super, "allow_other"))
		return;
	judge_add(j, &kind, "only who mounted it may enter");
	judge_mend_anew(j, &(const struct judge_anew){.option = "allow_other"});
}

void judge_mount(struct judge *j)
{
	const struct doctor_mount *m = j->mount;

	for (size_t i = 0; i < m->seen_count; i++) {
		if (m->state == DOCTOR_DEAD) {
			judge_dead(j, &m->seen[i]);
			continue;
		}
		judge_read_only(j, &m->seen[i]);
		judge_cover(j, &m->seen[i]);
	}
	if (m->state == DOCTOR_STUCK)
		judge_stuck(j);
	if (m->state != DOCTOR_DEAD)
		judge_closed(j);
}

/* ---- its daemon ---- */

static void judge_namespaces(struct judge *j)
{
	static const struct judge_kind pid = {DOCTOR_BLIND, "pid-namespace",
		"Callers outside of that namespace have no process number in "
		"it: what they try is recorded without who they are. Mount it "
		"from the host."};
	static const struct judge_kind user = {DOCTOR_BLIND, "user-namespace",
		"Who has an id that is not mapped there is refused by the "
		"kernel (EOVERFLOW) before we are asked, and not recorded. "
		"Mount it from the host."};
	static const struct judge_anew host = {.by = NULL};
	const struct doctor_daemon *d = &j->mount->daemon;

	if (d->pid_ns && d->pid_ns != DOCTOR_FIRST_PID_NS) {
		judge_add(j, &pid,
			"its daemon, process %d, is not in the first pid "
			"namespace",
			(int)d->pid);
		judge_mend_anew(j, &host);
	}
	if (d->user_ns && d->user_ns != DOCTOR_FIRST_USER_NS && d->knows_ids &&
		!d->has_all_ids) {
		judge_add(j, &user,
			"its daemon, process %d, is in a user namespace that "
			"does not map all ids",
			(int)d->pid);
		judge_mend_anew(j, &host);
	}
}

static void judge_sight(struct judge *j, const struct doctor_machine *machine)
{
	static const struct judge_kind others = {DOCTOR_BLIND, "other-users",
		"Of processes of other users it cannot read the program, the "
		"working directory and the namespaces: records lack them."};
	static const struct judge_kind hidden = {DOCTOR_BLIND, "hidepid",
		"/proc hides processes of other users from its daemon: "
		"records lack who they are."};
	const struct doctor_daemon *d = &j->mount->daemon;

	/* It is what lets root read all of /proc; Yama restricts attaching, not
	 * this. Who enters alone has no others to tell of. */
	if (!d->knows_caps || d->caps & CAP_SYS_PTRACE_BIT ||
		!mountinfo_has(j->mount->seen[0].m.super, "allow_other"))
		return;
	judge_add(j, &others, "its daemon, process %d, is that of uid %u",
		(int)d->pid, (unsigned)d->uid);
	judge_mend_anew(j, &(const struct judge_anew){.by = "sudo "});
	if (!machine->hide)
		return;
	judge_add(
		j, &hidden, "/proc is mounted with hidepid=%s", machine->hide);
	judge_mend(j, "mount -o remount,hidepid=0 /proc");
}

static void judge_memory(struct judge *j)
{
	static const struct judge_kind first = {DOCTOR_RISK, "oom",
		"When memory runs short its daemon is ended early, and with "
		"it the mount."};
	static const struct judge_kind some = {DOCTOR_NOTE, "oom",
		"When memory runs short its daemon may be ended as any other "
		"process, and with it the mount."};
	const struct doctor_daemon *d = &j->mount->daemon;
	char file[64];

	if (!d->knows_oom || d->oom_score_adj <= OOM_SAFE)
		return;
	(void)snprintf(
		file, sizeof(file), "/proc/%d/oom_score_adj", (int)d->pid);
	judge_add(j, d->oom_score_adj > 0 ? &first : &some,
		"oom_score_adj of its daemon, process %d, is %d", (int)d->pid,
		d->oom_score_adj);
	judge_mend(j, "echo -900 > %s", file);
}

static void judge_session(struct judge *j)
{
	static const struct judge_kind kind = {DOCTOR_NOTE, "session",
		"With KillUserProcesses=yes (logind.conf) its daemon ends when "
		"who mounted it logs out."};
	const struct doctor_daemon *d = &j->mount->daemon;

	if (!d->cgroup || !strstr(d->cgroup, "/session-"))
		return;
	judge_add(j, &kind,
		"its daemon, process %d, belongs to a login session",
		(int)d->pid);
	judge_mend_anew(
		j, &(const struct judge_anew){.by = "systemd-run --scope "});
}

static void judge_rights(struct judge *j)
{
	static const struct judge_kind kind = {DOCTOR_NOTE, "no-sys-admin",
		"It cannot set read-ahead, nor have the kernel read files of "
		"the image directly (passthrough)."};
	const struct doctor_daemon *d = &j->mount->daemon;

	if (d->knows_caps && !(d->caps & CAP_SYS_ADMIN_BIT))
		judge_add(j, &kind,
			"its daemon, process %d, runs without CAP_SYS_ADMIN",
			(int)d->pid);
}

void judge_daemon(struct judge *j, const struct doctor_machine *machine)
{
	if (!j->mount->daemon.pid)
		return;
	judge_namespaces(j);
	judge_sight(j, machine);
	judge_memory(j);
	judge_session(j);
	judge_rights(j);
}
