/* SPDX-License-Identifier: Apache-2.0 */
/* Two tables of token buckets, of processes and of cgroups; see budget.h. */
#include "fs/ledger/budget.h"

#include <pthread.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)
#define DEBT_MAX_NS (86400 * SECOND_NS)

/* More counts as this much, so that nothing overflows: bytes of one charge, and
 * bytes a second. */
#define CHARGE_MAX (UINT64_C(1) << 32)
#define RATE_MAX (UINT64_C(1) << 50)

/* Of the buckets that were used longest ago, so many are looked at for the one
 * that has least to tell. */
#define EVICT_LOOK 8

/* Names of a cgroup's path that tell tenants apart. */
#define GROUP_NAMES 3

struct bucket {
	struct lru_node node;
	struct proc_key key; /* of a process; zero for a group */
	int64_t paid;	     /* until when, nanoseconds */
};

struct table {
	uint64_t rate; /* bytes a second; 0: not used */
	size_t max;
	struct lru lru;
	int64_t floor;	     /* the latest moment of any that was forgotten */
	struct bucket spare; /* for all, while there is no memory for more */
};

struct budget {
	pthread_mutex_t lock; /* protects the tables */
	struct table processes, groups;
};

static struct bucket *bucket_of(struct lru_node *node)
{
	return (struct bucket *)((char *)node - offsetof(struct bucket, node));
}

static int table_init(struct table *t, uint64_t rate, size_t max)
{
	t->rate = rate < RATE_MAX ? rate : RATE_MAX;
	t->max = max;
	t->floor = INT64_MIN;
	t->spare.paid = INT64_MIN;
	return rate ? lru_init(&t->lru, max) : 0;
}

static void table_done(struct table *t)
{
	while (t->lru.oldest) {
		struct bucket *b = bucket_of(t->lru.oldest);

		lru_remove(&t->lru, &b->node);
		free(b);
	}
	lru_done(&t->lru);
}

int budget_new(const struct budget_options *opt, struct budget **ret)
{
	_cleanup_(budget_free) struct budget *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	pthread_mutex_init(&b->lock, NULL); /* cannot fail on Linux */

	int r = table_init(&b->processes, opt->process_rate,
		opt->max_processes ? opt->max_processes : 4096);

	if (r == 0)
		r = table_init(&b->groups, opt->group_rate,
			opt->max_groups ? opt->max_groups : 1024);
	if (r < 0)
		return r;
	*ret = take_ptr(b);
	return 0;
}

void budget_free(struct budget *b)
{
	if (!b)
		return;
	table_done(&b->processes);
	table_done(&b->groups);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

static bool same_key(const struct proc_key *a, const struct proc_key *b)
{
	return a->tgid == b->tgid && a->start_ticks == b->start_ticks &&
	       a->exec_stamp == b->exec_stamp;
}

/*
 * Forget the one that is nearest to a full bucket among those used longest ago.
 * What it had used up is remembered for whoever comes, since it may be the same
 * one again.
 */
static void evict(struct table *t)
{
	struct lru_node *node = t->lru.oldest;
	struct bucket *least = bucket_of(node);

	for (int i = 1; i < EVICT_LOOK && (node = node->newer); i++) {
		if (bucket_of(node)->paid < least->paid)
			least = bucket_of(node);
	}
	if (least->paid > t->floor)
		t->floor = least->paid;
	lru_remove(&t->lru, &least->node);
	free(least);
}

static struct bucket *table_find(
	struct table *t, uint64_t hash, const struct proc_key *key)
{
	struct lru_node *node = lru_first(&t->lru, hash);

	while (node && !same_key(&bucket_of(node)->key, key))
		node = lru_next(node);
	if (node) {
		lru_touch(&t->lru, node);
		return bucket_of(node);
	}

	struct bucket *b = malloc(sizeof(*b));

	if (!b)
		return &t->spare;
	if (t->lru.count >= t->max)
		evict(t);
	*b = (struct bucket){.key = *key, .paid = t->floor};
	lru_add(&t->lru, &b->node, hash);
	return b;
}

/* Take bytes out of a bucket: how long until they are paid for. */
static uint64_t take(struct table *t, uint64_t hash, const struct proc_key *key,
	uint64_t bytes, int64_t now)
{
	if (!t->rate)
		return 0;

	struct bucket *b = table_find(t, hash, key);
	int64_t full = now - (int64_t)BUDGET_BURST_NS;
	int64_t broke = now + (int64_t)DEBT_MAX_NS;
	uint64_t cost = bytes < CHARGE_MAX ? bytes : CHARGE_MAX;

	/* Rounded up: many small charges are no cheaper than one. */
	cost = (cost * SECOND_NS + t->rate - 1) / t->rate;
	if (cost > DEBT_MAX_NS)
		cost = DEBT_MAX_NS;
	b->paid = (b->paid > full ? b->paid : full) + (int64_t)cost;
	if (b->paid > broke)
		b->paid = broke;
	return b->paid > now ? (uint64_t)(b->paid - now) : 0;
}

static uint64_t hash_key(const struct proc_key *key)
{
	uint64_t words[3] = {
		(uint64_t)key->tgid, key->start_ticks, key->exec_stamp};

	return checksum(words, sizeof(words));
}

/* The line of the unified hierarchy in the text of /proc/PID/cgroup, or end. */
static const char *unified_line(const char *text, const char *end)
{
	while (text < end && (end - text < 4 || memcmp(text, "0::/", 4) != 0)) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));

		text = newline ? newline + 1 : end;
	}
	return text;
}

/* By that line, without what a tenant makes below its own cgroup; by the whole
 * text where there are only the older hierarchies. */
static uint64_t hash_group(const struct proc_bytes *cgroup)
{
	if (!cgroup->data)
		return checksum("", 0);

	const char *end = cgroup->data + cgroup->len;
	const char *line = unified_line(cgroup->data, end);

	if (line == end)
		return checksum(cgroup->data, cgroup->len);

	const char *at = line + 3;

	for (int names = 0; at < end && *at != '\n'; at++) {
		if (*at == '/' && names++ == GROUP_NAMES)
			break;
	}
	return checksum(line, (size_t)(at - line));
}

uint64_t budget_charge(struct budget *b, const struct proc *proc,
	uint64_t bytes, uint64_t now_ns)
{
	static const struct proc_facts unknown = {0};
	static const struct proc_key no_key = {0};
	const struct proc_facts *who = proc ? &proc->facts : &unknown;

	pthread_mutex_lock(&b->lock);

	uint64_t one = take(&b->processes, hash_key(&who->key), &who->key,
		bytes, (int64_t)now_ns);
	uint64_t all = take(&b->groups, hash_group(&who->cgroup), &no_key,
		bytes, (int64_t)now_ns);

	pthread_mutex_unlock(&b->lock);
	if (one < all)
		one = all;
	return one < BUDGET_DELAY_MAX_NS ? one : BUDGET_DELAY_MAX_NS;
}
