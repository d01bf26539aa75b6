/* SPDX-License-Identifier: Apache-2.0 */
/* The public key of a ledger; see log_key.h. */
#include "util/log_key.h"

#include <fcntl.h>
#include <string.h>

#include "fs/base/io.h"

int log_key_read(const char *given, struct note_key *ret, struct diag *diag)
{
	char text[NOTE_KEY_MAX + 2]; /* a line may end in two bytes */
	size_t len;

	if (note_key_parse(given, strlen(given), ret) == 0)
		return 0;

	_cleanup_close_ int fd =
		open(given, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t n = fd < 0 ? -errno : io_read(fd, text, sizeof(text));

	if (n == -ENOENT || n == -ENAMETOOLONG)
		return diag_set(diag, -EINVAL,
			"'%s' is no public key, and no file; 'stele log key' "
			"prints one: NAME+HASH+BASE64",
			given);
	if (n < 0)
		return diag_errno(diag, (int)n, "reading the key %s", given);
	len = (size_t)n;
	while (len > 0 && strchr("\r\n", text[len - 1]))
		len--;
	if (note_key_parse(text, len, ret) < 0)
		return diag_set(diag, -EINVAL,
			"%s does not hold one public key as 'stele log key' "
			"prints it",
			given);
	return 0;
}
