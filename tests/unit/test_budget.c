/* SPDX-License-Identifier: Apache-2.0 */
/* How fast somebody may add to the ledger, by a clock that is made up. */
#include "tests/unit/unit.h"

#include <string.h>

#include "fs/ledger/budget.h"

#define SECOND UINT64_C(1000000000)
#define START (1000 * SECOND)
#define BURST_S (BUDGET_BURST_NS / SECOND)

/* A process that lives as long as the test looks at it. */
static struct proc who(pid_t tgid, const char *cgroup)
{
	return (struct proc){
		.facts = {
			.key = {.tgid = tgid, .start_ticks = 7},
			.cgroup = {.data = (char *)(uintptr_t)cgroup,
				.len = cgroup ? strlen(cgroup) : 0},
		}};
}

static struct budget *must_new(uint64_t process_rate, uint64_t group_rate)
{
	const struct budget_options opt = {
		.process_rate = process_rate, .group_rate = group_rate};
	struct budget *b = NULL;

	assert_int_equal(budget_new(&opt, &b), 0);
	return b;
}

/* One caller that waits for each answer: bytes that it got rid of until a time
 * has passed. */
static uint64_t flood(struct budget *b, const struct proc *p, uint64_t bytes,
	uint64_t *now, uint64_t ns)
{
	uint64_t end = *now + ns, sum = 0;

	while (*now < end) {
		/* A millisecond of its own work for each. */
		*now += SECOND / 1000 + budget_charge(b, p, bytes, *now);
		sum += bytes;
	}
	return sum;
}

static void test_rate_holds_in_the_long_run(void **state)
{
	struct budget *b = must_new(100000, 0);
	const struct proc p = who(1, "0::/a\n");
	uint64_t now = START;
	uint64_t sum = flood(b, &p, 1000, &now, 3600 * SECOND);

	/* One burst more than the rate, and the last one. */
	assert_in_range(sum, 3600 * 100000, (3600 + BURST_S) * 100000 + 1000);
	budget_free(b);
}

static void test_burst_passes_at_once(void **state)
{
	struct budget *b = must_new(1000, 0);
	const struct proc p = who(1, NULL);

	for (uint64_t i = 0; i < BURST_S; i++)
		assert_int_equal(budget_charge(b, &p, 1000, START), 0);
	assert_int_equal(budget_charge(b, &p, 500, START), SECOND / 2);
	/* After a rest the whole burst is there again, and no more. */
	uint64_t later = START + 100 * SECOND;

	assert_int_equal(budget_charge(b, &p, 1000 * BURST_S, later), 0);
	assert_int_equal(budget_charge(b, &p, 1, later), SECOND / 1000);
	budget_free(b);
}

static void test_delay_is_bounded_and_debt_is_kept(void **state)
{
	struct budget *b = must_new(1000, 0);
	const struct proc p = who(1, NULL);
	uint64_t now = START;

	assert_int_equal(budget_charge(b, &p, 1000 * (BURST_S + 60), now),
		BUDGET_DELAY_MAX_NS);
	/* A minute of debt: the longest delay until the last two seconds. */
	now += 58 * SECOND - 1;
	assert_int_equal(budget_charge(b, &p, 0, now), BUDGET_DELAY_MAX_NS);
	now += SECOND + 1;
	assert_int_equal(budget_charge(b, &p, 0, now), SECOND);
	now += SECOND;
	assert_int_equal(budget_charge(b, &p, 0, now), 0);
	budget_free(b);
}

static void test_processes_of_a_cgroup_share(void **state)
{
	struct budget *b = must_new(0, 1000);
	const struct proc one = who(1, "0::/user.slice/a\n");
	const struct proc two = who(2, "0::/user.slice/a\n");
	const struct proc other = who(3, "0::/user.slice/b\n");

	assert_int_equal(budget_charge(b, &one, 1000 * BURST_S, START), 0);
	assert_int_equal(budget_charge(b, &two, 1000, START), SECOND);
	assert_int_equal(budget_charge(b, &other, 1000, START), 0);
	budget_free(b);
}

/* A new pid for each attempt does not help. */
static void test_forks_share_their_cgroup(void **state)
{
	struct budget *b = must_new(1000000, 100000);
	uint64_t now = START, sum = 0;

	for (pid_t i = 1; now < START + 600 * SECOND; i++) {
		const struct proc p = who(i, "0::/system.slice/cron.service");

		now += 1000 + budget_charge(b, &p, 500, now);
		sum += 500;
	}
	assert_in_range(sum, 600 * 100000, (600 + BURST_S) * 100000 + 500);
	budget_free(b);
}

static void test_own_cgroups_below_do_not_help(void **state)
{
	static const char *const same[] = {
		"0::/user.slice/user-1.slice/user@1.service/x\n",
		"0::/user.slice/user-1.slice/user@1.service/y/z\n",
		"0::/user.slice/user-1.slice/user@1.service\n",
		"1:name=x:/q\n0::/user.slice/user-1.slice/user@1.service",
	};
	static const char *const others[] = {
		"0::/user.slice/user-2.slice/user@2.service/x\n",
		"0::/user.slice/user-1.slice\n",
		"0::/\n",
		"1:name=x:/user.slice\n",
		"",
		"0:",
		"0::/user.slice/user-1.slice/user@1.servic",
	};
	struct budget *b = must_new(0, 1000);

	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		const struct proc p = who(1, same[i]);

		/* Each takes a burst: the first has it, the others pay. */
		assert_int_equal(
			budget_charge(b, &p, 1000 * BURST_S, START) == 0,
			i == 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		const struct proc p = who(1, others[i]);

		assert_int_equal(
			budget_charge(b, &p, 1000 * BURST_S, START), 0);
	}
	budget_free(b);
}

static void test_unknown_share_one_bucket(void **state)
{
	struct budget *b = must_new(1000, 0);

	assert_int_equal(budget_charge(b, NULL, 1000 * BURST_S, START), 0);
	assert_int_equal(budget_charge(b, NULL, 1000, START), SECOND);
	budget_free(b);
}

static void test_rate_zero_is_no_limit(void **state)
{
	struct budget *b = must_new(0, 0);
	const struct proc p = who(1, "0::/a\n");

	for (int i = 0; i < 100; i++)
		assert_int_equal(budget_charge(b, &p, UINT64_MAX, START), 0);
	budget_free(b);
}

static void test_the_longer_delay_counts(void **state)
{
	struct budget *b = must_new(1000, 4000);
	const struct proc p = who(1, "0::/a\n"), q = who(2, "0::/a\n");

	/* Its own bucket is empty, the group's is not. */
	assert_int_equal(budget_charge(b, &p, 9000, START), SECOND);
	/* And the other way about. */
	assert_int_equal(budget_charge(b, &q, 8000, START), 0);
	for (pid_t i = 3; i < 5; i++) {
		const struct proc more = who(i, "0::/a\n");

		assert_int_equal(budget_charge(b, &more, 7500, START), 0);
	}
	assert_int_equal(budget_charge(b, &q, 0, START), 0);
	const struct proc last = who(9, "0::/a\n");

	assert_int_equal(budget_charge(b, &last, 1000, START), SECOND / 4);
	budget_free(b);
}

static void test_extreme_numbers(void **state)
{
	static const uint64_t rates[] = {1, 2, 1u << 20, UINT64_MAX};
	static const uint64_t times[] = {0, 1, START, INT64_MAX / 2};

	for (size_t i = 0; i < ARRAY_LEN(rates) * ARRAY_LEN(times); i++) {
		struct budget *b = must_new(rates[i % 4], rates[i % 4]);
		const struct proc p = who(1, "0::/a\n");

		for (int n = 0; n < 100; n++)
			assert_true(
				budget_charge(b, &p, UINT64_MAX,
					times[i / 4]) <= BUDGET_DELAY_MAX_NS);
		budget_free(b);
	}
}

/* Somebody who sends others to make the table forget him: a new burst each time
 * would be his, if nothing remained of what he used up. */
static void test_eviction_makes_nobody_faster(void **state)
{
	const struct budget_options opt = {
		.process_rate = 1000, .max_processes = 1};
	const struct proc p = who(1, NULL);
	struct budget *b = NULL;
	uint64_t now = START, sum = 0;

	assert_int_equal(budget_new(&opt, &b), 0);
	for (pid_t round = 0; round < 1000; round++) {
		sum += flood(b, &p, 100, &now, SECOND);
		for (pid_t i = 0; i < 5; i++) {
			const struct proc helper = who(2 + round * 5 + i, NULL);

			assert_true(budget_charge(b, &helper, 1, now) < SECOND);
		}
	}
	assert_true(sum <= 1000 * ((now - START) / SECOND + BURST_S) + 1100);
	assert_true(sum >= 1000 * ((now - START) / SECOND));
	budget_free(b);
}

/* And who never took much is not delayed because many came before. */
static void test_eviction_costs_the_modest_nothing(void **state)
{
	const struct budget_options opt = {
		.process_rate = 1000, .max_processes = 64};
	struct budget *b = NULL;
	uint64_t now = START;

	assert_int_equal(budget_new(&opt, &b), 0);
	for (pid_t i = 1; i < 100000; i++) {
		const struct proc p = who(i, NULL);

		/* A debtor who comes again and again is not forgotten. */
		const struct proc debtor = who(0, NULL);

		(void)!budget_charge(b, &debtor, 1000, now);
		assert_int_equal(budget_charge(b, &p, 100, now), 0);
		now += SECOND / 100;
	}
	budget_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rate_holds_in_the_long_run),
		cmocka_unit_test(test_burst_passes_at_once),
		cmocka_unit_test(test_delay_is_bounded_and_debt_is_kept),
		cmocka_unit_test(test_processes_of_a_cgroup_share),
		cmocka_unit_test(test_forks_share_their_cgroup),
		cmocka_unit_test(test_own_cgroups_below_do_not_help),
		cmocka_unit_test(test_unknown_share_one_bucket),
		cmocka_unit_test(test_rate_zero_is_no_limit),
		cmocka_unit_test(test_the_longer_delay_counts),
		cmocka_unit_test(test_extreme_numbers),
		cmocka_unit_test(test_eviction_makes_nobody_faster),
		cmocka_unit_test(test_eviction_costs_the_modest_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
