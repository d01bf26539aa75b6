/* SPDX-License-Identifier: Apache-2.0 */
/* The boot id; see boot.h. */
#include "fs/base/boot.h"

#include <fcntl.h>

#include "fs/base/io.h"

void boot_read_id(char ret[BOOT_ID_ROOM])
{
	_cleanup_close_ int fd =
		open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : io_read(fd, ret, BOOT_ID_ROOM - 1);

	ret[n == BOOT_ID_ROOM - 1 ? n : 0] = '\0';
}
