/* SPDX-License-Identifier: Apache-2.0 */
/* Containers are told from the cgroups that runtimes make, and no others. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/who/container.h"
#include "fs/who/entity.h"
#include "tests/lib/prng.h"

/* Ids as runtimes make them, and two uids of pods. */
#define A "3b8f2a1c9d7e4f60518a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f70"
#define B "f00dfeedcafe0123456789abcdef0123456789abcdef0123456789abcdef0123"
#define POD "2d9ed04b-f5a0-4a5c-9d1f-6a0b8c7d6e5f"
#define POD_ "2d9ed04b_f5a0_4a5c_9d1f_6a0b8c7d6e5f"
#define FILE_POD "8ce6a6ef7b4a7a0b8f1d6cfb4f2d1d41"
#define GARDEN "6e5d5f1c-1f9c-4d6d-7f2a-5b3c"

struct row {
	const char *text;
	const char *id, *runtime, *pod;
};

static void same(const struct container *c, const struct row *want)
{
	assert_string_equal(c->id, want->id);
	assert_string_equal(c->pod, want->pod);
	assert_true(!c->runtime == !want->runtime);
	if (want->runtime)
		assert_string_equal(c->runtime, want->runtime);
}

/* From memory that ends where the text does. */
static struct container parse(const char *text, size_t len)
{
	_cleanup_free_ char *exact = malloc(len ? len : 1);
	struct container c;

	assert_non_null(exact);
	memcpy(exact, text, len);
	container_parse(exact, len, &c);
	return c;
}

static void check(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct container c = parse(rows[i].text, strlen(rows[i].text));

		print_message("%s\n", rows[i].text);
		same(&c, &rows[i]);
	}
}

static void test_docker(void **state)
{
	static const struct row rows[] = {
		{"0::/system.slice/docker-" A ".scope\n", A, "docker", ""},
		{"0::/system.slice/docker-" A ".scope", A, "docker", ""},
		{"0::/docker/" A "\n", A, "docker", ""},
		{"0::/docker/" A "/init.scope\n", A, "docker", ""},
		{"0::/docker/" A " (deleted)\n", A, "docker", ""},
		{"0::/actions_job/" A "\n", A, "docker", ""},
		{"0::/user.slice/user-1000.slice/user@1000.service/user.slice/"
		 "docker-" A ".scope\n",
			A, "docker", ""},
		{"0::/../../docker/" A "\n", A, "docker", ""},
		{"0::/kubepods.slice/kubepods-pod" POD_ ".slice/docker-" A
		 ".scope\n",
			A, "docker", POD},
	};

	(void)state;
	check(rows, ARRAY_LEN(rows));
}

static void test_containerd(void **state)
{
	static const struct row rows[] = {
		{"0::/kubepods.slice/kubepods-burstable.slice/"
		 "kubepods-burstable-pod" POD_ ".slice/cri-containerd-" A
		 ".scope\n",
			A, "containerd", POD},
		{"0::/system.slice/containerd.service/"
		 "kubepods-besteffort-pod" POD_ ".slice:cri-containerd:" A "\n",
			A, "containerd", POD},
		{"0::/kubepods/besteffort/pod" POD "/" A "\n", A, "containerd",
			POD},
		{"0::/kubepods/pod" FILE_POD "/" A "\n", A, "containerd",
			FILE_POD},
		{"0::/k8s.io/cri-containerd-" A ".scope\n", A, "containerd",
			""},
	};

	(void)state;
	check(rows, ARRAY_LEN(rows));
}

static void test_crio(void **state)
{
	static const struct row rows[] = {
		{"0::/kubepods.slice/kubepods-burstable.slice/"
		 "kubepods-burstable-pod" POD_ ".slice/crio-" A ".scope\n",
			A, "cri-o", POD},
		{"0::/kubepods.slice/kubepods-pod" POD_ ".slice/crio-" A
		 ".scope/container\n",
			A, "cri-o", POD},
		/* What watches over a container is not in it. */
		{"0::/kubepods.slice/kubepods-pod" POD_ ".slice/crio-conmon-" A
		 ".scope\n",
			"", NULL, POD},
		{"0::/system.slice/crio-conmon-" A ".scope\n", "", NULL, ""},
	};

	(void)state;
	check(rows, ARRAY_LEN(rows));
}

static void test_podman(void **state)
{
	static const struct row rows[] = {
		{"0::/machine.slice/libpod-" A ".scope\n", A, "podman", ""},
		{"0::/machine.slice/libpod-" A ".scope/container\n", A,
			"podman", ""},
		{"0::/user.slice/user-1000.slice/user@1000.service/user.slice/"
		 "libpod-" A ".scope/container\n",
			A, "podman", ""},
		{"0::/libpod_parent/libpod-" A "\n", A, "podman", ""},
		{"0::/machine.slice/machine-libpod_pod_" B ".slice/libpod-" A
		 ".scope\n",
			A, "podman", ""},
		{"0::/machine.slice/libpod-conmon-" A ".scope\n", "", NULL, ""},
	};

	(void)state;
	check(rows, ARRAY_LEN(rows));
}

static void test_garden(void **state)
{
	static const struct row rows[] = {
		{"0::/system.slice/garden.service/garden/" GARDEN "\n", GARDEN,
			"garden", ""},
		{"0::/garden/" GARDEN "/nested\n", GARDEN, "garden", ""},
		{"0::/garden/" GARDEN "0\n", "", NULL, ""},
	};

	(void)state;
	check(rows, ARRAY_LEN(rows));
}

static void test_innermost(void **state)
{
	static const struct row rows[] = {
		{"0::/docker/" A "/docker/" B "\n", B, "docker", ""},
		{"0::/kubepods/pod" POD "/" A "/docker/" B "\n", B, "docker",
			POD},
		/* kind: a kubelet in a container of Docker */
		{"0::/docker/" A "/kubelet.slice/kubelet-kubepods.slice/"
		 "kubelet-kubepods-pod" POD_ ".slice/cri-containerd-" B
		 ".scope\n",
			B, "containerd", POD},
		/* A pod made by what is in a container is not its own. */
		{"0::/docker/" A "/kubepods/pod" POD "/mine\n", A, "docker",
			""},
		{"0::/kubepods/pod" POD "/pod" FILE_POD "\n", "", NULL,
			FILE_POD},
	};

	(void)state;
	check(rows, ARRAY_LEN(rows));
}

static void test_version_1(void **state)
{
	static const struct row rows[] = {
		{"12:pids:/docker/" A "\n11:cpuset:/docker/" A
		 "\n1:name=systemd:/docker/" A
		 "\n0::/system.slice/containerd.service\n",
			A, "docker", ""},
		{"5:devices:/\n4:cpu,cpuacct:/kubepods/pod" POD "/" A
		 "\n1:name=systemd:/user.slice\n0::/\n",
			A, "containerd", POD},
		/* the first that says something */
		{"3:pids:/docker/" A "\n2:cpu:/docker/" B "\n", A, "docker",
			""},
		/* a pod only where no line has a container */
		{"3:pids:/kubepods/pod" POD "\n2:cpu:/docker/" B "\n", B,
			"docker", ""},
		{"3:pids:/kubepods/pod" POD "\n2:cpu:/kubepods/pod" FILE_POD
		 "\n",
			"", NULL, POD},
	};

	(void)state;
	check(rows, ARRAY_LEN(rows));
}

static void test_no_container(void **state)
{
	static const struct row rows[] = {
		{"", "", NULL, ""},
		{"\n", "", NULL, ""},
		{"0::/\n", "", NULL, ""},
		{"0::\n", "", NULL, ""},
		{"0:\n", "", NULL, ""},
		{"::", "", NULL, ""},
		{"/docker/" A, "", NULL, ""},
		{"0::/user.slice/user-0.slice/session-1.scope\n", "", NULL, ""},
		{"0::/init.scope\n", "", NULL, ""},
		/* runc by hand: the name is its user's */
		{"0::/" A "\n", "", NULL, ""},
		{"0::/mine/" A "\n", "", NULL, ""},
		{"0::/user.slice/" A ".scope\n", "", NULL, ""},
		{"0::/..\n", "", NULL, ""},
		{"0::/docker/../" A "\n", "", NULL, ""},
		{"0::/docker//" A "\n", "", NULL, ""},
		{"0::/docker\n", "", NULL, ""},
		{"0::/dockers/" A "\n", "", NULL, ""},
		{"0::/pod/" A "\n", "", NULL, ""},
		{"0::/podx/" A "\n", "", NULL, ""},
	};

	(void)state;
	check(rows, ARRAY_LEN(rows));
}

static void test_nearly(void **state)
{
	static const struct row rows[] = {
		/* 63 and 65 digits */
		{"0::/docker/3" B "\n", "", NULL, ""},
		{"0::/system.slice/docker-0" A ".scope\n", "", NULL, ""},
		{"0::/docker/00dfeedcafe0123456789abcdef0123456789abcdef012345"
		 "6789abcdef0123\n",
			"", NULL, ""},
		/* no runtime writes capitals */
		{"0::/docker/F00DFEEDCAFE0123456789ABCDEF0123456789ABCDEF01234"
		 "56789ABCDEF0123\n",
			"", NULL, ""},
		{"0::/docker/g00dfeedcafe0123456789abcdef0123456789abcdef01234"
		 "56789abcdef0123\n",
			"", NULL, ""},
		{"0::/system.slice/docker-" A ".scope.scope\n", "", NULL, ""},
		{"0::/system.slice/docker-" A ".service\n", "", NULL, ""},
		{"0::/system.slice/xdocker-" A ".scope\n", "", NULL, ""},
		{"0::/x:cri-containerd:" A "x\n", "", NULL, ""},
		{"0::/kubepods/podD9ED04B2-F5A0-4A5C-9D1F-6A0B8C7D6E5F/" A "\n",
			"", NULL, ""},
		/* separators of both kinds */
		{"0::/kubepods-pod2d9ed04b_f5a0-4a5c_9d1f_6a0b8c7d6e5f.slice\n",
			"", NULL, ""},
		{"0::/other-pod" POD_ ".slice\n", "", NULL, ""},
		{"0::/kubepods-pod" POD_ "\n", "", NULL, ""},
		{"0::/notkubepods-pod" POD_ ".slice\n", "", NULL, ""},
		{"0::/kubepodsx-pod" POD_ ".slice\n", "", NULL, ""},
	};

	(void)state;
	check(rows, ARRAY_LEN(rows));
}

static void test_bytes(void **state)
{
	static const char nul[] = "0::/docker/" A "\0" A;
	static const char before[] = "0::/a\0b\xff/docker/" A "\n";
	static const struct row none = {"", "", NULL, ""},
				docker = {"", A, "docker", ""};
	struct container c = parse(nul, sizeof(nul) - 1);

	(void)state;
	same(&c, &none);
	c = parse(before, sizeof(before) - 1);
	same(&c, &docker);
}

/* Longer than anything the kernel gives: what counts is at the end. */
static void test_long(void **state)
{
	static const char end[] = "/docker/" A;
	size_t len = 1 << 20;
	_cleanup_free_ char *text = malloc(len + sizeof(end));
	static const struct row docker = {"", A, "docker", ""};

	(void)state;
	assert_non_null(text);
	for (int i = 0; i < 2; i++) {
		memset(text, i ? '/' : 'a', len);
		memcpy(text, "0::/", 4);
		memcpy(text + len, end, sizeof(end));

		struct container c = parse(text, len + sizeof(end) - 1);

		same(&c, &docker);
	}
}

/* Whatever it is given it looks at nothing else, and gives whole names. */
static void test_mutations(void **state)
{
	static const char *const texts[] = {
		"0::/kubepods-pod" POD_ ".slice/cri-containerd-" A ".scope\n",
		"1:a:/x\n0::/kubepods/pod" POD "/" A "\n",
		"0::/y-pod" POD_ ".slice:cri-containerd:" A,
	};
	struct prng rng = {20};

	(void)state;
	for (int i = 0; i < 30000; i++) {
		char text[256];
		const char *from = texts[i % 3];
		size_t len = strlen(from);

		memcpy(text, from, len);
		for (size_t n = prng_below(&rng, 3); n > 0; n--)
			text[prng_below(&rng, len)] =
				(char)prng_below(&rng, 256);
		len = i % 2 ? prng_below(&rng, len + 1) : len;

		struct container c = parse(text, len);

		assert_true(strlen(c.id) == 64 || strlen(c.id) == 28 ||
			    (strlen(c.id) == 0 && !c.runtime));
		assert_true(strspn(c.id, "0123456789abcdef-") == strlen(c.id));
		assert_true(strlen(c.pod) == 36 || strlen(c.pod) == 32 ||
			    strlen(c.pod) == 0);
	}
}

static void test_entity(void **state)
{
	static const char boot[] = "5b8f2f5e-0a3c-4b6d-9c0e-1f2a3b4c5d6e";
	static const int64_t other[][3] = {
		{43, 7, 9}, {42, 8, 9}, {42, 7, 10}, {4, 27, 9}, {42, 7, -9}};
	char want[PROC_ENTITY_LEN + 1], got[PROC_ENTITY_LEN + 1];

	(void)state;
	assert_int_equal(proc_entity(boot, 42, 7, 9, want), 0);
	/* The first half of SHA-256 of "process\n42\n7\n9\n" and the boot. */
	assert_string_equal(want, "3f9377daf7015e72aabd19a974fa7165");
	for (size_t i = 0; i < ARRAY_LEN(other); i++) {
		assert_int_equal(proc_entity(boot, other[i][0], other[i][1],
					 other[i][2], got),
			0);
		assert_string_not_equal(got, want);
	}
	assert_int_equal(proc_entity("", 42, 7, 9, want), 0);
	assert_int_equal(proc_entity(NULL, 42, 7, 9, got), 0);
	assert_string_equal(got, want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_docker),
		cmocka_unit_test(test_containerd),
		cmocka_unit_test(test_crio),
		cmocka_unit_test(test_podman),
		cmocka_unit_test(test_garden),
		cmocka_unit_test(test_innermost),
		cmocka_unit_test(test_version_1),
		cmocka_unit_test(test_no_container),
		cmocka_unit_test(test_nearly),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_entity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
