/* SPDX-License-Identifier: Apache-2.0 */
/* The program under the names mount.stele and mount.fuse.stele. */
#ifndef UTIL_MOUNT_HELPER_H
#define UTIL_MOUNT_HELPER_H

#include <stdbool.h>

/* Was the program started under one of those names? */
bool mount_helper_is(const char *argv0);

/*
 * Do what mount(8) wants from its helper; argv as main got it. Returns an exit
 * code of mount(8): 0, 1 usage or permission, 2 system error, 32 failure.
 */
int mount_helper_run(int argc, char **argv);

#endif
