/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes and threads that were seen; see proc.h for the identity rules.
 * Files of /proc are read without the lock: two threads may meet the same new
 * process at once, and then the first one to enter it in the table wins.
 */
#include "fs/who/proc.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "fs/who/proc_read.h"

enum {
	DEFAULT_PROCESSES = 4096,
	DEFAULT_THREADS = 256,
	DEFAULT_BOUND_NS = 50 * 1000 * 1000,
	/*
	 * Parents that could not be stored yet stay in memory with their
	 * children. A disk that stays full must not make that grow for ever,
	 * so a chain that gets this long is cut.
	 */
	MAX_UNSTORED = 64,
	TRIES = 3, /* to read an ancestor that runs execve meanwhile */
};

/* A thread that was seen, and the descriptor that proves it is still that. */
struct thread {
	pid_t tid;
	int fd;
	uint64_t start_ticks, exec_stamp;
	struct proc *proc; /* a reference */
	atomic_uint refs;
	struct lru_node node;
};

struct proc_table {
	struct proc_reader reader;
	bool blind;	      /* /proc is not of our pid namespace */
	pthread_mutex_t lock; /* protects the two tables, not their members */
	struct lru procs, threads;
};

static struct proc *proc_of(struct lru_node *node)
{
	return (struct proc *)((char *)node - offsetof(struct proc, node));
}

static struct thread *thread_of(struct lru_node *node)
{
	return (struct thread *)((char *)node - offsetof(struct thread, node));
}

struct proc *proc_ref(struct proc *p)
{
	atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
	return p;
}

void proc_unref(struct proc *p)
{
	while (p && atomic_fetch_sub(&p->refs, 1) == 1) {
		struct proc *parent = p->parent;

		proc_read_done(&p->facts);
		free(p);
		p = parent;
	}
}

static void thread_unref(struct thread *t)
{
	if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
		return;
	if (t->fd >= 0)
		(void)close(t->fd); /* only read from */
	proc_unref(t->proc);
	free(t);
}

DEFINE_CLEANUP(thread_unref, struct thread *);

int proc_table_new(const struct proc_options *opt, struct proc_table **ret)
{
	_cleanup_(proc_table_free) struct proc_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;

	struct proc_options *own = &t->reader.opt;

	*own = *opt;
	if (!own->max_processes)
		own->max_processes = DEFAULT_PROCESSES;
	if (!own->max_threads)
		own->max_threads = DEFAULT_THREADS;
	if (!own->cmdline_bound_ns)
		own->cmdline_bound_ns = DEFAULT_BOUND_NS;
	t->blind = !proc_read_is_ours();
	pthread_mutex_init(&t->lock, NULL); /* cannot fail on Linux */

	int r = lru_init(&t->procs, own->max_processes);

	if (r == 0)
		r = lru_init(&t->threads, own->max_threads);
	if (r == 0)
		r = cmdline_new(own->read_cmdline, own->read_cmdline_arg,
			own->cmdline_bound_ns, &t->reader.cmdline);
	if (r < 0)
		return r;
	t->reader.has_labels = proc_read_has_labels(t->reader.cmdline);
	*ret = take_ptr(t);
	return 0;
}

void proc_table_free(struct proc_table *t)
{
	if (!t)
		return;
	while (t->threads.oldest) {
		struct thread *thread = thread_of(t->threads.oldest);

		lru_remove(&t->threads, &thread->node);
		thread_unref(thread);
	}
	while (t->procs.oldest) {
		struct proc *p = proc_of(t->procs.oldest);

		lru_remove(&t->procs, &p->node);
		proc_unref(p);
	}
	lru_done(&t->threads);
	lru_done(&t->procs);
	cmdline_free(t->reader.cmdline);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* ---- threads ---- */

static uint64_t thread_hash(pid_t tid)
{
	return checksum(&tid, sizeof(tid));
}

static struct thread *thread_get(struct proc_table *t, pid_t tid)
{
	struct thread *found = NULL;

	pthread_mutex_lock(&t->lock);

	struct lru_node *n = lru_first(&t->threads, thread_hash(tid));

	while (n && thread_of(n)->tid != tid)
		n = lru_next(n);
	if (n) {
		found = thread_of(n);
		atomic_fetch_add(&found->refs, 1);
		lru_touch(&t->threads, n);
	}
	pthread_mutex_unlock(&t->lock);
	return found;
}

/* Both need the lock; the table's reference goes to the caller. */
static struct thread *thread_take_tid(struct proc_table *t, pid_t tid)
{
	struct lru_node *n = lru_first(&t->threads, thread_hash(tid));

	while (n && thread_of(n)->tid != tid)
		n = lru_next(n);
	if (!n)
		return NULL;
	lru_remove(&t->threads, n);
	return thread_of(n);
}

static struct thread *thread_take_excess(struct proc_table *t)
{
	if (t->threads.count < t->reader.opt.max_threads)
		return NULL;

	struct thread *old = thread_of(t->threads.oldest);

	lru_remove(&t->threads, &old->node);
	return old;
}

/* Remember a thread instead of what the table has under its number. Takes fd
 * over. Out of memory: not remembered, which only costs time. */
static void thread_put(struct proc_table *t, pid_t tid, int fd,
	const struct proc_stat *st, struct proc *proc)
{
	_cleanup_close_ int owned = fd;
	struct thread *made = calloc(1, sizeof(*made));

	if (!made)
		return;
	made->tid = tid;
	made->fd = take_fd(owned);
	made->start_ticks = st->start_ticks;
	made->exec_stamp = st->exec_stamp;
	made->proc = proc_ref(proc);
	atomic_init(&made->refs, 1);

	pthread_mutex_lock(&t->lock);

	struct thread *same = thread_take_tid(t, tid);
	struct thread *excess = thread_take_excess(t);

	lru_add(&t->threads, &made->node, thread_hash(tid));
	pthread_mutex_unlock(&t->lock);
	thread_unref(same);
	thread_unref(excess);
}

/* ---- processes ---- */

static uint64_t key_hash(const struct proc_key *k)
{
	uint64_t words[] = {(uint64_t)k->tgid, k->start_ticks, k->exec_stamp};

	return checksum(words, sizeof(words));
}

static bool key_equal(const struct proc_key *a, const struct proc_key *b)
{
	return a->tgid == b->tgid && a->start_ticks == b->start_ticks &&
	       a->exec_stamp == b->exec_stamp;
}

/* Needs the lock; a new reference or NULL. */
static struct proc *lookup(struct proc_table *t, const struct proc_key *key)
{
	struct lru_node *n = lru_first(&t->procs, key_hash(key));

	while (n && !key_equal(&proc_of(n)->facts.key, key))
		n = lru_next(n);
	if (!n)
		return NULL;
	lru_touch(&t->procs, n);
	return proc_ref(proc_of(n));
}

static struct proc *proc_get(struct proc_table *t, const struct proc_key *key)
{
	pthread_mutex_lock(&t->lock);

	struct proc *p = lookup(t, key);

	pthread_mutex_unlock(&t->lock);
	return p;
}

/* Enter a process, unless another thread did so first; takes p over and gives
 * a reference to the one that counts. */
static struct proc *proc_put(struct proc_table *t, struct proc *p)
{
	struct proc *excess = NULL;

	pthread_mutex_lock(&t->lock);

	struct proc *first = lookup(t, &p->facts.key);

	if (!first) {
		if (t->procs.count >= t->reader.opt.max_processes) {
			excess = proc_of(t->procs.oldest);
			lru_remove(&t->procs, &excess->node);
		}
		lru_add(&t->procs, &proc_ref(p)->node, key_hash(&p->facts.key));
	}
	pthread_mutex_unlock(&t->lock);
	proc_unref(excess);
	if (!first)
		return p;
	proc_unref(p);
	return first;
}

/*
 * Read a process whose key is known, between two equal looks at its stat.
 * 0; -EAGAIN when it ran execve meanwhile; -errno.
 */
static int capture(struct proc_table *t, pid_t tid, int fd,
	const struct proc_key *key, struct proc **ret)
{
	_cleanup_(proc_unref) struct proc *p = calloc(1, sizeof(*p));
	struct proc_stat before, after;

	if (!p)
		return -ENOMEM;
	atomic_init(&p->refs, 1);
	atomic_init(&p->stored, false);
	p->facts.key = *key;

	int r = proc_read_stat(fd, &before);

	if (r == 0)
		r = proc_read_facts(tid, &t->reader, &p->facts);
	if (r == 0)
		r = proc_read_stat(fd, &after);
	if (r < 0)
		return r;
	if (before.exec_stamp != key->exec_stamp ||
		after.exec_stamp != key->exec_stamp)
		return -EAGAIN;
	p->facts.ppid = after.ppid;
	p->facts.tty = after.tty;
	*ret = take_ptr(p);
	return 0;
}

/* ---- ancestors ---- */

/*
 * The parent as it is now: one that the table has (*ret_new false), or a new
 * one that is not in it yet. 0 or -errno.
 */
static int find_parent(
	struct proc_table *t, pid_t pid, struct proc **ret, bool *ret_new)
{
	_cleanup_close_ int fd = proc_read_open(pid);
	int r = fd;

	if (fd < 0)
		return r;
	for (int i = 0; i < TRIES; i++) {
		struct proc_stat st;

		r = proc_read_stat(fd, &st);
		if (r < 0)
			return r;

		struct proc_key key = {pid, st.start_ticks, st.exec_stamp};
		struct proc *p = proc_get(t, &key);

		*ret_new = !p;
		if (!p)
			r = capture(t, pid, fd, &key, &p);
		if (r == 0)
			*ret = p;
		if (r != -EAGAIN)
			return r;
	}
	return r;
}

/*
 * Does the child still name this process as its parent? Then the parent lived
 * all the time that we read it: had it ended, the child would have got another
 * one, and that one's number was taken already.
 */
static bool still_parent(const struct proc *child, pid_t pid)
{
	const struct proc_key *key = &child->facts.key;
	_cleanup_close_ int fd = proc_read_open(key->tgid);
	struct proc_stat st;

	return fd >= 0 && proc_read_stat(fd, &st) == 0 &&
	       st.start_ticks == key->start_ticks && st.ppid == pid;
}

static void link_parent(struct proc *child, struct proc *parent)
{
	unsigned depth = atomic_load(&parent->stored) ? 0 : parent->depth + 1;

	if (depth > MAX_UNSTORED) {
		proc_unref(parent);
		return;
	}
	child->depth = depth;
	child->parent = parent;
}

/*
 * Enter a new process and those of its ancestors that are new. First the whole
 * line is read, then it is linked and entered from the oldest on: whoever
 * finds a process in the table finds it with its parents.
 */
static struct proc *enter_with_ancestors(struct proc_table *t, struct proc *p)
{
	struct proc *line[PROC_ANCESTORS + 1] = {p};
	struct proc *known = NULL; /* the parent of the last one in line */
	size_t count = 1;

	while (count <= PROC_ANCESTORS) {
		struct proc *child = line[count - 1], *parent = NULL;
		pid_t pid = child->facts.ppid;
		bool is_new = false;

		if (pid <= 0 || find_parent(t, pid, &parent, &is_new) < 0)
			break;
		if (!still_parent(child, pid)) {
			proc_unref(parent);
			break;
		}
		if (!is_new) {
			known = parent;
			break;
		}
		line[count++] = parent;
	}
	while (count-- > 0) {
		if (known)
			link_parent(line[count], known);
		known = proc_put(t, line[count]);
	}
	return known;
}

/* ---- the way in ---- */

/* The whole identity of a waiting thread. */
static int identify(pid_t tid, const struct proc_stat *st, struct proc_key *ret)
{
	pid_t tgid = proc_read_tgid(tid);
	uint64_t start = st->start_ticks;

	if (tgid < 0)
		return tgid;
	if (tgid != tid) {
		/* The number of the group can't be given away while a thread
		 * of it waits for us, even if its leader has ended. */
		struct proc_stat leader;
		_cleanup_close_ int fd = proc_read_open(tgid);
		int r = fd < 0 ? fd : proc_read_stat(fd, &leader);

		if (r < 0)
			return r;
		start = leader.start_ticks;
	}
	*ret = (struct proc_key){tgid, start, st->exec_stamp};
	return 0;
}

static struct proc *find_new(struct proc_table *t, pid_t tid)
{
	_cleanup_close_ int fd = proc_read_open(tid);
	struct proc_stat st;
	struct proc_key key;

	if (fd < 0 || proc_read_stat(fd, &st) < 0 ||
		identify(tid, &st, &key) < 0)
		return NULL;

	struct proc *p = proc_get(t, &key);

	if (!p) {
		if (capture(t, tid, fd, &key, &p) < 0)
			return NULL;
		p = enter_with_ancestors(t, p);
	}
	thread_put(t, tid, take_fd(fd), &st, p);
	return p;
}

struct proc *proc_find(struct proc_table *t, pid_t tid)
{
	if (tid <= 0 || t->blind)
		return NULL;

	_cleanup_(thread_unref) struct thread *seen = thread_get(t, tid);
	struct proc_stat st;

	if (seen && proc_read_stat(seen->fd, &st) == 0 &&
		st.start_ticks == seen->start_ticks &&
		st.exec_stamp == seen->exec_stamp)
		return proc_ref(seen->proc);
	return find_new(t, tid);
}
