/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target of policies: any bytes are a policy or an error with a line, and
 * the canonical text of one means the same policy.
 */
#include <assert.h>
#include <string.h>

#include "fs/policy/policy.h"
#include "tests/fuzz/fuzz.h"

static void print(const struct policy *p, struct buf *ret)
{
	int r = policy_print(p, ret);

	assert(r == 0);
}

static void read_text(const char *text, size_t len)
{
	_cleanup_buf_ struct buf first, second;
	struct policy p, again;
	struct diag diag = {0};

	buf_init(&first, 16 * POLICY_TEXT_MAX);
	buf_init(&second, 16 * POLICY_TEXT_MAX);
	if (policy_parse(text, len, "fuzz", &p, &diag) < 0) {
		assert(diag.text[0] && !p.paths);
		return;
	}
	print(&p, &first);
	for (size_t i = 0; i < p.count; i++)
		assert(policy_find(&p, p.paths[i].path) == &p.paths[i]);
	policy_done(&p);
	/* What only Upsun's block can say has no words in ours. */
	if (policy_parse(first.data, first.len, "again", &again, &diag) < 0)
		return;
	print(&again, &second);
	assert(second.len == first.len &&
		memcmp(first.data, second.data, first.len) == 0);
	policy_done(&again);
}

static void read_word(const uint8_t *data, size_t len)
{
	_cleanup_free_ char *word = strndup((const char *)data, len);
	struct policy p = {0};
	struct diag diag = {0};

	if (!word)
		return;
	if (policy_add_word(&p, word, &diag) < 0)
		assert(diag.text[0] && !p.paths);
	else
		assert(policy_finish(&p, &diag) == 0);
	policy_done(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len && data[0] == '/')
		read_word(data, len);
	else
		read_text((const char *)data, len);
	return 0;
}

#ifdef FUZZING
size_t LLVMFuzzerCustomMutator(
	uint8_t *data, size_t len, size_t max, unsigned seed)
{
	return LLVMFuzzerMutate(data, len, max);
}
#endif
