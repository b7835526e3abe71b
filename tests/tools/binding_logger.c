// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The binding log on its own: binding_logger FILE COUNT NAME puts COUNT records at once
 * and prints how many milliseconds that and closing took.
 */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "role/binding_log.h"

int main(int argc, char **argv)
{
	struct binding_record record = {.event = BINDING_ENDED,
					.protocol = IPPROTO_TCP,
					.source = {.family = AF_INET, .ip = {10, 1, 0, 2}},
					.external = {.family = AF_INET, .ip = {203, 0, 113, 64}},
					.since_ns = clock_now_ns()};
	struct binding_log *log;
	uint64_t begin, put;
	int err;

	signal(SIGPIPE, SIG_IGN);
	err = binding_log_open(&log, argv[1]);
	if (err) {
		fprintf(stderr, "%s\n", strerrorname_np(-err));
		return 1;
	}
	snprintf(record.subscriber, sizeof(record.subscriber), "%s", argv[3]);
	begin = clock_now_ns();
	for (long i = 0; i < atol(argv[2]); i++) {
		record.external.port = htons((uint16_t)i);
		record.last_port = (uint16_t)i;
		binding_log_put(log, &record);
	}
	put = clock_now_ns();
	binding_log_close(log);
	printf("%llu %llu\n", (put - begin) / NS_PER_MS, (clock_now_ns() - put) / NS_PER_MS);
	return 0;
}
