/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the metrics can be read:
 *
 *	file:PATH	replaced as a whole, by rename, mode 0644
 *	unix:PATH	a socket, mode 0660, that answers whoever connects with
 *			the text; to an HTTP GET with a response of HTTP/1.0
 *
 * Belongs to one thread (the clerk's), which no client holds up: each has a
 * bounded time, and of too many the first gives way.
 */
#ifndef FS_LEDGER_SCRAPE_H
#define FS_LEDGER_SCRAPE_H

#include "fs/base/diag.h"
#include "fs/ledger/metrics.h"
#include "fs/ledger/store.h"

#define SCRAPE_CLIENTS 8

struct scrape;

/*
 * *ret is NULL when place is. -EINVAL for another kind of place or a relative
 * path; -EBUSY when another process answers on that socket; -EEXIST when
 * something else has its name; -errno. A file is written at once.
 */
int scrape_new(const char *place, const struct metrics *m, int epoll,
	struct scrape **ret, struct diag *diag) must_check;

/* Removes the socket; a file stays, it has the last numbers. NULL is allowed.
 */
void scrape_free(struct scrape *s);
DEFINE_CLEANUP(scrape_free, struct scrape *);

/* Write the file anew; nothing to do for a socket or NULL. 0 or -errno. */
int scrape_write(struct scrape *s, const struct store_time *now) must_check;

/* See to the clients. When to call again if epoll does not wake, by
 * CLOCK_BOOTTIME; INT64_MAX: not before it does. */
int64_t scrape_tick(struct scrape *s, const struct store_time *now);

#endif
