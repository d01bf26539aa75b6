/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a request to a mount that answers. Two processes work on it: the server,
 * and one that waits until it answers and then mounts the writable paths, while
 * the server serves what that needs. Should either end too early, the mount is
 * taken away again with all that is on it.
 */
#ifndef UTIL_MOUNT_SERVE_H
#define UTIL_MOUNT_SERVE_H

#include "util/mount_upper.h"
#include "util/where.h"

/* Everything that the server needs, with the strings that it owns. */
struct mount_request {
	struct mount_options opt;
	struct mount_words words;
	char *image, *mount_point;
	struct where_plan ledger;
	struct mount_upper upper;
};

/*
 * Mount and serve: in the foreground until it is unmounted, else by a daemon,
 * and return when the mount answers. An exit code; what went wrong was said.
 */
int mount_serve_request(struct mount_request *q, bool foreground);

#endif
