/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt ROOT < SCRIPT: make the system calls that the lines of the script
 * name, relative to ROOT, and say for each what came back: "ok" or the name of
 * the errno. ROOT is entered before the identity changes.
 *
 * A line is a call and its arguments, separated by one blank; %XX is a byte.
 * With --times N the lines are gone through in turn until N calls were made,
 * every '@' in an argument replaced by the number of the call, and at the end
 * one line for each line of the script counts the results: "EROFS=12 ok=1".
 * With --log each result is also written down, by one write before the next
 * call, as "LINE NUMBER RESULT"; the first ENOTCONN then ends the run.
 */
#include "tests/system/attempt.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINES_MAX 4096
#define LINE_MAX_BYTES 16384
#define ERRNO_MAX 256

struct line {
	const struct attempt_kind *kind;
	char *args[ATTEMPT_ARGS_MAX];
	unsigned count[ERRNO_MAX];
};

enum thread_kind { THREAD_NONE, THREAD_PLAIN, THREAD_LONELY };

struct run {
	struct attempt_identity who;
	struct attempt_place place;
	struct line *lines;
	size_t line_count;
	long long times; /* 0: every line once, and the results one by one */
	bool log;
	enum thread_kind thread;
};

void attempt_die(const char *what)
{
	(void)fprintf(stderr, "attempt: %s: %s\n", what, strerror(errno));
	_exit(2);
}

long long attempt_number(const char *text)
{
	/* Callers may be about to look at the errno of a call. */
	int before = errno;
	char *end;
	long long n;

	errno = 0;
	n = strtoll(text, &end, 0);
	if (errno || end == text || *end) {
		errno = EINVAL;
		attempt_die(text);
	}
	errno = before;
	return n;
}

static const struct attempt_kind *kind_find(const char *name)
{
	const struct attempt_kind *const tables[] = {
		attempt_changes, attempt_looks};
	const struct attempt_kind *k;

	for (size_t i = 0; i < 2; i++)
		for (k = tables[i]; k->name; k++)
			if (!strcmp(k->name, name))
				return k;
	errno = ENOSYS;
	attempt_die(name);
}

static int hex(char c)
{
	const char *digits = "0123456789abcdef", *at = strchr(digits, c);

	if (!c || !at) {
		errno = EINVAL;
		attempt_die("not a hexadecimal digit");
	}
	return (int)(at - digits);
}

/* Undo the %XX in place. */
static void decode(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (*s == '%') {
			*to++ = (char)(hex(s[1]) << 4 | hex(s[2]));
			s += 2;
		} else {
			*to++ = *s;
		}
	}
	*to = 0;
}

static void line_parse(struct line *l, char *text)
{
	char *word = strsep(&text, " ");
	int n = 0;

	l->kind = kind_find(word);
	while ((word = strsep(&text, " ")) && n < ATTEMPT_ARGS_MAX) {
		l->args[n] = strdup(word);
		if (!l->args[n])
			attempt_die("strdup");
		decode(l->args[n++]);
	}
	if (n != l->kind->args) {
		errno = EINVAL;
		attempt_die(l->kind->name);
	}
}

static void script_read(struct run *r)
{
	char *text = NULL;
	size_t room = 0;
	ssize_t len;

	r->lines = calloc(LINES_MAX, sizeof(*r->lines));
	if (!r->lines)
		attempt_die("calloc");
	while ((len = getline(&text, &room, stdin)) > 0) {
		if (text[len - 1] == '\n')
			text[--len] = 0;
		if (r->line_count == LINES_MAX || len >= LINE_MAX_BYTES) {
			errno = E2BIG;
			attempt_die("script");
		}
		line_parse(&r->lines[r->line_count++], text);
	}
	free(text);
}

/* Replace every '@' of the argument by the number. */
static void numbered(char *to, size_t room, const char *arg, long long number)
{
	size_t used = 0;

	for (; *arg && used + 24 < room; arg++) {
		if (*arg == '@')
			used += (size_t)snprintf(
				to + used, room - used, "%lld", number);
		else
			to[used++] = *arg;
	}
	to[used] = 0;
}

static int line_run(const struct run *r, struct line *l, long long number)
{
	static _Thread_local char room[ATTEMPT_ARGS_MAX][LINE_MAX_BYTES];
	char *args[ATTEMPT_ARGS_MAX];

	if (!r->times)
		return l->kind->run(&r->place, l->args);
	for (int i = 0; i < l->kind->args; i++) {
		numbered(room[i], sizeof(room[i]), l->args[i], number);
		args[i] = room[i];
	}
	return l->kind->run(&r->place, args);
}

static const char *error_name(int err)
{
	const char *name = err ? strerrorname_np(-err) : "ok";

	return name ? name : "?";
}

static void result_log(size_t line, long long number, int err)
{
	char text[96];
	int len = snprintf(text, sizeof(text), "%zu %lld %s\n", line, number,
		error_name(err));

	if (write(STDOUT_FILENO, text, (size_t)len) != len)
		attempt_die("log");
}

static void counts_print(const struct run *r)
{
	for (size_t i = 0; i < r->line_count; i++) {
		const char *gap = "";

		for (int e = 0; e < ERRNO_MAX; e++) {
			if (!r->lines[i].count[e])
				continue;
			(void)printf("%s%s=%u", gap, error_name(-e),
				r->lines[i].count[e]);
			gap = " ";
		}
		(void)printf("\n");
	}
}

static void *run_all(void *arg)
{
	struct run *r = arg;
	long long total = r->times ? r->times : (long long)r->line_count;

	attempt_become(&r->who);
	for (long long n = 0; n < total; n++) {
		size_t i = (size_t)(n % (long long)r->line_count);
		int err = line_run(r, &r->lines[i], n);

		if (-err < 0 || -err >= ERRNO_MAX)
			attempt_die("impossible errno");
		r->lines[i].count[-err]++;
		if (r->log)
			result_log(i, n, err);
		else if (!r->times)
			(void)printf("%s\n", error_name(err));
		if (r->log && err == -ENOTCONN)
			break;
	}
	if (r->times && !r->log)
		counts_print(r);
	if (fflush(stdout))
		attempt_die("standard output");
	if (r->thread == THREAD_LONELY)
		_exit(0);
	return NULL;
}

static void usage(void)
{
	(void)fprintf(stderr,
		"usage: attempt [--uid N] [--ruid N] [--gid N] [--groups N,N] "
		"[--caps none|NAME,NAME] [--userns self|BASE] [--hold PATH] "
		"[--times N] [--log] [--thread plain|lonely] ROOT\n");
	exit(2);
}

static void option_take(struct run *r, int option, const char **hold)
{
	switch (option) {
	case 'u': r->who.uid = attempt_number(optarg); break;
	case 'r': r->who.ruid = attempt_number(optarg); break;
	case 'g': r->who.gid = attempt_number(optarg); break;
	case 'G': r->who.groups = optarg; break;
	case 'c': r->who.caps = optarg; break;
	case 'n': r->who.userns = optarg; break;
	case 'h': *hold = optarg; break;
	case 't': r->times = attempt_number(optarg); break;
	case 'l': r->log = true; break;
	case 'T':
		r->thread =
			strcmp(optarg, "lonely") ? THREAD_PLAIN : THREAD_LONELY;
		break;
	default: usage();
	}
}

/* The calls come from a second thread; the first waits or is already gone. */
static void run_thread(struct run *r)
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, run_all, r);
	if (errno)
		attempt_die("pthread_create");
	if (r->thread == THREAD_LONELY)
		pthread_exit(NULL);
	errno = pthread_join(thread, NULL);
	if (errno)
		attempt_die("pthread_join");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"uid", required_argument, NULL, 'u'},
		{"ruid", required_argument, NULL, 'r'},
		{"gid", required_argument, NULL, 'g'},
		{"groups", required_argument, NULL, 'G'},
		{"caps", required_argument, NULL, 'c'},
		{"userns", required_argument, NULL, 'n'},
		{"hold", required_argument, NULL, 'h'},
		{"times", required_argument, NULL, 't'},
		{"log", no_argument, NULL, 'l'},
		{"thread", required_argument, NULL, 'T'},
		{0},
	};
	/* Static: a lonely thread outlives the stack of main. */
	static struct run r = {.who = {.uid = -1, .ruid = -1, .gid = -1},
		.place = {.root = -1, .held = -1}};
	const char *hold = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		option_take(&r, option, &hold);
	if (optind + 1 != argc)
		usage();
	script_read(&r);
	r.place.root = open(argv[optind], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r.place.root < 0 || fchdir(r.place.root))
		attempt_die(argv[optind]);
	if (hold) {
		r.place.held = open(hold, O_RDONLY | O_CLOEXEC);
		if (r.place.held < 0)
			attempt_die(hold);
	}
	if (r.thread == THREAD_NONE)
		run_all(&r);
	else
		run_thread(&r);
	return 0;
}
