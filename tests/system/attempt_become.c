/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Become somebody else: ids, groups, capabilities, a user namespace. All with
 * bare system calls, which change the calling thread and not the process.
 */
#include "tests/system/attempt.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define GROUPS_MAX 64

static const struct {
	const char *name;
	unsigned bit;
} capabilities[] = {
	{"chown", CAP_CHOWN},
	{"dac_override", CAP_DAC_OVERRIDE},
	{"dac_read_search", CAP_DAC_READ_SEARCH},
	{"fowner", CAP_FOWNER},
	{"mknod", CAP_MKNOD},
	{"setfcap", CAP_SETFCAP},
	{"sys_admin", CAP_SYS_ADMIN},
	{"sys_chroot", CAP_SYS_CHROOT},
};

static void become_groups(const char *list)
{
	gid_t groups[GROUPS_MAX];
	size_t n = 0;

	while (*list && n < GROUPS_MAX) {
		size_t len = strcspn(list, ",");
		char word[32] = {0};

		if (len >= sizeof(word))
			attempt_die("group");
		memcpy(word, list, len);
		groups[n++] = (gid_t)attempt_number(word);
		list += len + (list[len] == ',');
	}
	if (syscall(SYS_setgroups, n, groups))
		attempt_die("setgroups");
}

static uint64_t capability_mask(const char *list)
{
	uint64_t mask = 0;

	if (!strcmp(list, "none"))
		return 0;
	while (*list) {
		size_t len = strcspn(list, ","), i, n;

		n = sizeof(capabilities) / sizeof(capabilities[0]);
		for (i = 0; i < n; i++) {
			const char *name = capabilities[i].name;

			if (strlen(name) == len && !strncmp(name, list, len))
				break;
		}
		if (i == n) {
			errno = EINVAL;
			attempt_die(list);
		}
		mask |= UINT64_C(1) << capabilities[i].bit;
		list += len + (list[len] == ',');
	}
	return mask;
}

static void become_capable(const char *list)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	uint64_t mask = capability_mask(list);
	struct __user_cap_data_struct data[2] = {
		{(uint32_t)mask, (uint32_t)mask, 0},
		{(uint32_t)(mask >> 32), (uint32_t)(mask >> 32), 0},
	};

	if (syscall(SYS_capset, &head, data))
		attempt_die("capset");
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		attempt_die(path);
	(void)close(fd); /* the kernel took the write */
}

/* A child that stayed outside writes the map of its parent, once told. */
static pid_t map_range_later(const char *base, int tell)
{
	pid_t parent = getpid(), child = fork();
	char path[64], text[64], byte;

	if (child < 0)
		attempt_die("fork");
	if (child)
		return child;
	if (read(tell, &byte, 1) != 1)
		_exit(1);
	(void)snprintf(text, sizeof(text), "0 %s 65536", base);
	(void)snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)parent);
	write_file(path, text);
	(void)snprintf(path, sizeof(path), "/proc/%d/gid_map", (int)parent);
	write_file(path, text);
	_exit(0);
}

static void become_namespace_range(const char *base)
{
	int pipes[2], status = 1;
	pid_t child;

	if (pipe2(pipes, O_CLOEXEC))
		attempt_die("pipe");
	child = map_range_later(base, pipes[0]);
	if (unshare(CLONE_NEWUSER) || write(pipes[1], "x", 1) != 1)
		attempt_die("unshare");
	if (waitpid(child, &status, 0) != child || status)
		attempt_die("map the ids");
	if (syscall(SYS_setresgid, 0, 0, 0) || syscall(SYS_setresuid, 0, 0, 0))
		attempt_die("become root of the namespace");
}

static void become_namespace_self(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	char text[64];

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
		attempt_die("unshare");
	write_file("/proc/self/setgroups", "deny");
	(void)snprintf(text, sizeof(text), "0 %u 1", uid);
	write_file("/proc/self/uid_map", text);
	(void)snprintf(text, sizeof(text), "0 %u 1", gid);
	write_file("/proc/self/gid_map", text);
}

void attempt_become(const struct attempt_identity *who)
{
	if (who->groups)
		become_groups(who->groups);
	if (who->caps && prctl(PR_SET_KEEPCAPS, 1))
		attempt_die("keep capabilities");
	if (who->gid >= 0 &&
		syscall(SYS_setresgid, who->gid, who->gid, who->gid))
		attempt_die("setresgid");
	if (who->uid >= 0 &&
		syscall(SYS_setresuid, who->ruid >= 0 ? who->ruid : who->uid,
			who->uid, who->uid))
		attempt_die("setresuid");
	if (who->caps)
		become_capable(who->caps);
	/* As after a login: /proc/self belongs to the new user. */
	if (prctl(PR_SET_DUMPABLE, 1))
		attempt_die("prctl");
	if (who->userns && !strcmp(who->userns, "self"))
		become_namespace_self();
	else if (who->userns)
		become_namespace_range(who->userns);
}
