/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server of a mount and the one who waits for it; see mount_serve.h. In the
 * background the one who waits is the process that was called, and the server
 * its child; in the foreground it is the other way round.
 *
 *	server                          the other
 *	mount, begin to serve
 *	    -- struct report ---------->
 *	                                mount the writable paths
 *	    <---------- an exit code ---
 *	serve to the end                end
 *
 * A report of a failure ends it; so does an exit code that is not EXIT_OK, or
 * the end of the pipe in its place: then the server unmounts.
 */
#include "util/mount_serve.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "fs/base/io.h"
#include "util/exit.h"

/* What the server tells the other. */
struct report {
	int code;
	struct diag diag;
};

/* Its two ends of the pipes. */
struct server {
	int report, verdict; /* -1: there is no other */
	bool daemon;
	bool told; /* that it answers */
	atomic_int
		code; /* of the other; EXIT_OK until it says something else */
	pthread_t listener;
};

static int exit_code_of_mount(int err, bool point)
{
	if (point)
		return EXIT_MOUNT;
	if (err == -ENODEV)
		return EXIT_UNSUPPORTED;
	return err == -ESTALE ? EXIT_NO : (int)exit_code_of(err);
}

/*
 * fusermount3 says why it failed on standard error only. Mount with that going
 * into memory, and add its words to ours.
 */
static int mount_listening(const struct mount_request *q, struct mount **ret,
	bool *ret_point, struct diag *diag)
{
	char said[256];
	_cleanup_close_ int memory = memfd_create("stderr", MFD_CLOEXEC);
	_cleanup_close_ int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

	if (memory < 0 || saved < 0 || dup2(memory, STDERR_FILENO) < 0)
		return diag_errno(diag, -errno, "mount");

	int r = mount_new(&q->opt, ret, ret_point, diag);

	(void)dup2(saved, STDERR_FILENO); /* saved is a good descriptor */
	if (r == 0)
		return 0;

	ssize_t n = io_pread(memory, said, sizeof(said) - 1, 0);
	size_t used = strlen(diag->text);

	said[n > 0 ? n : 0] = '\0';
	said[strcspn(said, "\n")] = '\0';
	if (said[0])
		(void)snprintf(diag->text + used, sizeof(diag->text) - used,
			" (%s)", said);
	return r;
}

/* ---- the server ---- */

/* Wait for the other's verdict. */
static void *listen_to_other(void *arg)
{
	struct server *s = arg;
	int code;

	if (io_read(s->verdict, &code, sizeof(code)) != (ssize_t)sizeof(code))
		code = EXIT_SYSTEM; /* it was killed */
	if (code == EXIT_OK)
		return NULL;
	atomic_store(&s->code, code);
	(void)kill(getpid(), SIGTERM); /* as everybody ends a server */
	return NULL;
}

/* Signals are for the thread that serves, so this one takes none. */
static void start_listening(struct server *s)
{
	sigset_t all, before;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&s->listener, NULL, listen_to_other, s) == 0)
		(void)pthread_detach(s->listener);
	else
		(void)kill(getpid(), SIGTERM); /* nobody could end it */
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* From here on a daemon is on its own. */
static void leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; null >= 0 && fd <= STDERR_FILENO; fd++)
		(void)dup2(null, fd); /* closing them is what matters */
	if (null > STDERR_FILENO)
		(void)close(null);
}

static void tell_ready(void *arg)
{
	struct server *s = arg;
	struct report report = {.code = EXIT_OK};

	if (s->daemon)
		leave_terminal();
	if (s->report < 0)
		return;
	if (s->verdict >= 0)
		start_listening(s);
	s->told = io_write(s->report, &report, sizeof(report)) == 0;
}

/* The unmounted of mount_options: who mounts next may have the state. */
static void give_up_state(void *arg)
{
	struct mount_upper *u = arg;

	if (u->lock >= 0)
		(void)close(take_fd(u->lock)); /* nothing is written to it */
}

/* Mount and serve to the end. */
static int serve(struct mount_request *q, struct server *s)
{
	struct report report = {.code = EXIT_OK};
	struct mount *m = NULL;
	bool point = false;
	int r;

	/* The plan is made; the server has the image for itself. */
	if (q->upper.plan.count) {
		image_free(q->upper.img);
		q->upper.img = NULL;
	}
	q->opt.places = q->upper.places;
	q->opt.place_count = q->upper.place_count;
	q->opt.policy = q->upper.plan.count ? &q->upper.plan.policy : NULL;
	q->opt.unmounted = give_up_state;
	q->opt.unmounted_arg = &q->upper;
	r = mount_listening(q, &m, &point, &report.diag);
	if (r == 0)
		r = where_ledger_link(&q->ledger, &report.diag);
	if (r == 0) {
		r = mount_serve(m, tell_ready, s);
		mount_free(m);
		if (r == 0)
			return atomic_load(&s->code);
		(void)diag_errno(&report.diag, r, "serving %s", q->image);
	} else {
		mount_free(m);
	}
	report.code = exit_code_of_mount(r, point);
	if (!s->daemon)
		return fail(
			(enum exit_code)report.code, "%s", report.diag.text);
	if (!s->told && io_write(s->report, &report, sizeof(report)) < 0)
		return EXIT_SYSTEM;
	return report.code;
}

/* ---- the other ---- */

/* Wait for the server, and then do what is left to do. */
static int wait_and_attach(
	struct mount_request *q, int report_from, int verdict_to, bool daemon)
{
	struct report report;
	struct stat st;
	ssize_t n = io_read(report_from, &report, sizeof(report));
	int code = EXIT_OK;

	if (n != (ssize_t)sizeof(report))
		return daemon ? fail(EXIT_SYSTEM,
					"%s: the server ended before it "
					"answered",
					q->image)
			      : EXIT_SYSTEM; /* and has said why */
	if (report.code != EXIT_OK)
		return fail(
			(enum exit_code)report.code, "%s", report.diag.text);

	/* Ready means that it answers: let it. */
	if (stat(q->mount_point, &st) < 0)
		code = fail(
			EXIT_SYSTEM, "%s: %s", q->mount_point, strerror(errno));
	if (code == EXIT_OK)
		code = mount_upper_attach(&q->upper, &q->words, &q->opt);
	if (verdict_to < 0)
		return code;
	if (io_write(verdict_to, &code, sizeof(code)) < 0)
		return code ? code
			    : fail(EXIT_SYSTEM, "%s: the server ended",
				      q->image);
	/* Until it has unmounted: its end of the pipe closes. */
	if (code != EXIT_OK)
		(void)!io_read(report_from, &report, sizeof(report));
	return code;
}

static int become_daemon(struct mount_request *q, int report[2], int verdict[2])
{
	struct server s = {.report = report[1],
		.verdict = q->upper.plan.count ? verdict[0] : -1,
		.daemon = true};
	pid_t pid = fork();

	if (pid < 0)
		return fail(EXIT_SYSTEM, "fork: %s", strerror(errno));
	if (pid == 0) {
		(void)close(report[0]);
		(void)close(verdict[1]);
		(void)setsid(); /* fails only for a group leader; a child is
				   none */
		if (chdir("/") < 0)
			_exit(EXIT_SYSTEM);
		_exit(serve(q, &s));
	}
	(void)close(report[1]);
	(void)close(verdict[0]);
	return wait_and_attach(
		q, report[0], s.verdict < 0 ? -1 : verdict[1], true);
}

static int stay(struct mount_request *q, int report[2], int verdict[2])
{
	struct server s = {.report = -1, .verdict = -1};
	pid_t pid;

	if (q->upper.plan.count == 0)
		return serve(q, &s);
	s.report = report[1];
	s.verdict = verdict[0];
	pid = fork();
	if (pid < 0)
		return fail(EXIT_SYSTEM, "fork: %s", strerror(errno));
	if (pid == 0) {
		(void)close(report[1]);
		(void)close(verdict[0]);
		_exit(wait_and_attach(q, report[0], verdict[1], false));
	}
	(void)close(report[0]);
	(void)close(verdict[1]);
	return serve(q, &s);
}

int mount_serve_request(struct mount_request *q, bool foreground)
{
	int report[2], verdict[2];

	if (pipe2(report, O_CLOEXEC) < 0 || pipe2(verdict, O_CLOEXEC) < 0)
		return fail(EXIT_SYSTEM, "pipe: %s", strerror(errno));
	/* Who has ended does not read what it is told; that is no reason to
	 * die of it. */
	(void)signal(SIGPIPE, SIG_IGN);
	return foreground ? stay(q, report, verdict)
			  : become_daemon(q, report, verdict);
}
