/* SPDX-License-Identifier: Apache-2.0 */
/* The answer to every write; see gate.h. */
#include "fs/mount/gate.h"

int gate_write(
	struct ledger *l, struct ledger_attempt *a, uint64_t *ret_delay_ns)
{
	*ret_delay_ns = 0;
	a->error = EROFS;
	a->rule = "image";

	int r = ledger_attempt(l, a, ret_delay_ns);

	if (r == -EAGAIN)
		return 0;
	return r < 0 ? EIO : EROFS;
}
