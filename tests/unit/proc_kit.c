/* SPDX-License-Identifier: Apache-2.0 */
/* Children to look at; see proc_kit.h. */
#include "tests/unit/proc_kit.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/base/io.h"

void start(struct child *c, const char *folder, const char *script)
{
	int in[2], out[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	c->pid = fork();
	assert_true(c->pid >= 0);
	if (c->pid == 0) {
		if (chdir(folder) == 0 && dup2(in[0], 0) == 0 &&
			dup2(out[1], 1) == 1)
			execl("/bin/sh", "sh", "-c", script, "zero", "a b", "",
				"\xff\n", (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	c->to = in[1];
	c->from = out[0];
}

void await_line(const struct child *c)
{
	char letter = 0;

	while (letter != '\n')
		assert_int_equal(io_read(c->from, &letter, 1), 1);
}

void tell(const struct child *c)
{
	assert_int_equal(io_write(c->to, "go\n", 3), 0);
}

void stop(struct child *c)
{
	close(c->to);
	close(c->from);
	kill(c->pid, SIGKILL);
	assert_int_equal(waitpid(c->pid, NULL, 0), c->pid);
}

struct proc_table *must_make(const struct proc_options *opt)
{
	static const struct proc_options defaults;
	struct proc_table *t = NULL;

	assert_int_equal(proc_table_new(opt ? opt : &defaults, &t), 0);
	return t;
}

void same_bytes(const struct proc_bytes *b, const char *want, size_t len)
{
	assert_non_null(b->data);
	assert_int_equal(b->len, len);
	assert_memory_equal(b->data, want, len);
}

void same_text(const struct proc_bytes *b, const char *want)
{
	same_bytes(b, want, strlen(want));
}

void same_link(const struct proc_bytes *b, const char *link)
{
	char text[4096];
	ssize_t n = readlink(link, text, sizeof(text));

	assert_true(n > 0);
	same_bytes(b, text, (size_t)n);
}
