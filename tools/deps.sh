#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# Install what build, tests, demo and benchmarks need, from Debian 12 (bookworm).
# Says nothing if nothing is missing. Services that come along are neither started
# nor enabled: their programs are wanted, not their daemons.
set -eu

PACKAGES="
make gcc clang llvm pkg-config bpftool
libbpf-dev libelf-dev zlib1g-dev linux-libc-dev
libyaml-dev libmnl-dev libjansson-dev libsystemd-dev libc-ares-dev
libcriterion-dev libclang-rt-14-dev
clang-format clang-tidy cppcheck scdoc
python3 python3-pytest python3-scapy
nginx-light iperf3 curl bind9-dnsutils dnsmasq-base coturn socat openssh-client openssh-server netcat-openbsd
ngtcp2-client ngtcp2-server wireguard-go wireguard-tools openssl iputils-ping
ethtool tcpdump iproute2 iptables procps util-linux
haproxy redsocks dante-server mptcpize openvpn bird2
qemu-system-x86 kmod cpio
"
SERVICES="nginx haproxy redsocks danted ssh iperf3 bird openvpn coturn ngtcp2d"
# The two variables are for tests/tools/test_deps.py.
POLICY=${PLAIT_POLICY_RC_D:-/usr/sbin/policy-rc.d}
SAVED=$POLICY.plait-saved

fail() {
    echo "deps.sh: $*" >&2
    exit 1
}

missing_packages() {
    for package in $PACKAGES; do
        status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) || :
        [ "$status" = installed ] || printf '%s ' "$package"
    done
}

is_bookworm() (
    VERSION_CODENAME=
    # shellcheck source=/dev/null
    . "${PLAIT_OS_RELEASE:-/etc/os-release}"
    [ "${ID:-}" = debian ] && [ "$VERSION_CODENAME" = bookworm ]
)

has_service() {
    [ -e "/etc/init.d/$1" ] || [ -e "/lib/systemd/system/$1.service" ]
}

absent_services() {
    for service in $SERVICES; do
        has_service "$service" || printf '%s ' "$service"
    done
}

# invoke-rc.d asks this file before it starts anything; 101 means "forbidden".
forbid_services() {
    if [ -e "$POLICY" ] || [ -L "$POLICY" ]; then
        mv "$POLICY" "$SAVED"
    fi
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
}

restore_policy() {
    rm -f "$POLICY"
    if [ -e "$SAVED" ] || [ -L "$SAVED" ]; then
        mv "$SAVED" "$POLICY"
    fi
}

# --no-remove: rather fail than replace something the machine uses.
apt_install() {
    apt-get install --yes --quiet --no-install-recommends --no-remove \
        --option Dpkg::Options::=--force-confold --option DPkg::Lock::Timeout=120 "$@" </dev/null
}

# The package lists may be absent, or so old that what they name is gone.
install_packages() {
    if apt_install --simulate "$@" >/dev/null 2>&1; then
        apt_install "$@" && return
    fi
    apt-get update --quiet </dev/null
    apt_install "$@"
}

keep_disabled() {
    command -v systemctl >/dev/null || return 0
    for service in "$@"; do
        if has_service "$service"; then
            systemctl --quiet disable "$service" 2>/dev/null || :
        fi
    done
}

missing=$(missing_packages)
[ -n "$missing" ] || exit 0
is_bookworm || fail "only Debian 12 (bookworm) is supported; missing here: $missing"
[ "$(id -u)" -eq 0 ] || fail "not root, so install as root: apt-get install $missing"

echo "deps.sh: installing $missing"
export DEBIAN_FRONTEND=noninteractive
new_services=$(absent_services)
if [ -e "$SAVED" ] || [ -L "$SAVED" ]; then
    restore_policy # an earlier run was killed
fi
trap restore_policy EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
forbid_services
# shellcheck disable=SC2086 # both are lists of words
{
    install_packages $missing || fail "apt-get could not install: $missing"
    keep_disabled $new_services
}
