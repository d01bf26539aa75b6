/* SPDX-License-Identifier: Apache-2.0 */
/* What is seen, put together; see look.h. */
#include "fs/doctor/look.h"

#include <string.h>

#include "fs/doctor/look_internal.h"

static void daemon_done(struct doctor_daemon *d)
{
	free(d->cgroup);
	free(d->ledger);
}

static void mount_done(struct doctor_mount *m)
{
	for (size_t i = 0; i < m->seen_count; i++) {
		mountinfo_done(&m->seen[i].m);
		free(m->seen[i].cover);
	}
	free(m->seen);
	daemon_done(&m->daemon);
	free(m->store.ledger);
	free(m->store.folder);
	free(m->store.fstype);
	free(m->store.fs_dir);
}

void doctor_facts_done(struct doctor_facts *f)
{
	for (size_t i = 0; i < f->mount_count; i++)
		mount_done(&f->mounts[i]);
	free(f->mounts);
	for (size_t i = 0; i < f->litter_count; i++)
		free(f->litter[i].path);
	free(f->litter);
	free(f->machine.hide);
	*f = (struct doctor_facts){0};
}

void look_daemons_done(struct look_daemons *d)
{
	for (size_t i = 0; i < d->count; i++)
		daemon_done(&d->all[i]);
	free(d->all);
	*d = (struct look_daemons){0};
}

/* ---- one mount ---- */

/* By way of the first place where nothing lies above it. */
static void look_state(struct doctor_mount *m, const struct doctor_look *how)
{
	for (size_t i = 0; i < m->seen_count; i++) {
		const struct doctor_seen *s = &m->seen[i];

		if (s->cover)
			continue;
		m->state = how->probe(s);
		if (m->state != DOCTOR_UNKNOWN)
			return;
	}
}

/* The daemon by what it serves; where the kernel does not tell, by the ledger
 * that it writes. */
static void find_daemon(struct doctor_mount *m, struct look_daemons *d)
{
	for (size_t i = 0; i < d->count; i++) {
		struct doctor_daemon *one = &d->all[i];
		bool is_it = one->has_connection
				     ? one->connection == m->minor
				     : one->ledger && m->store.ledger &&
					       strcmp(one->ledger,
						       m->store.ledger) == 0;

		if (!is_it)
			continue;
		m->daemon = *one;
		*one = (struct doctor_daemon){.pid = 0};
		return;
	}
}

/* What the daemon has open is surer than where it is looked for. */
static int find_ledger(struct doctor_mount *m, const struct doctor_look *how,
	struct look_daemons *d)
{
	struct doctor_store *s = &m->store;

	if (m->seen[0].here && how->ledger_of)
		s->ledger = how->ledger_of(m->seen[0].m.dir);
	find_daemon(m, d);
	if (!m->daemon.ledger)
		return 0;
	free(s->ledger);
	s->ledger = strdup(m->daemon.ledger);
	return s->ledger ? 0 : -ENOMEM;
}

static void look_read_ahead(struct doctor_mount *m)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb",
		m->major, m->minor);

	_cleanup_free_ char *text = look_text(path);

	if (text)
		m->read_ahead_kib = (uint32_t)strtoul(text, NULL, 10);
}

static int look_mount(struct doctor_mount *m, const struct doctor_look *how,
	struct look_daemons *d)
{
	int r = find_ledger(m, how, d);

	if (r == 0)
		r = look_store(&m->store);
	if (r < 0)
		return r;
	m->store.in_place = m->store.folder && how->ledgers &&
			    strcmp(m->store.folder, how->ledgers) == 0;
	look_state(m, how);
	look_read_ahead(m);
	return 0;
}

/* Of all litter leave only what belongs to the mounts. */
static void keep_litter(struct doctor_facts *f)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->litter_count; i++) {
		struct doctor_litter *l = &f->litter[i];
		bool wanted = false;

		for (size_t n = 0; n < f->mount_count; n++) {
			const char *ledger = f->mounts[n].store.ledger;
			size_t len = ledger ? strlen(ledger) : 0;

			wanted |= len && !l->is_link &&
				  strncmp(l->path, ledger, len) == 0 &&
				  strcmp(l->path + len, "-lock") == 0;
		}
		if (wanted)
			f->litter[kept++] = *l;
		else
			free(l->path);
	}
	f->litter_count = kept;
}

/* Leave only what is mounted there, in the namespace of who asks. */
static int keep_only(
	struct doctor_facts *f, const char *only, struct diag *diag)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->mount_count; i++) {
		struct doctor_mount *m = &f->mounts[i];
		bool wanted = false;

		for (size_t n = 0; n < m->seen_count; n++)
			wanted |= m->seen[n].here &&
				  strcmp(m->seen[n].m.dir, only) == 0;
		if (wanted)
			f->mounts[kept++] = *m;
		else
			mount_done(m);
	}
	f->mount_count = kept;
	if (kept)
		return 0;
	return diag_set(diag, -ENOENT,
		"%s: no image is mounted there; 'findmnt -t %s' lists those "
		"that are, or leave the folder out",
		only, MOUNTINFO_FSTYPE);
}

int doctor_look(const struct doctor_look *how, struct doctor_facts *ret,
	struct diag *diag)
{
	struct doctor_facts f = {.mounts = NULL};
	struct look_daemons d = {.all = NULL};
	int r = look_processes(&f, &d);

	if (r == 0 && how->only) {
		r = keep_only(&f, how->only, diag);
		if (r < 0) {
			look_daemons_done(&d);
			doctor_facts_done(&f);
			return r;
		}
	}
	for (size_t i = 0; r == 0 && i < f.mount_count; i++)
		r = look_mount(&f.mounts[i], how, &d);
	if (r == 0 && how->ledgers)
		r = look_litter(&f, &d, how->ledgers);
	if (how->only)
		keep_litter(&f);
	if (r == 0)
		r = look_machine(&f.machine);
	look_daemons_done(&d);
	if (r < 0) {
		doctor_facts_done(&f);
		return diag_errno(diag, r, "looking at this machine");
	}
	*ret = f;
	return 0;
}
