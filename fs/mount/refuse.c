/* SPDX-License-Identifier: Apache-2.0 */
/* From the gate's answer to the caller's: at once, later, or when the ledger
 * has room again. */
#include <string.h>

#include "fs/mount/gate.h"
#include "fs/mount/internal.h"

/* An attempt that outlives the request's handler, with all that it points to.
 */
struct kept {
	struct ledger *ledger;
	struct ledger_attempt attempt;
	struct ledger_node node;
	char *strings[3];
};

static void forget(void *arg)
{
	struct kept *k = arg;

	for (size_t i = 0; i < ARRAY_LEN(k->strings); i++)
		free(k->strings[i]);
	free(k);
}

/* A copy that belongs to k; *text becomes it. NULL stays NULL. */
static int keep_string(struct kept *k, size_t i, const char **text)
{
	if (!*text)
		return 0;
	k->strings[i] = strdup(*text);
	*text = k->strings[i];
	return *text ? 0 : -ENOMEM;
}

static struct kept *keep(struct ledger *l, const struct ledger_attempt *a)
{
	struct kept *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->ledger = l;
	k->attempt = *a;
	if (a->node) {
		k->node = *a->node;
		k->attempt.node = &k->node;
	}
	if (keep_string(k, 0, &k->attempt.path) == 0 &&
		keep_string(k, 1, &k->attempt.path2) == 0 &&
		keep_string(k, 2, &k->attempt.xattr) == 0)
		return k;
	forget(k);
	return NULL;
}

/* Who had to wait for room is not made to wait for his budget too. */
static int ask(void *arg)
{
	struct kept *k = arg;
	uint64_t delay;

	return gate_write(k->ledger, &k->attempt, &delay);
}

static void wait_for_room(fuse_req_t req, const struct ledger_attempt *a)
{
	struct mount *m = mount_of(req);
	struct park_question question = {
		.ask = ask, .forget = forget, .arg = keep(m->ledger, a)};

	if (question.arg)
		park_ask(m->park, req, &question);
	else
		(void)fuse_reply_err(req, EIO);
}

void op_refuse(fuse_req_t req, struct ledger_attempt *a)
{
	struct mount *m = mount_of(req);
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	uint64_t delay;

	a->tid = ctx->pid;
	a->uid = ctx->uid;
	a->gid = ctx->gid;

	int error = gate_write(m->ledger, a, &delay);

	if (!error)
		wait_for_room(req, a);
	else if (delay)
		park_reply(m->park, req, error, delay);
	else
		(void)fuse_reply_err(req, error);
}
