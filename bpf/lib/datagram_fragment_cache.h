/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What is known of datagrams that come in fragments (plain-mode-08 §5.3.2): what becomes
 * of them, which the first one decides, and what of them was seen. A datagram has one of
 * a few places that its key hashes to, until it is complete or its time is over. So entries
 * and time are bounded by construction; and of those that are not complete, each
 * address has a share only.
 */
#ifndef PLAIT_BPF_DATAGRAM_FRAGMENT_CACHE_H
#define PLAIT_BPF_DATAGRAM_FRAGMENT_CACHE_H

#include "datagram_fragment.h"
#include "next_hop.h"

enum {
	PLACE_WAYS = 8,
	RANGES_MAX = 8, /* 16 fragments may come in any order, more nearly in order */
	EARLY_MAX = 48, /* of a datagram: 65,535 octets in pieces of 1400 */
	SHARES = 1024,
	SHARE_PLACES = PLAIT_FRAGMENT_PLACES / 8,
	SHARE_EARLY_BYTES = 1 << 17,
};

enum fate_action {
	FATE_UNKNOWN, /* the first has not come */
	FATE_PASS, /* the kernel's */
	FATE_DROP,
	FATE_SEND, /* over the path of that index */
	FATE_RECEIVE, /* from source to destination */
	FATE_WHOLE, /* kept until all are there */
};

struct fate {
	struct plait_addr source, destination;
	__u32 path;
	__u32 id; /* that it has from here on */
	__u32 action; /* enum fate_action */
};

/* In units of eight octets; empty: 0 to 0. */
struct range {
	__u16 start, end;
};

struct fragment_place {
	struct bpf_spin_lock lock; /* for all that follows */
	__u32 share;
	__u64 until_ns; /* taken until then; 0: free */
	__u64 name;
	struct fragment_key key;
	struct fate fate;
	struct range seen[RANGES_MAX];
	__u32 seen_bytes, total_bytes; /* total 0: the last has not come */
	__u32 kept_bytes; /* FATE_WHOLE: those that are in their place */
	__u32 early; /* given to the agent */
};

/* BPF writes. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PLAIT_FRAGMENT_PLACES);
	__type(key, __u32);
	__type(value, struct fragment_place);
} datagram_fragments SEC(".maps");

/* Processors meet here without a lock: an estimate. */
struct fragment_share {
	__u64 since_ns; /* counts begin anew each PLAIT_FRAGMENT_LIFE_NS */
	__u32 places; /* taken, and not yet complete */
	__u32 early_bytes; /* given to the agent */
};

/* By the address it is about; some have one in common. BPF writes. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SHARES);
	__type(key, __u32);
	__type(value, struct fragment_share);
} datagram_fragment_shares SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, PLAIT_EARLY_RING_BYTES);
} datagram_early SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct plait_early_fragment);
} datagram_early_scratch SEC(".maps");

/* How a fragment lies to what was seen. */
struct lie {
	__u64 overlaps, reaches_out; /* numbers of ranges, the second of the first */
	__u64 last; /* end of all */
	__u64 behind, before,
		empty; /* index + 1 of a range that it follows, precedes; of an empty one */
};

/* A fragment to be noted, and what is known of its datagram then. */
struct noting {
	struct fragment_key key;
	struct piece piece;
	__u32 bytes; /* of the datagram, in this fragment */
	__u32 share; /* whose it is */
	struct fate fate; /* of a first one: as decided; of others, and then: as it is */
	__u64 now_ns, name;
	__u32 place; /* index */
	__u32 early; /* to a first one: so many came before it */
	struct lie lie; /* scratch */
};

/* The one at hand: for the stack it is too big. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct noting);
} datagram_noting SEC(".maps");

static __always_inline struct noting *new_noting(void)
{
	__u32 zero = 0;
	struct noting *noting = bpf_map_lookup_elem(&datagram_noting, &zero);

	if (noting)
		__builtin_memset(noting, 0, sizeof(*noting));
	return noting;
}

enum noted {
	NOTED_GOOD, /* its fate is known */
	NOTED_EARLY,
	NOTED_OVERLAP,
	NOTED_FULL,
};

static __always_inline __u32 share_of(const struct plait_addr *whose)
{
	return hash_ip(whose) % SHARES;
}

static __always_inline struct fragment_share *find_share(__u32 index, __u64 now_ns)
{
	struct fragment_share *share = bpf_map_lookup_elem(&datagram_fragment_shares, &index);

	if (share && now_ns - share->since_ns > PLAIT_FRAGMENT_LIFE_NS) {
		share->since_ns = now_ns;
		share->places = 0;
		share->early_bytes = 0;
	}
	return share;
}

static __always_inline bool is_same_key(const struct fragment_key *a, const struct fragment_key *b)
{
	const __u64 *x = (const void *)a, *y = (const void *)b;

	return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) | (x[4] ^ y[4]) |
		 (x[5] ^ y[5]));
}

static __always_inline __u32 first_place(const struct fragment_key *key)
{
	return mix(hash_ip(&key->source) ^ mix(hash_ip(&key->destination) ^ key->id) ^
		   key->protocol);
}

/* Without branches, of which the verifier would follow all that are possible together. */
static __always_inline __u64 is_below(__u64 a, __u64 b)
{
	a -= b;
	barrier_var(a);
	return a >> 63;
}

static __always_inline __u64 is_equal(__u64 a, __u64 b)
{
	return 1 - is_below(0, a ^ b);
}

static __always_inline void pick(__u64 *out, __u64 condition, __u64 value)
{
	*out += condition * (value - *out);
}

static __always_inline void find_lie(const struct fragment_place *place, __u64 start, __u64 end,
				     struct lie *out)
{
	__builtin_memset(out, 0, sizeof(*out));
#pragma unroll
	for (__u32 i = 0; i < RANGES_MAX; i++) {
		__u64 s = place->seen[i].start, e = place->seen[i].end;
		__u64 used = is_below(s, e), overlaps = is_below(start, e) & is_below(s, end);

		out->overlaps += overlaps;
		out->reaches_out += overlaps & (is_below(start, s) | is_below(e, end));
		pick(&out->last, is_below(out->last, e), e);
		pick(&out->behind, used & is_equal(e, start), i + 1);
		pick(&out->before, used & is_equal(s, end), i + 1);
		pick(&out->empty, 1 - used, i + 1);
	}
}

/* Whether the end stays where it was, if that is known. */
static __always_inline bool agrees_on_end(const struct fragment_place *place,
					  const struct noting *noting, const struct lie *lie)
{
	__u32 end = noting->piece.offset + noting->bytes, total = place->total_bytes;

	if (noting->piece.more)
		return !total || end <= total;
	return total ? end == total : lie->last * 8 < end + 8;
}

/* Ranges that meet become one. */
static __always_inline void put_range(struct fragment_place *place, const struct lie *lie,
				      __u32 start, __u32 end)
{
	struct range *behind = &place->seen[(lie->behind - 1) % RANGES_MAX],
		     *before = &place->seen[(lie->before - 1) % RANGES_MAX],
		     *empty = &place->seen[(lie->empty - 1) % RANGES_MAX];

	if (lie->behind && lie->before) {
		behind->end = before->end;
		before->start = before->end = 0;
	} else if (lie->behind) {
		behind->end = end;
	} else if (lie->before) {
		before->start = start;
	} else {
		empty->start = start;
		empty->end = end;
	}
}

/*
 * Nothing of it was seen before, and it is now. What overlaps ends its datagram (RFC 5722);
 * a copy does not, nor what is within what was seen.
 */
static __always_inline enum noted note_range(struct fragment_place *place, struct noting *noting)
{
	__u32 bytes = noting->bytes, start = noting->piece.offset / 8,
	      end = (noting->piece.offset + bytes + 7) / 8;
	struct lie *lie = &noting->lie;

	find_lie(place, start, end, lie);
	if (lie->reaches_out || !agrees_on_end(place, noting, lie)) {
		place->fate.action = FATE_DROP;
		return NOTED_OVERLAP;
	}
	if (lie->overlaps)
		return NOTED_OVERLAP;
	if (!lie->behind && !lie->before && !lie->empty)
		return NOTED_FULL;
	put_range(place, lie, start, end);
	place->seen_bytes += bytes;
	if (!noting->piece.more)
		place->total_bytes = noting->piece.offset + bytes;
	return NOTED_GOOD;
}

/* The lock is held; no function is called. */
static __always_inline enum noted note_at(struct fragment_place *place, struct noting *noting)
{
	enum noted noted;

	noting->early = 0;
	if (noting->fate.action != FATE_UNKNOWN && place->fate.action == FATE_UNKNOWN) {
		place->fate = noting->fate;
		noting->early = place->early;
	}
	noting->fate = place->fate;
	noting->name = place->name;
	if (noting->fate.action == FATE_UNKNOWN)
		return place->early++ < EARLY_MAX ? NOTED_EARLY : NOTED_FULL;
	noted = note_range(place, noting);
	if (noting->fate.action == FATE_PASS) /* the kernel's, whatever it is */
		place->fate.action = FATE_PASS;
	if (place->seen_bytes == place->total_bytes && noting->fate.action != FATE_WHOLE)
		place->until_ns = 0;
	if (noting->fate.action == FATE_PASS || noting->fate.action == FATE_DROP)
		return NOTED_GOOD;
	return noted;
}

static __always_inline void take_place(struct fragment_place *place, const struct noting *noting)
{
	place->share = noting->share;
	place->until_ns = noting->now_ns + PLAIT_FRAGMENT_LIFE_NS;
	place->name = noting->now_ns * PLAIT_FRAGMENT_PLACES + noting->place;
	place->key = noting->key;
	__builtin_memset(&place->fate, 0, sizeof(place->fate));
	__builtin_memset(place->seen, 0, sizeof(place->seen));
	place->seen_bytes = place->total_bytes = place->kept_bytes = place->early = 0;
}

static __always_inline struct fragment_place *place_at(struct noting *noting, __u32 way)
{
	noting->place = (first_place(&noting->key) + way) % PLAIT_FRAGMENT_PLACES;
	return bpf_map_lookup_elem(&datagram_fragments, &noting->place);
}

/* A place that was taken is complete. */
static __always_inline void give_back(const struct noting *noting)
{
	struct fragment_share *share = find_share(noting->share, noting->now_ns);

	if (share && share->places)
		share->places--;
}

/* In the place that its datagram has; false: it has none. */
static __always_inline bool note_in_own(struct noting *noting, enum noted *out)
{
	for (__u32 way = 0; way < PLACE_WAYS; way++) {
		struct fragment_place *place = place_at(noting, way);
		bool found, complete = false;

		if (!place)
			return false;
		bpf_spin_lock(&place->lock);
		found = place->until_ns > noting->now_ns && is_same_key(&place->key, &noting->key);
		if (found) {
			*out = note_at(place, noting);
			complete = !place->until_ns;
		}
		bpf_spin_unlock(&place->lock);
		if (complete)
			give_back(noting);
		if (found)
			return true;
	}
	return false;
}

static __always_inline enum noted note_in_new(struct noting *noting)
{
	struct fragment_share *share = find_share(noting->share, noting->now_ns);

	if (!share || share->places >= SHARE_PLACES)
		return NOTED_FULL;
	for (__u32 way = 0; way < PLACE_WAYS; way++) {
		struct fragment_place *place = place_at(noting, way);
		bool expired = false, taken;
		enum noted noted = NOTED_FULL;

		if (!place)
			return NOTED_FULL;
		bpf_spin_lock(&place->lock);
		taken = place->until_ns > noting->now_ns;
		if (!taken) {
			expired = place->until_ns && place->fate.action != FATE_PASS;
			take_place(place, noting);
			noted = note_at(place, noting);
		}
		bpf_spin_unlock(&place->lock);
		if (expired)
			count_packet(PLAIT_DATAGRAM_FRAGMENT_EXPIRED);
		if (taken)
			continue;
		share->places++;
		return noted;
	}
	return NOTED_FULL;
}

/* Verified by itself. */
__noinline enum noted note(struct noting *noting)
{
	enum noted noted;

	if (!noting)
		return NOTED_FULL;
	return note_in_own(noting, &noted) ? noted : note_in_new(noting);
}

/* The agent keeps it for a while. */
static __always_inline bool hold_early(struct xdp_md *ctx, const struct noting *noting)
{
	struct fragment_share *share = find_share(noting->share, noting->now_ns);
	__u64 bytes = bpf_xdp_get_buff_len(ctx);
	struct plait_early_fragment *held;
	__u32 zero = 0;

	held = bpf_map_lookup_elem(&datagram_early_scratch, &zero);
	if (!share || !held || bytes < 1 || bytes > sizeof(held->frame) ||
	    share->early_bytes + bytes > SHARE_EARLY_BYTES)
		return false;
	held->datagram = noting->name;
	held->ifindex = ctx->ingress_ifindex;
	held->frame_bytes = bytes;
	if (bpf_xdp_load_bytes(ctx, 0, held->frame, bytes) ||
	    bpf_ringbuf_output(&datagram_early, held,
			       __builtin_offsetof(struct plait_early_fragment, frame) + bytes, 0))
		return false;
	share->early_bytes += bytes;
	return true;
}

/* The first has come: those that the agent keeps may go. */
static __always_inline void let_early_go(struct xdp_md *ctx, const struct noting *noting)
{
	const struct {
		__u64 datagram;
		__u32 ifindex, frame_bytes;
	} record = {.datagram = noting->name, .ifindex = ctx->ingress_ifindex};

	if (noting->early)
		bpf_ringbuf_output(&datagram_early, (void *)&record, sizeof(record), 0);
}

/* What is to be done with one whose fate is not known, or known to be none: counted, and the verdict. */
static __always_inline int without_fate(struct xdp_md *ctx, const struct noting *noting,
					enum noted noted)
{
	if (noted == NOTED_OVERLAP)
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FRAGMENT_OVERLAP);
	if (noted == NOTED_EARLY && hold_early(ctx, noting))
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FRAGMENT_EARLY);
	if (noted != NOTED_GOOD)
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FRAGMENT_LIMIT);
	return noting->fate.action == FATE_PASS
		       ? datagram_verdict(XDP_PASS, PLAIT_DATAGRAM_FRAGMENT)
		       : datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FRAGMENT_REFUSED);
}

static __always_inline bool has_fate(const struct noting *noting, enum noted noted)
{
	return noted == NOTED_GOOD && noting->fate.action >= FATE_SEND;
}

#endif
