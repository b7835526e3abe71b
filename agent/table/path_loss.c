// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "path_loss.h"

void path_loss_look(struct path_loss *loss, const struct plait_path_traffic *now)
{
	if (loss->known && loss->restarts == now->restarts)
		loss->missing += (int64_t)(uint32_t)(now->highest - loss->highest) -
				 (int64_t)(now->received - loss->received);
	loss->known = true;
	loss->highest = now->highest;
	loss->restarts = now->restarts;
	loss->received = now->received;
}
