/* SPDX-License-Identifier: Apache-2.0 */
/* Findings of `stele doctor` for people and for programs. */
#ifndef UTIL_DOCTOR_PRINT_H
#define UTIL_DOCTOR_PRINT_H

#include "fs/doctor/judge.h"

/* By mount, then of the machine; and a last line that sums up. */
void doctor_print_text(
	const struct doctor_facts *facts, const struct doctor_findings *all);

/* One object a line. 0 or -errno. */
int doctor_print_json(const struct doctor_findings *all);

#endif
