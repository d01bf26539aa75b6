/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which container a process is in, told from the names of its cgroups. Pure.
 *
 * Only names that a runtime makes count; a cgroup that somebody named by hand
 * (as runc lets its user do) is not guessed at. Not to be trusted alone: a
 * container that owns the cgroups below its own can give them such names, so
 * the whole text is kept beside what is told here.
 */
#ifndef FS_WHO_CONTAINER_H
#define FS_WHO_CONTAINER_H

#include <stddef.h>

#define CONTAINER_ID_LEN 64
#define CONTAINER_POD_LEN 36

struct container {
	char id[CONTAINER_ID_LEN + 1]; /* "": in none that is known */
	/* "docker", "containerd", "cri-o", "podman" or "garden"; static. NULL
	 * when id is "". */
	const char *runtime;
	char pod[CONTAINER_POD_LEN + 1]; /* uid of the Kubernetes pod; "" */
};

/*
 * The text of /proc/PID/cgroup, any bytes; the newline of its last line may be
 * missing. With several hierarchies the first line that names a container
 * counts; when none does, the first that names a pod. In one line the innermost
 * container counts, and the pod that it is in.
 */
void container_parse(const char *text, size_t len, struct container *ret);

#endif
