// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plait_maps.h"
#include "sysctl.h"

static int open_queue(const char *name, short more_flags)
{
	struct ifreq request = {.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | more_flags)};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &request)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

static int bring_up(const char *name)
{
	struct ifreq request = {};
	char path[96];
	int err = 0, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	/* nothing but our SYNs belongs on it: no router solicitations, no MLD */
	snprintf(path, sizeof(path), "net/ipv6/conf/%s/disable_ipv6", name);
	sysctl_write(path, "1");
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	request.ifr_flags = IFF_UP | IFF_NOARP;
	if (ioctl(fd, SIOCSIFFLAGS, &request))
		err = -errno;
	close(fd);
	return err;
}

int tap_open(const char name[IF_NAMESIZE], int fds[], unsigned int queue_count)
{
	unsigned int opened;
	int err = 0;

	for (opened = 0; opened < queue_count; opened++) {
		fds[opened] = open_queue(name, IFF_MULTI_QUEUE);
		if (fds[opened] < 0) {
			err = fds[opened];
			break;
		}
	}
	if (!err)
		err = bring_up(name);
	while (err && opened--)
		close(fds[opened]);
	return err;
}

int tap_address(const char *name, uint8_t mac[6])
{
	struct ifreq request = {};
	int err = 0, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (ioctl(fd, SIOCGIFHWADDR, &request))
		err = -errno;
	else
		memcpy(mac, request.ifr_hwaddr.sa_data, ETH_ALEN);
	close(fd);
	return err;
}

int tap_put(int fd, const uint8_t mac[6], uint8_t *frame, size_t len)
{
	memcpy(frame, mac, ETH_ALEN);
	return write(fd, frame, len) == (ssize_t)len ? 0 : -errno;
}

int tap_let_go(int fd, uint8_t *frame, size_t len, unsigned int listener, uint32_t ifindex)
{
	struct plait_let_go tag = {.locally_administered = 0x02,
				   .listener = (__u8)listener,
				   .ifindex = htonl(ifindex)};

	memcpy(frame + ETH_ALEN, &tag, sizeof(tag));
	return write(fd, frame, len) == (ssize_t)len ? 0 : -errno;
}
