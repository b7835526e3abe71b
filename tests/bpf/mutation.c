// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "mutation.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint32_t random_state = 0x706c6169;

static unsigned long from_environment(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : otherwise;
}

unsigned long any_begin(unsigned long otherwise)
{
	random_state = (uint32_t)from_environment("PLAIT_FUZZ_SEED", random_state);
	return from_environment("PLAIT_FUZZ_PACKETS", otherwise);
}

uint32_t any(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state % below;
}

void mutate_once(struct packet *packet, size_t least_bytes)
{
	size_t headers = packet->bytes < 110 ? packet->bytes : 110;
	/* half of the time in the headers that decide most */
	uint8_t *at = packet->frame + (any(2) ? 12 + any(42) : any((uint32_t)headers));

	switch (any(6)) {
	case 0:
		*at ^= (uint8_t)(1 << any(8));
		break;
	case 1:
		*at = (uint8_t)any(256);
		break;
	case 2:
		*at = any(2) ? 0 : 0xff;
		break;
	case 3:
		packet->bytes = least_bytes + any((uint32_t)(packet->bytes - least_bytes + 1));
		break;
	case 4:
		packet->bytes += any(64);
		break;
	default:
		*at = packet->frame[any((uint32_t)packet->bytes)];
	}
}

int kernel_log_from_here(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

void kernel_log_expect_no_warning(int log)
{
	char line[2048];

	for (;;) {
		ssize_t bytes = read(log, line, sizeof(line) - 1);

		if (bytes < 0 && errno == EPIPE)
			continue; /* overwritten meanwhile */
		if (bytes <= 0)
			break;
		line[bytes] = '\0';
		cr_expect_null(strstr(line, "WARNING:"), "%s", line);
		cr_expect_null(strstr(line, "BUG:"), "%s", line);
	}
}
