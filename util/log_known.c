/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of a ledger from elsewhere; see log_known.h. */
#include "util/log_known.h"

#include <string.h>

#include "util/log_key.h"

void log_known_init(struct log_known *k)
{
	expect_init(&k->expect);
}

void log_known_done(struct log_known *k)
{
	expect_done(&k->expect);
	opt_list_done(&k->expects);
	free(k->keyfile);
}

int log_known_read(struct log_known *k, struct diag *diag)
{
	int r = k->public_key ? log_key_read(k->public_key, &k->key, diag) : 0;

	for (size_t i = 0; r == 0 && i < k->expects.count; i++) {
		const char *given = k->expects.items[i];

		if (strstr(given, "stele checkpoint "))
			r = expect_parse(&k->expect, given, strlen(given),
				"--expect", diag);
		else
			r = expect_read(&k->expect, given, diag);
	}
	return r;
}

int log_known_options(
	struct log_known *k, const char *ledger, struct verify_options *ret)
{
	free(k->keyfile);
	if (asprintf(&k->keyfile, "%s-key", ledger) < 0) {
		k->keyfile = NULL;
		return -ENOMEM;
	}
	*ret = (struct verify_options){
		.key = k->public_key ? &k->key : NULL,
		.expect = &k->expect,
		.keyfile = k->keyfile,
	};
	return 0;
}
