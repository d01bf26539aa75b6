/* SPDX-License-Identifier: Apache-2.0 */
/* Names of processes; see entity.h. */
#include "fs/who/entity.h"

#include <inttypes.h>
#include <string.h>

#include "fs/codec/digest.h"

int proc_entity(const char *boot_id, int64_t tgid, int64_t start_ticks,
	int64_t exec_stamp, char ret[PROC_ENTITY_LEN + 1])
{
	_cleanup_free_ char *text = NULL;
	char hex[DIGEST_HEX_LEN + 1];
	struct digest d;
	int len = asprintf(&text,
		"process\n%" PRId64 "\n%" PRId64 "\n%" PRId64 "\n%s", tgid,
		start_ticks, exec_stamp, boot_id ? boot_id : "");

	if (len < 0) {
		text = NULL; /* asprintf leaves it undefined */
		return -ENOMEM;
	}

	int r = digest_of(text, (size_t)len, &d);

	if (r < 0)
		return r;
	digest_hex(&d, hex);
	memcpy(ret, hex, PROC_ENTITY_LEN);
	ret[PROC_ENTITY_LEN] = '\0';
	return 0;
}
