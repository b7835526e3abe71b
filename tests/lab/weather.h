// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The settings of one access network, one entry a direction. The lab writes them while traffic
 * runs (weather.py packs them), weather.bpf.c and delay_line.c read them.
 */
#pragma once

#include <linux/types.h>

enum weather_direction {
	WEATHER_UP, /* CPE to concentrator */
	WEATHER_DOWN,
	WEATHER_DIRECTIONS,
};

struct weather_settings {
	__u32 out_ifindex; /* the port this direction leaves by */
	__u32 delay_line_ifindex; /* 0: straight to the port */
	__u32 loss_per_million;
	__u32 burst_enter_per_million;
	__u32 burst_leave_per_million;
	__u32 duplicate_per_million;
	__u32 reorder_per_million;
	__u32 delay_us;
	__u32 jitter_us;
	__u32 black_hole;
	__u32 strip_syn_payload;
	__u32 padding; /* entries of an array map are multiples of 8 bytes */
};

_Static_assert(sizeof(struct weather_settings) == 48, "weather.py packs twelve words");
