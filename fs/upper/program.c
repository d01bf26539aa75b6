/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that work on volumes; see program.h. */
#include "fs/upper/program.h"

#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "fs/base/io.h"

/* posix_spawn does not write to the words, whatever its type says. */
static int spawn(const char *const *argv, int file, int said, pid_t *ret)
{
	static const char *const folders[] = {"/usr/sbin", "/sbin", "/usr/bin"};
	char lang[] = "LC_ALL=C", *env[] = {lang, NULL};
	posix_spawn_file_actions_t actions;
	int r = posix_spawn_file_actions_init(&actions);

	if (r != 0)
		return -r;
	r = posix_spawn_file_actions_adddup2(&actions, said, 1);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, said, 2);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, file, 3);
	if (r == 0)
		r = ENOENT;
	for (size_t i = 0; r == ENOENT && i < ARRAY_LEN(folders); i++) {
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s/%s", folders[i], argv[0]) < 0) {
			path = NULL;
			r = ENOMEM;
			break;
		}
		r = posix_spawn(ret, path, &actions, NULL,
			(char *const *)(uintptr_t)argv, env);
	}
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

int program_run(const char *const *argv, int file, struct diag *diag)
{
	_cleanup_close_ int said = memfd_create("said", MFD_CLOEXEC);
	char text[256];
	pid_t pid;
	int status, r = said < 0 ? -errno : spawn(argv, file, said, &pid);

	if (r == -ENOENT)
		return diag_set(diag, -ENOPKG,
			"a storage with a size needs %s; install the package "
			"e2fsprogs",
			argv[0]);
	if (r < 0)
		return diag_errno(diag, r, "starting %s", argv[0]);
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return diag_errno(
				diag, -errno, "waiting for %s", argv[0]);
	}

	ssize_t len = io_pread(said, text, sizeof(text) - 1, 0);

	text[len > 0 ? len : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	(void)diag_set(diag, -EINVAL, "%s: %s", argv[0],
		*text ? text : "it failed and does not say why");
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}
