/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What fuzz tests have in common: chance, mutations, and a look at the kernel's log. */
#ifndef PLAIT_TESTS_BPF_MUTATION_H
#define PLAIT_TESTS_BPF_MUTATION_H

#include "packet.h"

/* The same in every run. */
uint32_t any(uint32_t below);

/*
 * Chance begins where PLAIT_FUZZ_SEED has it, which is not 0. Returns how many to try:
 * PLAIT_FUZZ_PACKETS, or these.
 */
unsigned long any_begin(unsigned long otherwise);

/* One change; a packet cut shorter keeps that many octets. */
void mutate_once(struct packet *packet, size_t least_bytes);

/* The kernel's log from here on; negative where it cannot be read. */
int kernel_log_from_here(void);
void kernel_log_expect_no_warning(int log);

#endif
