/* SPDX-License-Identifier: Apache-2.0 */
/* What the doctor finds in a machine that is described to it. */
#include "tests/unit/unit.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/base/io.h"
#include "fs/doctor/judge.h"

#define LINE_HERE                                                   \
	"42 27 0:39 / /srv/app rw,nosuid,nodev - fuse.stele /i/app" \
	".stele rw,user_id=0,group_id=0,allow_other\n"
#define LINE_THERE                                                  \
	"77 60 0:39 / /in/it's rw,nosuid,nodev - fuse.stele /i/app" \
	".stele rw,user_id=0,group_id=0,allow_other\n"

static void parse(struct mountinfo *m, const char *line)
{
	assert_int_equal(mountinfo_parse(line, m), 0);
}

static char *copy(const char *text)
{
	char *c = strdup(text);

	assert_non_null(c);
	return c;
}

static void set(char **text, const char *value)
{
	free(*text);
	*text = value ? copy(value) : NULL;
}

/* One mount that is seen in two namespaces, all as it should be. */
static struct doctor_facts healthy(void)
{
	struct doctor_facts f = {
		.machine = {.release = {6, 18},
			.knows_device = true,
			.has_device = true,
			.device_mode = 0666,
			.uring = 'Y',
			.is_root = true},
		.mounts = calloc(1, sizeof(struct doctor_mount)),
		.mount_count = 1,
	};
	struct doctor_mount *m = f.mounts;

	assert_non_null(m);
	m->minor = 39;
	m->seen = calloc(2, sizeof(*m->seen));
	assert_non_null(m->seen);
	m->seen_count = 2;
	m->seen[0] = (struct doctor_seen){
		.ns = 1, .here = true, .pid = 7, .comm = "sh"};
	m->seen[1] = (struct doctor_seen){.ns = 2, .pid = 8, .comm = "web"};
	parse(&m->seen[0].m, LINE_HERE);
	parse(&m->seen[1].m, LINE_THERE);
	m->state = DOCTOR_ANSWERS;
	m->daemon = (struct doctor_daemon){.pid = 9,
		.pid_ns = DOCTOR_FIRST_PID_NS,
		.user_ns = DOCTOR_FIRST_USER_NS,
		.knows_uid = true,
		.knows_caps = true,
		.caps = UINT64_MAX,
		.knows_ids = true,
		.has_all_ids = true,
		.knows_oom = true,
		.oom_score_adj = -900,
		.cgroup = copy("0::/system.slice/app.mount\n")};
	m->store = (struct doctor_store){.ledger = copy("/v/app.ledger"),
		.in_place = true,
		.folder = copy("/v"),
		.fstype = copy("ext4"),
		.fs_dir = copy("/"),
		.bytes = UINT64_C(100) << 30,
		.free = UINT64_C(50) << 30,
		.knows_xattrs = true,
		.has_xattrs = true,
		.has_file = true,
		.mode = 0600,
		.key_mode = 0600};
	m->read_ahead_kib = 1024;
	return f;
}

/* The one finding that there must be. */
static void check(struct doctor_facts *f, enum doctor_level level,
	const char *kind, const char *command)
{
	struct doctor_findings all = {.all = NULL};

	assert_int_equal(doctor_judge(f, &all), 0);
	for (size_t i = 0; i < all.count; i++)
		print_message("%s %s: %s\n",
			doctor_level_name(all.all[i].level), all.all[i].kind,
			all.all[i].what);
	assert_int_equal(all.count, 1);
	assert_string_equal(all.all[0].kind, kind);
	assert_int_equal(all.all[0].level, level);
	assert_true(strlen(all.all[0].why) > 20);
	if (command)
		assert_string_equal(all.all[0].command, command);
	else
		assert_null(all.all[0].command);
	assert_int_equal(doctor_findings_bad(&all), level != DOCTOR_NOTE);
	doctor_findings_done(&all);
	doctor_facts_done(f);
}

static void test_all_is_well(void **state)
{
	struct doctor_facts f = healthy();
	struct doctor_findings all = {.all = NULL};

	(void)state;
	assert_int_equal(doctor_judge(&f, &all), 0);
	assert_int_equal(all.count, 0);
	assert_int_equal(doctor_findings_bad(&all), 0);
	doctor_findings_done(&all);
	doctor_facts_done(&f);
}

/* Nothing could be found out: nothing is said. */
static void test_unknown_is_no_finding(void **state)
{
	struct doctor_facts f = {
		.mounts = calloc(1, sizeof(*f.mounts)), .mount_count = 1};
	struct doctor_findings all = {.all = NULL};

	(void)state;
	assert_non_null(f.mounts);
	f.mounts->seen = calloc(1, sizeof(*f.mounts->seen));
	assert_non_null(f.mounts->seen);
	f.mounts->seen_count = 1;
	parse(&f.mounts->seen->m, LINE_HERE);
	f.mounts->daemon.pid = 5;
	assert_int_equal(doctor_judge(&f, &all), 0);
	assert_int_equal(all.count, 0);
	doctor_findings_done(&all);
	doctor_facts_done(&f);
}

static void test_read_only(void **state)
{
	struct doctor_facts f = healthy();

	(void)state;
	set(&f.mounts->seen[0].m.options, "ro,nosuid");
	check(&f, DOCTOR_BLIND, "read-only",
		"mount -i -o remount,bind,rw,nosuid /srv/app");
	f = healthy();
	set(&f.mounts->seen[1].m.options, "nosuid,ro");
	check(&f, DOCTOR_BLIND, "read-only",
		"mount -N 8 -i -o remount,bind,rw,nosuid $'/in/it\\'s'");
	/* One finding, although it is so everywhere. */
	f = healthy();
	set(&f.mounts->seen[0].m.super, "ro,allow_other");
	set(&f.mounts->seen[1].m.super, "ro,allow_other");
	check(&f, DOCTOR_BLIND, "read-only",
		"mount -i -o remount,rw,nosuid,nodev /srv/app");
}

static void test_covered(void **state)
{
	struct doctor_facts f = healthy();

	(void)state;
	f.mounts->seen[0].cover = copy("/srv");
	check(&f, DOCTOR_BLIND, "covered", "umount /srv");
	f = healthy();
	f.mounts->seen[1].cover = copy("/in/it's");
	check(&f, DOCTOR_BLIND, "covered", "umount -N 8 $'/in/it\\'s'");
}

static void test_dead(void **state)
{
	struct doctor_facts f = healthy();
	struct doctor_findings all = {.all = NULL};

	(void)state;
	f.mounts->state = DOCTOR_DEAD;
	f.mounts->read_ahead_kib = 128; /* what matters no more */
	set(&f.mounts->seen[0].m.super, "rw");
	assert_int_equal(doctor_judge(&f, &all), 0);
	assert_int_equal(all.count, 2);
	assert_string_equal(all.all[0].kind, "dead");
	assert_string_equal(all.all[0].command, "stele umount --lazy /srv/app");
	assert_string_equal(all.all[1].command, "umount -N 8 -l $'/in/it\\'s'");
	doctor_findings_done(&all);
	doctor_facts_done(&f);

	f = healthy();
	f.mounts->state = DOCTOR_STUCK;
	check(&f, DOCTOR_RISK, "stuck", "kill -9 9");
	f = healthy();
	f.mounts->state = DOCTOR_STUCK;
	f.mounts->daemon.stopped = true;
	check(&f, DOCTOR_RISK, "stopped", "kill -CONT 9");
	f = healthy();
	f.mounts->state = DOCTOR_STUCK;
	f.mounts->daemon.pid = 0;
	check(&f, DOCTOR_RISK, "stuck",
		"echo 1 > /sys/fs/fuse/connections/39/abort");
}

#define ANEW "stele umount /srv/app && "

static void test_who_may_enter(void **state)
{
	struct doctor_facts f = healthy();

	(void)state;
	set(&f.mounts->seen[0].m.super, "rw,user_id=0,group_id=0");
	check(&f, DOCTOR_BLIND, "no-allow-other",
		ANEW "stele mount -o allow_other /i/app.stele /srv/app");
}

/* What it was mounted with is kept. */
static void test_anew_keeps_options(void **state)
{
	struct doctor_facts f = healthy();
	struct doctor_mount *m = f.mounts;

	(void)state;
	set(&m->seen[0].m.super, "rw");
	set(&m->seen[0].m.options, "rw,nodev,noexec");
	m->store.in_place = false;
	check(&f, DOCTOR_BLIND, "no-allow-other",
		ANEW "stele mount -o allow_other -o suid -o noexec --ledger "
		     "/v/app.ledger /i/app.stele /srv/app");
}

static void test_daemon(void **state)
{
	struct doctor_facts f = healthy();

	(void)state;
	f.mounts->daemon.pid_ns = 4026532000;
	check(&f, DOCTOR_BLIND, "pid-namespace",
		ANEW "stele mount /i/app.stele /srv/app");
	f = healthy();
	f.mounts->daemon.user_ns = 4026532000;
	f.mounts->daemon.has_all_ids = false;
	check(&f, DOCTOR_BLIND, "user-namespace",
		ANEW "stele mount /i/app.stele /srv/app");
	/* In a container only, where we cannot say how it is started. */
	f = healthy();
	f.mounts->daemon.pid_ns = 4026532000;
	f.mounts->seen[0].here = false;
	check(&f, DOCTOR_BLIND, "pid-namespace", NULL);
	/* Of another namespace, but nobody is left out. */
	f = healthy();
	f.mounts->daemon.user_ns = 4026532000;
	f.mounts->daemon.oom_score_adj = 0;
	check(&f, DOCTOR_NOTE, "oom", "echo -900 > /proc/9/oom_score_adj");
	f = healthy();
	f.mounts->daemon.oom_score_adj = 1;
	check(&f, DOCTOR_RISK, "oom", "echo -900 > /proc/9/oom_score_adj");
	f = healthy();
	set(&f.mounts->daemon.cgroup,
		"0::/user.slice/user-0.slice/session-1.scope\n");
	check(&f, DOCTOR_NOTE, "session",
		ANEW "systemd-run --scope stele mount /i/app.stele /srv/app");
	f = healthy();
	f.mounts->daemon.caps &= ~(UINT64_C(1) << 21);
	check(&f, DOCTOR_NOTE, "no-sys-admin", NULL);
	f = healthy();
	f.mounts->daemon.caps &= ~(UINT64_C(1) << 19);
	check(&f, DOCTOR_BLIND, "other-users",
		ANEW "sudo stele mount /i/app.stele /srv/app");
}

static void test_hidepid(void **state)
{
	struct doctor_facts f = healthy();
	struct doctor_findings all = {.all = NULL};

	(void)state;
	/* Root sees through it. */
	f.machine.hide = copy("invisible");
	assert_int_equal(doctor_judge(&f, &all), 0);
	assert_int_equal(all.count, 0);
	f.mounts->daemon.caps &= ~(UINT64_C(1) << 19);
	assert_int_equal(doctor_judge(&f, &all), 0);
	assert_int_equal(all.count, 2);
	assert_string_equal(all.all[1].kind, "hidepid");
	assert_string_equal(
		all.all[1].command, "mount -o remount,hidepid=0 /proc");
	doctor_findings_done(&all);
	doctor_facts_done(&f);
}

static void test_where_the_ledger_is(void **state)
{
	struct doctor_facts f = healthy();

	(void)state;
	set(&f.mounts->store.fstype, "tmpfs");
	check(&f, DOCTOR_RISK, "in-memory",
		ANEW "stele mount --ledger /var/lib/stele/srv-app.ledger "
		     "/i/app.stele /srv/app");
	f = healthy();
	set(&f.mounts->store.fstype, "nfs4");
	check(&f, DOCTOR_RISK, "remote",
		ANEW "stele mount --ledger /var/lib/stele/srv-app.ledger "
		     "/i/app.stele /srv/app");
	f = healthy();
	f.mounts->store.has_xattrs = false;
	check(&f, DOCTOR_NOTE, "no-xattrs", NULL);
}

static void test_full(void **state)
{
	static const char look[] = "du -xh / | sort -h | tail -n 20";
	struct doctor_facts f = healthy();
	struct doctor_findings all = {.all = NULL};

	(void)state;
	f.mounts->store.free = f.mounts->store.bytes / 20 - 1;
	check(&f, DOCTOR_RISK, "full", look);
	f = healthy();
	f.mounts->store.bytes = UINT64_C(640) << 20;
	f.mounts->store.free = (UINT64_C(64) << 20) - 1;
	check(&f, DOCTOR_RISK, "full", look);
	f = healthy();
	f.mounts->store.bytes = UINT64_C(640) << 20;
	f.mounts->store.free = UINT64_C(64) << 20;
	assert_int_equal(doctor_judge(&f, &all), 0);
	assert_int_equal(all.count, 0);
	doctor_findings_done(&all);
	doctor_facts_done(&f);

	/* What lies in memory can be made larger. */
	f = healthy();
	set(&f.mounts->store.fstype, "tmpfs");
	set(&f.mounts->store.fs_dir, "/v");
	f.mounts->store.bytes = UINT64_C(1) << 20;
	f.mounts->store.free = 0;
	assert_int_equal(doctor_judge(&f, &all), 0);
	assert_int_equal(all.count, 2);
	assert_string_equal(
		all.all[1].command, "mount -o remount,size=130M /v");
	doctor_findings_done(&all);
	doctor_facts_done(&f);
}

static void test_modes(void **state)
{
	struct doctor_facts f = healthy();

	(void)state;
	f.mounts->store.mode = 0640;
	check(&f, DOCTOR_RISK, "ledger-mode", "chmod 0600 /v/app.ledger");
	f = healthy();
	f.mounts->store.key_mode = 0604;
	check(&f, DOCTOR_RISK, "key-mode", "chmod 0600 /v/app.ledger-key");
	f = healthy();
	f.mounts->store.owner = 1000;
	check(&f, DOCTOR_RISK, "ledger-owner", "chown 0 /v/app.ledger");
}

static void test_read_ahead(void **state)
{
	static const char command[] =
		"echo 1024 > /sys/class/bdi/0:39/read_ahead_kb";
	struct doctor_facts f = healthy();

	(void)state;
	f.mounts->read_ahead_kib = 128;
	check(&f, DOCTOR_SLOW, "read-ahead", command);
	/* Which a user cannot help. */
	f = healthy();
	f.mounts->read_ahead_kib = 128;
	set(&f.mounts->seen[0].m.super, "rw,user_id=1000,allow_other");
	check(&f, DOCTOR_NOTE, "read-ahead", command);
}

static void test_machine(void **state)
{
	struct doctor_facts f = healthy();

	(void)state;
	f.machine.release[0] = 5;
	check(&f, DOCTOR_BLIND, "old-kernel", NULL);
	f = healthy();
	f.machine.release[1] = 0;
	check(&f, DOCTOR_BLIND, "old-kernel", NULL);
	f = healthy();
	f.machine.uring = 'N';
	check(&f, DOCTOR_NOTE, "io-uring", NULL);
	f = healthy();
	f.machine.has_device = false;
	check(&f, DOCTOR_RISK, "no-device", "modprobe fuse");
	f = healthy();
	f.machine.device_mode = 0600;
	check(&f, DOCTOR_NOTE, "device-mode", "chmod 0666 /dev/fuse");
	f = healthy();
	f.machine.unseen = 1;
	check(&f, DOCTOR_NOTE, "unseen", NULL);
	f = healthy();
	f.machine.unseen = 2;
	f.machine.is_root = false;
	check(&f, DOCTOR_NOTE, "unseen", "sudo stele doctor");
}

static void test_litter(void **state)
{
	for (int link = 0; link < 2; link++) {
		struct doctor_facts f = healthy();

		(void)state;
		f.litter = calloc(1, sizeof(*f.litter));
		assert_non_null(f.litter);
		f.litter_count = 1;
		f.litter->path = copy("/v/x");
		f.litter->is_link = link;
		check(&f, DOCTOR_STALE, link ? "dangling-link" : "stale-lock",
			"stele doctor --clean");
	}
}

/* ---- words for a shell ---- */

static void from_shell(const char *word, char *ret, size_t room)
{
	_cleanup_free_ char *quoted = doctor_quote(word);
	_cleanup_free_ char *script = NULL;
	int ends[2], status;

	assert_non_null(quoted);
	for (const char *p = quoted; *p; p++)
		assert_true(*p >= ' ' && *p <= '~');
	assert_true(asprintf(&script, "printf '%%s' %s", quoted) > 0);
	assert_int_equal(pipe(ends), 0);

	pid_t pid = fork();

	if (pid == 0) {
		(void)dup2(ends[1], 1);
		execl("/bin/bash", "bash", "-c", script, (char *)NULL);
		_exit(127);
	}
	assert_true(pid > 0);
	close(ends[1]);

	ssize_t n = io_read(ends[0], ret, room - 1);

	close(ends[0]);
	assert_true(n >= 0);
	ret[n] = '\0';
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_quoting(void **state)
{
	static const char *const words[] = {"", "plain", "/a/b-c_d.e", "a b",
		"it's", "$(id)", "`id`", "a;b&&c|d>e", "*?[x]", "!x", "~", "#x",
		"\\", "\\'", "\n", "a\tb\033[31m", "\xff\xfe", "\xc3\xa9'\n",
		"\x7f", "-n", "\0017"};
	char got[256];

	(void)state;
	if (access("/bin/bash", X_OK) < 0)
		skip_because("no /bin/bash");
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		from_shell(words[i], got, sizeof(got));
		assert_string_equal(got, words[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_is_well),
		cmocka_unit_test(test_unknown_is_no_finding),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_covered),
		cmocka_unit_test(test_dead),
		cmocka_unit_test(test_who_may_enter),
		cmocka_unit_test(test_anew_keeps_options),
		cmocka_unit_test(test_daemon),
		cmocka_unit_test(test_hidepid),
		cmocka_unit_test(test_where_the_ledger_is),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_read_ahead),
		cmocka_unit_test(test_machine),
		cmocka_unit_test(test_litter),
		cmocka_unit_test(test_quoting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
