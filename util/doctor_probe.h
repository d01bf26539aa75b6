/* SPDX-License-Identifier: Apache-2.0 */
/* Asking a mount whether somebody serves it. */
#ifndef UTIL_DOCTOR_PROBE_H
#define UTIL_DOCTOR_PROBE_H

#include "fs/doctor/facts.h"

/* A child asks, and is waited for some seconds: whoever asks a mount whose
 * daemon is stuck waits for ever. */
enum doctor_state doctor_probe(const struct doctor_seen *s);

#endif
