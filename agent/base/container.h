/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#ifndef PLAIT_BASE_CONTAINER_H
#define PLAIT_BASE_CONTAINER_H

#include <stddef.h>

/* The struct of type that holds pointer as its member. */
#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

#endif
