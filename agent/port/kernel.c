// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "kernel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "sysctl.h"
#include "time_wait.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* The oldest kernel with tcx links (6.6); MPTCP's fast open came with 6.2. */
enum { OLDEST_MAJOR = 6, OLDEST_MINOR = 6 };

static bool version_ok(char *why, size_t size)
{
	unsigned int major = 0, minor = 0;
	struct utsname name;

	uname(&name);
	if (sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
	    (major > OLDEST_MAJOR || (major == OLDEST_MAJOR && minor >= OLDEST_MINOR)))
		return true;
	snprintf(why, size, "kernel %s is too old: plait needs Linux %d.%d or newer (tcx)",
		 name.release, OLDEST_MAJOR, OLDEST_MINOR);
	return false;
}

static bool capability_ok(int capability, const char *name, char *why, size_t size)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[2] = {};

	if (!syscall(SYS_capget, &head, sets) &&
	    sets[capability / 32].effective & 1u << capability % 32)
		return true;
	snprintf(why, size, "capability %s is missing: run plaitd as root or grant it", name);
	return false;
}

static bool mptcp_ok(char *why, size_t size)
{
	char value[SYSCTL_VALUE_BYTES];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);

	if (fd >= 0) {
		close(fd);
		return true;
	}
	if (!sysctl_read("net/mptcp/enabled", value) && value[0] == '0')
		snprintf(why, size, "MPTCP is switched off: set sysctl net.mptcp.enabled=1");
	else
		snprintf(why, size, "MPTCP is not in this kernel (CONFIG_MPTCP): %s",
			 strerror(errno));
	return false;
}

static bool tun_ok(char *why, size_t size)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd >= 0) {
		close(fd);
		return true;
	}
	snprintf(why, size, "/dev/net/tun cannot be opened (CONFIG_TUN): %s", strerror(errno));
	return false;
}

static bool bpf_ok(char *why, size_t size)
{
	if (libbpf_probe_bpf_map_type(BPF_MAP_TYPE_RINGBUF, NULL) == 1 &&
	    libbpf_probe_bpf_helper(BPF_PROG_TYPE_SCHED_CLS, BPF_FUNC_sk_assign, NULL) == 1 &&
	    libbpf_probe_bpf_helper(BPF_PROG_TYPE_SCHED_CLS, BPF_FUNC_loop, NULL) == 1)
		return true;
	snprintf(why, size, "BPF lacks the ring buffer, sk_assign or bpf_loop");
	return false;
}

static bool time_wait_ok(char *why, size_t size)
{
	if (!time_wait_check())
		return true;
	snprintf(why, size, "sockets cannot be ended (CONFIG_INET_DIAG_DESTROY)");
	return false;
}

int kernel_check(char *why, size_t size)
{
	bool ok = version_ok(why, size) &&
		  capability_ok(CAP_NET_ADMIN, "CAP_NET_ADMIN", why, size) &&
		  capability_ok(CAP_NET_RAW, "CAP_NET_RAW", why, size) &&
		  capability_ok(CAP_BPF, "CAP_BPF", why, size) && mptcp_ok(why, size) &&
		  tun_ok(why, size) && bpf_ok(why, size) && time_wait_ok(why, size);

	return ok ? 0 : -ENOTSUP;
}

unsigned long kernel_raise_file_limit(void)
{
	struct rlimit limit = {};

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	getrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur;
}
