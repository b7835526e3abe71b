/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Any octets as a PM option: read, write and read again give the same. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "codec/pm_option.h"
#include "plait_pm.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct pm_option option, untouched;
	uint8_t written[PLAIT_PM_LEN_V6_PORT];
	int length;

	memset(&option, 0xa5, sizeof(option));
	untouched = option;
	length = pm_option_read(bytes, len, &option);
	if (length < 0) {
		require(memcmp(&option, &untouched, sizeof(option)) == 0);
		return 0;
	}
	require((size_t)length <= len);
	require(option.has_port || option.addr.port == 0);
	pm_addr_forbidden(&option.addr);

	require(pm_option_write(&option, written, sizeof(written)) == length);
	/* but for the flags, which are ignored and sent as 0 */
	require(written[2] == (bytes[2] & (0xf0 | PLAIT_PM_D)));
	written[2] = bytes[2];
	require(memcmp(written, bytes, length) == 0);
	return 0;
}
