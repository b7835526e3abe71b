// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Congestion control of a leg's subflows: the kernel's cubic, held to what its path
 * is worth. MPTCP gives a segment to the subflow that promises to be done with it
 * first, by its queue and its pacing rate; a slow path with a deep queue, or one whose
 * token bucket has made it look fast, then keeps segments that all the others wait
 * for. So a subflow may have in flight what its path carries in its own time and a
 * little more, and beyond that little waits in it (docs/links.md).
 */
#include <linux/bpf.h>
#include <linux/in.h>
#include <stdbool.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

enum {
	QUEUE_US = 6000, /* time that may wait in the path's queue */
	RTT_GAIN = 2, /* of the path's own time: it varies, and the rate is to be found out */
	SEGMENTS_MIN = 4,
	/* segments a second, for a while: nothing waits long there, and round trips are the CPU's */
	FAST = 200000,
	JOIN_SEGMENTS = 10, /* RFC 6928; of a further subflow, which may be a bucket soon empty: */
	JOIN_DOUBLE_US = 100000, /* twice as many each time, and half of what was delivered */
	JOIN_DOUBLINGS = 16,
	IDLE_US = 1000000, /* after that a bucket may be full again */
	PROMISE_GAIN = 2, /* room to grow, where a queue discipline paces */
	PROOF_US = 1000000, /* until then the average counts, over at least JOIN_DOUBLE_US */
	RATE_WINDOW_US = 250000,
	RTT_WINDOW_US = 10000000,
	UNSENT_US = 1000,
	UNSENT_MIN = 4096,
	UNSENT_MAX = 1 << 22,
	RTO_MIN_US = 100000, /* what is not acknowledged goes over the other links then */
};

/* The kernel's, as far as they are looked at. */
struct sock {
	__u32 sk_pacing_status;
} __attribute__((preserve_access_index));
struct inet_connection_sock {
	void *icsk_ulp_data;
} __attribute__((preserve_access_index));
struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u32 snd_cwnd, mss_cache, srtt_us, delivered;
	__u32 rate_delivered, rate_interval_us;
} __attribute__((preserve_access_index));
struct mptcp_subflow_context {
	__u32 request_join : 1;
	__u32 mp_join : 1;
} __attribute__((preserve_access_index));
struct ack_sample {
	__u32 pkts_acked;
	__s32 rtt_us;
	__u32 in_flight;
} __attribute__((preserve_access_index));

enum tcp_ca_event { CA_EVENT_TX_START };

struct tcp_congestion_ops {
	__u32 (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
	void (*set_state)(struct sock *sk, __u8 state);
	void (*cwnd_event)(struct sock *sk, enum tcp_ca_event event);
	void (*pkts_acked)(struct sock *sk, const struct ack_sample *sample);
	__u32 (*undo_cwnd)(struct sock *sk);
	void (*init)(struct sock *sk);
	char name[16];
};

#ifndef SOL_SOCKET
#define SOL_SOCKET 1
#endif
#ifndef SO_MAX_PACING_RATE
#define SO_MAX_PACING_RATE 47
#endif
#ifndef TCP_NOTSENT_LOWAT
#define TCP_NOTSENT_LOWAT 25
#endif

void cubictcp_init(struct sock *sk) __ksym;
__u32 cubictcp_recalc_ssthresh(struct sock *sk) __ksym;
void cubictcp_cong_avoid(struct sock *sk, __u32 ack, __u32 acked) __ksym;
void cubictcp_state(struct sock *sk, __u8 state) __ksym;
void cubictcp_cwnd_event(struct sock *sk, enum tcp_ca_event event) __ksym;
void cubictcp_acked(struct sock *sk, const struct ack_sample *sample) __ksym;
__u32 tcp_reno_undo_cwnd(struct sock *sk) __ksym;
void *bpf_rdonly_cast(const void *object, __u32 btf_id) __ksym;

/* What a subflow has learnt of its path. Rates in segments a second. */
struct path {
	__u64 rate_since_us, rtt_since_us;
	__u32 rate_now, rate_before; /* the highest of this window and of the last */
	__u32 rtt_now, rtt_before; /* the lowest, in us; 0: none yet */
	__u32 unsent; /* TCP_NOTSENT_LOWAT as set */
	__u32 promise; /* SO_MAX_PACING_RATE as set */
	__u64 begun_us, acked_us; /* first acknowledgement after idling, and last; 0: none */
	__u32 begun_delivered; /* segments, before begun_us */
	bool joined; /* a further subflow */
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct path);
} paths SEC(".maps");

static __always_inline __u32 max_of(__u32 a, __u32 b)
{
	return a > b ? a : b;
}

static __always_inline __u32 min_of(__u32 a, __u32 b)
{
	return a < b ? a : b;
}

#define NO_LIMIT 0xffffffffu

static __always_inline __u64 now_us(void)
{
	return bpf_ktime_get_ns() / 1000;
}

static __always_inline bool is_join(struct sock *sk)
{
	struct tcp_sock *tcp = (struct tcp_sock *)sk;
	struct mptcp_subflow_context *subflow =
		bpf_rdonly_cast(tcp->inet_conn.icsk_ulp_data,
				bpf_core_type_id_kernel(struct mptcp_subflow_context));

	return BPF_CORE_READ_BITFIELD_PROBED(subflow, request_join) ||
	       BPF_CORE_READ_BITFIELD_PROBED(subflow, mp_join);
}

static __always_inline void learn_rtt(struct path *path, __u32 rtt_us, __u64 now)
{
	if (now - path->rtt_since_us > RTT_WINDOW_US) {
		path->rtt_before = path->rtt_now;
		path->rtt_now = rtt_us;
		path->rtt_since_us = now;
	} else if (!path->rtt_now || rtt_us < path->rtt_now) {
		path->rtt_now = rtt_us;
	}
}

static __always_inline __u32 path_rtt(const struct path *path)
{
	if (path->rtt_before && path->rtt_before < path->rtt_now)
		return path->rtt_before;
	return path->rtt_now;
}

static __always_inline __u32 latest_rate(const struct tcp_sock *tcp)
{
	__u64 delivered = tcp->rate_delivered;
	__u32 interval = tcp->rate_interval_us;

	return interval ? delivered * 1000000 / interval : 0;
}

static __always_inline void learn_rate(struct path *path, __u32 rate, __u32 srtt_us, __u64 now)
{
	__u32 window = max_of(RATE_WINDOW_US, 4 * srtt_us);

	if (now - path->rate_since_us > window) {
		path->rate_before = path->rate_now;
		path->rate_now = rate;
		path->rate_since_us = now;
	} else {
		path->rate_now = max_of(path->rate_now, rate);
	}
}

static __always_inline __u64 queue_time(const struct path *path)
{
	return (__u64)RTT_GAIN * path_rtt(path) + QUEUE_US;
}

/* If the queue grows beyond what was meant, what the path carries now is all it is worth. */
static __always_inline __u32 worth(const struct path *path, __u32 rate, __u32 rtt_us)
{
	if (rtt_us >= queue_time(path) + QUEUE_US)
		return rate;
	return max_of(rate, max_of(path->rate_now, path->rate_before));
}

static __always_inline bool is_fast(const struct path *path)
{
	return min_of(path->rate_now, path->rate_before) > FAST;
}

/* Segments it is good to have in flight. */
static __always_inline __u32 segments(const struct path *path, __u32 rate)
{
	return is_fast(path) ? NO_LIMIT : max_of(queue_time(path) * rate / 1000000, SEGMENTS_MIN);
}

/* What a further subflow may have in flight until it has shown what it carries. */
static __always_inline __u32 proven(const struct path *path, __u32 delivered, __u64 now)
{
	__u64 doublings = (now - path->begun_us) / JOIN_DOUBLE_US;

	if (doublings > JOIN_DOUBLINGS)
		doublings = JOIN_DOUBLINGS;
	return min_of(JOIN_SEGMENTS + delivered / 2, JOIN_SEGMENTS << doublings);
}

/* The rate of a path that has just begun is its average: its bucket may be full. */
static __always_inline __u32 proven_rate(const struct path *path, __u32 rate, __u32 delivered,
					 __u64 now)
{
	__u64 us = now - path->begun_us;

	if (us > PROOF_US)
		return rate;
	if (us < JOIN_DOUBLE_US)
		us = JOIN_DOUBLE_US;
	return min_of(rate, (__u64)(JOIN_SEGMENTS + delivered) * 1000000 / us);
}

/*
 * The scheduler believes in the pacing rate, which is TCP's window by its round trip: where
 * that was short, a hundred times what the path carries. TCP itself does not pace by it.
 */
static __always_inline void limit_promise(struct sock *sk, struct path *path, __u32 rate)
{
	__u64 wanted = (__u64)PROMISE_GAIN * rate * ((struct tcp_sock *)sk)->mss_cache;
	__u32 value = is_fast(path) || wanted > NO_LIMIT ? NO_LIMIT : wanted;

	if (value < path->promise + path->promise / 8 && value > path->promise - path->promise / 8)
		return;
	path->promise = value;
	bpf_setsockopt(sk, SOL_SOCKET, SO_MAX_PACING_RATE, &value, sizeof(value));
	sk->sk_pacing_status = 0;
}

static __always_inline void limit_unsent(struct sock *sk, struct path *path, __u32 rate)
{
	struct tcp_sock *tcp = (struct tcp_sock *)sk;
	__u64 wanted = (__u64)rate * tcp->mss_cache * UNSENT_US / 1000000;
	__u64 proven = (__u64)tcp->delivered * tcp->mss_cache / 8;
	int value;

	if (path->joined && wanted > proven)
		wanted = proven;
	if (wanted < UNSENT_MIN)
		wanted = UNSENT_MIN;
	if (wanted > UNSENT_MAX)
		wanted = UNSENT_MAX;
	if (wanted < 2 * (__u64)path->unsent && 2 * wanted > path->unsent)
		return;
	path->unsent = value = wanted;
	bpf_setsockopt(sk, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &value, sizeof(value));
}

static __always_inline void begin(struct sock *sk, struct path *path, __u64 now)
{
	if (!path->acked_us)
		path->joined = is_join(sk);
	if (now - path->acked_us > IDLE_US) {
		path->begun_us = now;
		path->begun_delivered = ((struct tcp_sock *)sk)->delivered;
	}
	path->acked_us = now;
}

SEC("struct_ops/plait_acked")
void BPF_PROG(plait_acked, struct sock *sk, const struct ack_sample *sample)
{
	struct tcp_sock *tcp = (struct tcp_sock *)sk;
	__u32 rate = latest_rate(tcp), delivered, most;
	struct path *path;
	__u64 now = now_us();

	cubictcp_acked(sk, sample);
	path = bpf_sk_storage_get(&paths, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!path || sample->rtt_us <= 0)
		return;
	begin(sk, path, now);
	learn_rtt(path, sample->rtt_us, now);
	if (!rate)
		return;
	learn_rate(path, rate, tcp->srtt_us >> 3, now);
	delivered = tcp->delivered - path->begun_delivered;
	rate = worth(path, rate, sample->rtt_us);
	most = segments(path, rate);
	if (path->joined) {
		most = min_of(most, proven(path, delivered, now));
		limit_promise(sk, path, proven_rate(path, rate, delivered, now));
	}
	if (tcp->snd_cwnd > most)
		tcp->snd_cwnd = most;
	limit_unsent(sk, path, max_of(path->rate_now, path->rate_before));
}

SEC("struct_ops/plait_init")
void BPF_PROG(plait_init, struct sock *sk)
{
	int unsent = UNSENT_MIN; /* until something is known of the path */
	int rto_min_us = RTO_MIN_US;

	cubictcp_init(sk);
	bpf_setsockopt(sk, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
	bpf_setsockopt(sk, IPPROTO_TCP, TCP_BPF_RTO_MIN, &rto_min_us, sizeof(rto_min_us));
}

SEC("struct_ops/plait_ssthresh")
__u32 BPF_PROG(plait_ssthresh, struct sock *sk)
{
	return cubictcp_recalc_ssthresh(sk);
}

SEC("struct_ops/plait_cong_avoid")
void BPF_PROG(plait_cong_avoid, struct sock *sk, __u32 ack, __u32 acked)
{
	cubictcp_cong_avoid(sk, ack, acked);
}

SEC("struct_ops/plait_set_state")
void BPF_PROG(plait_set_state, struct sock *sk, __u8 state)
{
	cubictcp_state(sk, state);
}

SEC("struct_ops/plait_cwnd_event")
void BPF_PROG(plait_cwnd_event, struct sock *sk, enum tcp_ca_event event)
{
	cubictcp_cwnd_event(sk, event);
}

SEC("struct_ops/plait_undo_cwnd")
__u32 BPF_PROG(plait_undo_cwnd, struct sock *sk)
{
	return tcp_reno_undo_cwnd(sk);
}

SEC(".struct_ops")
struct tcp_congestion_ops congestion = {
	.init = (void *)plait_init,
	.ssthresh = (void *)plait_ssthresh,
	.cong_avoid = (void *)plait_cong_avoid,
	.set_state = (void *)plait_set_state,
	.cwnd_event = (void *)plait_cwnd_event,
	.pkts_acked = (void *)plait_acked,
	.undo_cwnd = (void *)plait_undo_cwnd,
	.name = "plait_congestio", /* the agent puts its instance's own here */
};

char LICENSE[] SEC("license") = "Dual BSD/GPL";
