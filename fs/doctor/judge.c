/* SPDX-License-Identifier: Apache-2.0 */
/* Findings, and those of the machine as a whole; see judge.h. */
#include "fs/doctor/judge.h"

#include <stdarg.h>
#include <string.h>

#include "fs/base/buf.h"
#include "fs/doctor/judge_internal.h"

#define COMMAND_MAX (256u << 10)

/* What a mount by root sets; see fs/mount/session.c. */
#define READ_AHEAD_KIB 1024

const char *doctor_level_name(enum doctor_level level)
{
	static const char *const names[] = {
		[DOCTOR_BLIND] = "blind",
		[DOCTOR_RISK] = "risk",
		[DOCTOR_SLOW] = "slow",
		[DOCTOR_STALE] = "stale",
		[DOCTOR_NOTE] = "note",
	};

	return names[level];
}

void doctor_findings_done(struct doctor_findings *f)
{
	for (size_t i = 0; i < f->count; i++) {
		free(f->all[i].what);
		free(f->all[i].command);
	}
	free(f->all);
	*f = (struct doctor_findings){0};
}

size_t doctor_findings_bad(const struct doctor_findings *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->count; i++)
		n += f->all[i].level != DOCTOR_NOTE;
	return n;
}

/* ---- commands ---- */

/* A shell takes these for nothing but themselves. */
static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (c && strchr("_@%+=:,./-", c));
}

/* Within $'...': bash, and POSIX since 2024. */
static int add_escaped(struct buf *b, const char *word)
{
	int r = buf_add(b, "$'", 2);

	for (; r == 0 && *word; word++) {
		if (*word == '\'' || *word == '\\')
			r = buf_printf(b, "\\%c", *word);
		else if (*word >= ' ' && *word <= '~')
			r = buf_add(b, word, 1);
		else
			r = buf_printf(b, "\\%03o", (unsigned char)*word);
	}
	return r < 0 ? r : buf_add(b, "'", 1);
}

static int add_word(struct buf *b, const char *word)
{
	bool plain = *word != '\0', printable = true;

	for (const char *p = word; *p; p++) {
		plain = plain && is_plain(*p);
		printable = printable && *p >= ' ' && *p <= '~' && *p != '\'';
	}
	if (plain)
		return buf_add(b, word, strlen(word));
	return printable ? buf_printf(b, "'%s'", word) : add_escaped(b, word);
}

static int add_words(
	struct buf *b, const char *before, const char *word, const char *behind)
{
	int r = buf_add(b, before, strlen(before));

	if (r == 0)
		r = add_word(b, word);
	return r < 0 ? r : buf_add(b, behind, strlen(behind));
}

char *doctor_quote(const char *word)
{
	_cleanup_buf_ struct buf b = {.max = COMMAND_MAX};

	if (add_word(&b, word) < 0 || buf_add(&b, "", 1) < 0)
		return NULL;
	return take_ptr(b.data);
}

static int add_format(struct buf *b, const char *format, va_list ap)
{
	int r = 0;

	for (; r == 0 && *format; format++) {
		if (*format != '%')
			r = buf_add(b, format, 1);
		else if (*++format == 's')
			r = add_word(b, va_arg(ap, const char *));
		else
			r = buf_add(b, "%", 1);
	}
	return r;
}

/* The command of the last finding; r: how making it went so far. */
static void keep_command(struct judge *j, struct buf *b, int r)
{
	if (r == 0)
		r = buf_add(b, "", 1);
	if (r < 0)
		j->error = r;
	else
		j->findings->all[j->findings->count - 1].command =
			take_ptr(b->data);
}

void judge_mend(struct judge *j, const char *format, ...)
{
	_cleanup_buf_ struct buf b = {.max = COMMAND_MAX};
	va_list ap;

	if (j->error < 0)
		return;
	va_start(ap, format);
	keep_command(j, &b, add_format(&b, format, ap));
	va_end(ap);
}

/* Not nsenter, which would run as root a program that the container has. */
void judge_mend_there(struct judge *j, const struct doctor_seen *s,
	const char *program, const char *format, ...)
{
	_cleanup_buf_ struct buf b = {.max = COMMAND_MAX};
	va_list ap;

	if (j->error < 0)
		return;

	int r = buf_printf(&b, "%s ", program);

	if (r == 0 && !s->here)
		r = buf_printf(&b, "-N %d ", (int)s->pid);
	va_start(ap, format);
	keep_command(j, &b, r < 0 ? r : add_format(&b, format, ap));
	va_end(ap);
}

static int add_anew(struct buf *b, const struct doctor_seen *s,
	const struct judge_anew *how)
{
	const char *options[] = {
		how->option,
		mountinfo_has(s->m.options, "nosuid") ? NULL : "suid",
		mountinfo_has(s->m.options, "noexec") ? "noexec" : NULL,
	};
	int r = add_words(b, "stele umount ", s->m.dir, " && ");

	if (r == 0)
		r = buf_printf(b, "%sstele mount ", how->by ? how->by : "");
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(options); i++) {
		if (options[i])
			r = add_words(b, "-o ", options[i], " ");
	}
	if (r == 0 && how->ledger)
		r = add_words(b, "--ledger ", how->ledger, " ");
	if (r == 0)
		r = add_words(b, "", s->m.source, " ");
	return r < 0 ? r : add_words(b, "", s->m.dir, "");
}

void judge_mend_anew(struct judge *j, const struct judge_anew *how)
{
	_cleanup_buf_ struct buf b = {.max = COMMAND_MAX};
	const struct doctor_mount *m = j->mount;
	struct judge_anew all = *how;

	/* Where else a daemon should live is not ours to say. */
	if (j->error < 0 || !m->seen[0].here)
		return;
	/* One that is not in the place where readers look must be named. */
	if (!all.ledger && m->store.ledger && !m->store.in_place)
		all.ledger = m->store.ledger;

	keep_command(j, &b, add_anew(&b, &m->seen[0], &all));
}

/* ---- findings ---- */

static struct doctor_finding *new_finding(struct doctor_findings *f)
{
	if (f->count == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 16;
		void *all = reallocarray(f->all, cap, sizeof(*f->all));

		if (!all)
			return NULL;
		f->all = all;
		f->cap = cap;
	}
	return &f->all[f->count];
}

void judge_add(
	struct judge *j, const struct judge_kind *kind, const char *what, ...)
{
	struct doctor_finding *f =
		j->error < 0 ? NULL : new_finding(j->findings);
	va_list ap;

	if (!f) {
		j->error = -ENOMEM;
		return;
	}
	*f = (struct doctor_finding){.level = kind->level,
		.kind = kind->kind,
		.why = kind->why,
		.mount = j->mount};
	va_start(ap, what);
	if (vasprintf(&f->what, what, ap) < 0)
		j->error = -ENOMEM;
	else
		j->findings->count++;
	va_end(ap);
}

/* ---- the machine ---- */

static bool older(
	const struct doctor_machine *m, unsigned major, unsigned minor)
{
	return m->release[0] &&
	       (m->release[0] < major ||
		       (m->release[0] == major && m->release[1] < minor));
}

static void judge_kernel(struct judge *j, const struct doctor_machine *m)
{
	static const struct judge_kind tmpfile = {DOCTOR_BLIND, "old-kernel",
		"A file system like ours is asked about unnamed files "
		"(O_TMPFILE) since Linux 6.1. Before, the kernel refuses them "
		"by itself, and they are not recorded."};
	static const struct judge_kind uring = {DOCTOR_NOTE, "io-uring",
		"Requests go through read and write of /dev/fuse, as they do "
		"on every kernel."};

	if (older(m, 6, 1))
		judge_add(j, &tmpfile, "Linux %u.%u", m->release[0],
			m->release[1]);
	if (m->uring == 'N')
		judge_add(j, &uring,
			"FUSE over io_uring is switched off in the kernel");
}

static void judge_device(struct judge *j, const struct doctor_machine *m)
{
	static const struct judge_kind missing = {DOCTOR_RISK, "no-device",
		"Nothing can be mounted, and what was unmounted not again."};
	static const struct judge_kind closed = {DOCTOR_NOTE, "device-mode",
		"Only root can mount images. For root's mounts that is as it "
		"should be."};

	if (!m->knows_device)
		return;
	if (!m->has_device) {
		judge_add(j, &missing, "there is no /dev/fuse");
		judge_mend(j, "modprobe fuse");
	} else if ((m->device_mode & 0006) != 0006) {
		judge_add(j, &closed, "/dev/fuse has mode %04o",
			(unsigned)m->device_mode & 07777);
		judge_mend(j, "chmod 0666 /dev/fuse");
	}
}

static void judge_view(struct judge *j, const struct doctor_machine *m)
{
	static const struct judge_kind user = {DOCTOR_NOTE, "unseen",
		"A mount of ours may be read-only or covered there without "
		"being told here. Root sees more."};
	static const struct judge_kind root = {DOCTOR_NOTE, "unseen",
		"A mount of ours may be read-only or covered there without "
		"being told here."};

	if (!m->unseen)
		return;
	judge_add(j, m->is_root ? &root : &user,
		"the mounts of %zu process%s could not be read", m->unseen,
		m->unseen == 1 ? "" : "es");
	if (!m->is_root)
		judge_mend(j, "sudo stele doctor");
}

static void judge_litter(struct judge *j, const struct doctor_litter *l)
{
	static const struct judge_kind lock = {DOCTOR_STALE, "stale-lock",
		"The daemon that held it did not end in order. It does no "
		"harm; the ledger itself is whole and stays."};
	static const struct judge_kind link = {DOCTOR_STALE, "dangling-link",
		"The ledger that it names is gone, or on something that is "
		"not mounted now."};

	if (l->is_link)
		judge_add(j, &link, "%s leads to nothing", l->path);
	else
		judge_add(j, &lock, "%s: nobody holds this lock", l->path);
	judge_mend(j, "stele doctor --clean");
}

static void judge_speed(struct judge *j)
{
	static const struct judge_kind slow = {DOCTOR_SLOW, "read-ahead",
		"A sequential reader waits for each piece instead of having "
		"the next ones under way. 1024 is what a mount by root "
		"sets."};
	static const struct judge_kind note = {DOCTOR_NOTE, "read-ahead",
		"A mount by an ordinary user cannot set it; 1024 lets a "
		"sequential reader have the next pieces under way."};
	const struct doctor_mount *m = j->mount;
	bool by_root = mountinfo_has(m->seen[0].m.super, "user_id=0");
	char file[64];

	if (!m->read_ahead_kib || m->read_ahead_kib >= READ_AHEAD_KIB)
		return;
	(void)snprintf(file, sizeof(file), "/sys/class/bdi/%u:%u/read_ahead_kb",
		m->major, m->minor);
	judge_add(j, by_root ? &slow : &note, "read-ahead is %u KiB",
		m->read_ahead_kib);
	judge_mend(j, "echo 1024 > %s", file);
}

int doctor_judge(const struct doctor_facts *facts, struct doctor_findings *ret)
{
	struct judge j = {.findings = ret};

	for (size_t i = 0; i < facts->mount_count; i++) {
		j.mount = &facts->mounts[i];
		judge_mount(&j);
		if (j.mount->state != DOCTOR_DEAD) {
			judge_daemon(&j, &facts->machine);
			judge_speed(&j);
		}
		judge_store(&j);
	}
	j.mount = NULL;
	for (size_t i = 0; i < facts->litter_count; i++)
		judge_litter(&j, &facts->litter[i]);
	judge_kernel(&j, &facts->machine);
	judge_device(&j, &facts->machine);
	judge_view(&j, &facts->machine);
	return j.error;
}
