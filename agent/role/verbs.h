/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What plaitctl may have a running role do, see plaitctl(8). */
#ifndef PLAIT_ROLE_VERBS_H
#define PLAIT_ROLE_VERBS_H

#include "role.h"
#include "view/verb.h"

/* Take no new connections, or take them again. */
void role_drain(struct role *role, bool on);

/* Their owner is role, which must outlive them. */
struct verbs role_verbs(struct role *role);

#endif
