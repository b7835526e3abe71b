// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "report_json.h"

#include <jansson.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr_text.h"
#include "base/clock.h"
#include "control/frame.h"

/* Fifteen digits: a decimal comes out as it went in. With seventeen, 0.1 would not. */
#define DUMP_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(15))

enum { FLUSH_ELEMENTS = 1024 };

struct field {
	const char *key;
	json_t *value; /* NULL if memory ran out */
};

/* Takes the values over; NULL if one of them is. */
static json_t *object_of(const struct field *fields)
{
	json_t *object = json_object();
	bool whole = true;

	for (; fields->key; fields++)
		whole &= !json_object_set_new(object, fields->key, fields->value);
	if (whole)
		return object;
	json_decref(object);
	return NULL;
}

#define OBJECT(...) object_of((const struct field[]){__VA_ARGS__, {NULL, NULL}})

/* Takes array and value over. */
static json_t *append(json_t *array, json_t *value)
{
	if (!json_array_append_new(array, value))
		return array;
	json_decref(array);
	return NULL;
}

static json_t *text_json(const char *text)
{
	json_t *value = json_string(text ? text : "");
	char *ascii;

	if (value)
		return value;
	ascii = strdup(text ? text : "");
	if (!ascii)
		return NULL;
	for (char *c = ascii; *c; c++) {
		if ((unsigned char)*c > 0x7f)
			*c = '?';
	}
	value = json_string(ascii);
	free(ascii);
	return value;
}

static json_t *number_json(uint64_t number)
{
	return json_integer((json_int_t)number);
}

static json_t *addr_json(const struct plait_addr *addr)
{
	return json_string(addr_text(addr).text);
}

/* Whole milliseconds: more would be noise. */
static json_t *seconds_json(uint64_t ns)
{
	return json_real((double)(ns / NS_PER_MS) / 1000);
}

/* BPF stamps on other CPUs and may be a little ahead of now_ns. */
static json_t *seconds_since_json(uint64_t then_ns, uint64_t now_ns)
{
	return seconds_json(then_ns < now_ns ? now_ns - then_ns : 0);
}

/* Takes document over. */
static char *dump(json_t *document, size_t *bytes)
{
	char *text = document ? json_dumps(document, DUMP_FLAGS) : NULL;

	json_decref(document);
	if (text)
		*bytes = strlen(text);
	return text;
}

char *report_json_status(const struct status_report *status, size_t *bytes)
{
	json_t *document = OBJECT(
		{"name", text_json(status->name)}, {"role", text_json(status->role)},
		{"mode", text_json(status->mode)}, {"handshake", text_json(status->handshake)},
		{"draining", json_boolean(status->draining)}, {"version", text_json(PLAIT_VERSION)},
		{"pid", number_json((uint64_t)getpid())}, {"kernel", text_json(status->kernel)},
		{"uptime_s", seconds_json(status->uptime_ns)},
		{"workers", number_json(status->workers)},
		{"sessions", number_json(status->sessions)},
		{"max_sessions", number_json(status->max_sessions)},
		{"held_syns", number_json(status->held_syns)},
		{"datagram_bindings", number_json(status->datagram_bindings)});

	return dump(document, bytes);
}

static json_t *protocol_json(uint8_t protocol)
{
	if (protocol == IPPROTO_TCP)
		return json_string("tcp");
	if (protocol == IPPROTO_UDP)
		return json_string("udp");
	return json_sprintf("%u", protocol);
}

static const char *state_name(const struct session_report *session)
{
	if (session->opening)
		return "opening";
	switch (session->counters.state) {
	case PLAIT_SESSION_OPENING:
		return "opening";
	case PLAIT_SESSION_ESTABLISHED:
		return "established";
	case PLAIT_SESSION_CLOSING:
		return "closing";
	case PLAIT_SESSION_RESET:
		return "reset";
	}
	return "unknown";
}

static json_t *subflow_json(const struct subflow_report *subflow)
{
	return OBJECT({"link", text_json(subflow->link)}, {"local", addr_json(&subflow->local)},
		      {"remote", addr_json(&subflow->remote)},
		      {"rtt_us", number_json(subflow->rtt_us)},
		      {"sent_bytes", number_json(subflow->sent_bytes)},
		      {"received_bytes", number_json(subflow->received_bytes)},
		      {"retransmits", number_json(subflow->retransmits)},
		      {"backup", json_boolean(subflow->backup)});
}

static json_t *subflows_json(const struct session_report *session)
{
	json_t *array = json_array();

	for (unsigned int i = 0; array && i < session->subflow_count; i++)
		array = append(array, subflow_json(&session->subflows[i]));
	return array;
}

static json_t *direction_json(uint64_t packets, uint64_t octets)
{
	return OBJECT({"packets", number_json(packets)}, {"bytes", number_json(octets)});
}

static json_t *session_json(const struct session_report *session, uint64_t now_ns)
{
	const struct plait_session_value *counters = &session->counters;
	uint64_t seen_ns = counters->last_seen_ns ? counters->last_seen_ns : counters->created_ns;

	return OBJECT(
		{"protocol", protocol_json(session->key.protocol)},
		{"inside", addr_json(&session->key.inside)},
		{"remote", addr_json(&session->key.remote)},
		{"state", text_json(state_name(session))},
		{"age_s", seconds_since_json(counters->created_ns, now_ns)},
		{"idle_s", seconds_since_json(seen_ns, now_ns)},
		{"up", direction_json(counters->up_packets, counters->up_bytes)},
		{"down", direction_json(counters->down_packets, counters->down_bytes)},
		{"concentrator", text_json(session->concentrator)},
		{"mptcp", json_boolean(session->mptcp)}, {"token", number_json(session->token)},
		{"worker", number_json(session->worker)}, {"subflows", subflows_json(session)});
}

/* Takes document over. */
static int put(FILE *stream, json_t *document)
{
	int error = document ? json_dumpf(document, stream, DUMP_FLAGS) : -1;

	json_decref(document);
	return error;
}

/* Element i of a report of very many. */
typedef json_t *element_fn(const void *elements, size_t i, uint64_t now_ns);

/*
 * Element by element: a tree of all of them would take some ten times the memory
 * of the text. What is too long to be sent is not finished.
 */
static int put_all(FILE *stream, const size_t *length, element_fn *element, const void *elements,
		   size_t count, uint64_t now_ns)
{
	int error = 0;

	for (size_t i = 0; i < count && !error; i++) {
		if (i)
			fputc(',', stream);
		error = put(stream, element(elements, i, now_ns));
		if (i % FLUSH_ELEMENTS == 0 && !fflush(stream) && *length > FRAME_REPLY_MAX)
			break;
	}
	return error;
}

/* {"key":[...]} */
static char *list_text(const char *key, element_fn *element, const void *elements, size_t count,
		       uint64_t now_ns, size_t *bytes)
{
	char *text = NULL;
	size_t length = 0;
	FILE *stream = open_memstream(&text, &length);
	int error;

	if (!stream)
		return NULL;
	fprintf(stream, "{\"%s\":[", key);
	error = put_all(stream, &length, element, elements, count, now_ns);
	fputs("]}", stream);
	error |= ferror(stream);
	if (fclose(stream) || error) {
		free(text);
		return NULL;
	}
	*bytes = length;
	return text;
}

static json_t *session_element(const void *sessions, size_t i, uint64_t now_ns)
{
	return session_json(&((const struct session_report *)sessions)[i], now_ns);
}

char *report_json_sessions(const struct session_report *sessions, size_t count, uint64_t now_ns,
			   size_t *bytes)
{
	return list_text("sessions", session_element, sessions, count, now_ns, bytes);
}

static json_t *binding_element(const void *bindings, size_t i, uint64_t now_ns)
{
	const struct binding_report *binding = &((const struct binding_report *)bindings)[i];

	return OBJECT({"protocol", protocol_json(binding->protocol)},
		      {"inside", addr_json(&binding->inside)},
		      {"external", addr_json(&binding->external)},
		      {"subscriber", text_json(binding->subscriber)},
		      {"state", text_json(binding->state)},
		      {"sessions", number_json(binding->sessions)},
		      {"age_s", seconds_since_json(binding->since_ns, now_ns)});
}

char *report_json_bindings(const struct binding_report *bindings, size_t count, uint64_t now_ns,
			   size_t *bytes)
{
	return list_text("bindings", binding_element, bindings, count, now_ns, bytes);
}

/* Empty if there is none. */
static json_t *addr_or_empty_json(const struct plait_addr *addr)
{
	return addr->family ? addr_json(addr) : json_string("");
}

static json_t *datagram_links_json(const struct datagram_link_report *links, unsigned int count)
{
	json_t *array = json_array();

	for (unsigned int i = 0; array && i < count; i++)
		array = append(array, OBJECT({"address", addr_json(&links[i].address)},
					     {"datagrams_sent", number_json(links[i].sent)},
					     {"datagrams_received", number_json(links[i].received)},
					     {"datagrams_lost", number_json(links[i].lost)},
					     {"datagrams_late", number_json(links[i].late)}));
	return array;
}

static json_t *subscriber_element(const void *subscribers, size_t i, uint64_t now_ns)
{
	const struct subscriber_report *subscriber =
		&((const struct subscriber_report *)subscribers)[i];

	return OBJECT({"name", text_json(subscriber->name)},
		      {"source", addr_json(&subscriber->source)},
		      {"sessions", number_json(subscriber->sessions)},
		      {"ports", number_json(subscriber->ports)},
		      {"blocks", number_json(subscriber->blocks)},
		      {"external_ipv4", addr_or_empty_json(&subscriber->external_v4)},
		      {"external_ipv6", addr_or_empty_json(&subscriber->external_v6)},
		      {"max_sessions", number_json(subscriber->max_sessions)},
		      {"max_ports", number_json(subscriber->max_ports)},
		      {"max_blocks", number_json(subscriber->max_blocks)},
		      {"max_new_sessions_per_s", number_json(subscriber->max_new_per_s)},
		      {"links", datagram_links_json(subscriber->links, subscriber->link_count)});
}

char *report_json_subscribers(const struct subscriber_report *subscribers, size_t count,
			      size_t *bytes)
{
	return list_text("subscribers", subscriber_element, subscribers, count, 0, bytes);
}

static json_t *addresses_json(const struct plait_addr *addresses, unsigned int count)
{
	json_t *array = json_array();

	for (unsigned int i = 0; array && i < count; i++)
		array = append(array, addr_json(&addresses[i]));
	return array;
}

static json_t *link_json(const struct link_report *link)
{
	return OBJECT({"name", text_json(link->name)}, {"interface", text_json(link->interface)},
		      {"type", text_json(link->type)}, {"use", text_json(link->use)},
		      {"weight", number_json(link->weight)},
		      {"state", text_json(link->up && link->carrier ? "up" : "down")},
		      {"condition", text_json(link->condition ? link->condition : "")},
		      {"rtt_us", number_json(link->rtt_us)},
		      {"rtt_min_us", number_json(link->rtt_min_us)},
		      {"loss_permille", number_json(link->loss_permille)},
		      {"mtu", number_json(link->mtu)}, {"sessions", number_json(link->sessions)},
		      {"addresses", addresses_json(link->addresses, link->address_count)},
		      {"sent_bytes", number_json(link->sent_bytes)},
		      {"received_bytes", number_json(link->received_bytes)},
		      {"sent_packets", number_json(link->sent_packets)},
		      {"received_packets", number_json(link->received_packets)},
		      {"sent_bytes_per_s", number_json(link->sent_rate)},
		      {"received_bytes_per_s", number_json(link->received_rate)},
		      {"datagrams_sent", number_json(link->datagrams_sent)},
		      {"datagrams_received", number_json(link->datagrams_received)},
		      {"datagrams_lost", number_json(link->datagrams_lost)},
		      {"datagrams_late", number_json(link->datagrams_late)});
}

char *report_json_links(const struct link_report *links, size_t count, size_t *bytes)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < count; i++)
		array = append(array, link_json(&links[i]));
	return dump(OBJECT({"links", array}), bytes);
}

static json_t *concentrator_json(const struct concentrator_report *concentrator)
{
	return OBJECT({"name", text_json(concentrator->name)},
		      {"answers", json_boolean(concentrator->answers)},
		      {"port", number_json(concentrator->port)},
		      {"weight", number_json(concentrator->weight)},
		      {"sessions", number_json(concentrator->sessions)},
		      {"addresses",
		       addresses_json(concentrator->addresses, concentrator->address_count)});
}

char *report_json_concentrators(const struct concentrator_report *concentrators, size_t count,
				size_t *bytes)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < count; i++)
		array = append(array, concentrator_json(&concentrators[i]));
	return dump(OBJECT({"concentrators", array}), bytes);
}

static json_t *prefixes_json(const struct pool_report *pool)
{
	json_t *array = json_array();

	for (unsigned int i = 0; array && i < pool->prefix_count; i++)
		array = append(array, text_json(prefix_text(&pool->prefixes[i]).text));
	return array;
}

static json_t *pool_json(const struct pool_report *pool)
{
	bool v4 = pool->prefix_count && pool->prefixes[0].family == AF_INET;

	return OBJECT({"family", text_json(v4 ? "ipv4" : "ipv6")},
		      {"translation", text_json(pool->translation)},
		      {"prefixes", prefixes_json(pool)},
		      {"addresses", number_json(pool->addresses)},
		      {"block_ports", number_json(pool->block_ports)},
		      {"blocks", number_json(pool->blocks)},
		      {"blocks_lent", number_json(pool->blocks_lent)},
		      {"ports_lent", number_json(pool->ports_lent)});
}

char *report_json_pools(const struct pool_report *pools, size_t count, size_t *bytes)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < count; i++)
		array = append(array, pool_json(&pools[i]));
	return dump(OBJECT({"pools", array}), bytes);
}

char *report_json_counters(const uint64_t counters[PLAIT_REASON_COUNT], size_t *bytes)
{
	const struct field fields[] = {
#define X(id, name, text) {#name, number_json(counters[PLAIT_##id])},
		PLAIT_REASONS(X)
#undef X
			{NULL, NULL},
	};

	return dump(OBJECT({"counters", object_of(fields)}), bytes);
}

char *report_json_done(const char *line, json_t *facts, size_t *bytes)
{
	json_t *document = OBJECT({"done", text_json(line)});

	if (facts && !json_object_update(document, facts))
		return dump(document, bytes);
	json_decref(document);
	return NULL;
}

char *report_json_error(const char *text, size_t *bytes)
{
	return dump(OBJECT({"error", text_json(text)}), bytes);
}
