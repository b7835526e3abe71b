/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Readers, as in walk.h, of the values that only plait's configuration has. They
 * know what else was read and refuse what does not go together with it.
 */
#ifndef PLAIT_CONFIG_READERS_H
#define PLAIT_CONFIG_READERS_H

#include "walk.h"

/* char[CONFIG_NAME_BYTES] */
int config_read_name(struct walk *walk, const struct node *node, void *into, const void *unused);
/* Likewise; list is the one in struct config whose elements begin with such names. */
int config_read_unique_name(struct walk *walk, const struct node *node, void *into,
			    const void *list);
/* char[CONFIG_NAME_BYTES] */
int config_read_access_type(struct walk *walk, const struct node *node, void *into,
			    const void *unused);
/* char[CONFIG_PATH_BYTES] */
int config_read_path(struct walk *walk, const struct node *node, void *into, const void *unused);
/* char[IF_NAMESIZE]; one that is used nowhere else */
int config_read_interface(struct walk *walk, const struct node *node, void *into,
			  const void *unused);
/* struct plait_addr */
int config_read_address(struct walk *walk, const struct node *node, void *into, const void *unused);
/* struct plait_addr; one that is given nowhere else */
int config_read_unique_address(struct walk *walk, const struct node *node, void *into,
			       const void *unused);
/* struct config_host; one that is given nowhere else */
int config_read_unique_host(struct walk *walk, const struct node *node, void *into,
			    const void *unused);
/* struct plait_prefix */
int config_read_prefix(struct walk *walk, const struct node *node, void *into, const void *unused);
/* struct plait_prefix; one that overlaps with no pool */
int config_read_pool_prefix(struct walk *walk, const struct node *node, void *into,
			    const void *unused);
/* struct plait_prefix; of up to 2^32 addresses */
int config_read_inside(struct walk *walk, const struct node *node, void *into, const void *unused);
/* uint16_t; 0: preserve */
int config_read_port(struct walk *walk, const struct node *node, void *into, const void *unused);
/* struct config_link: one address, or a list of one for each family */
int config_read_gateway(struct walk *walk, const struct node *node, void *into, const void *unused);
/* unsigned int: even, 2 to 64512 */
int config_read_port_block(struct walk *walk, const struct node *node, void *into,
			   const void *unused);
/* struct plait_addr: an address with its port */
int config_read_endpoint(struct walk *walk, const struct node *node, void *into,
			 const void *unused);
/* struct plait_addr: a port of any address */
int config_read_own_port(struct walk *walk, const struct node *node, void *into,
			 const void *unused);
/* unsigned int: 0 to 63, or CONFIG_DSCP_PRESERVE */
int config_read_dscp(struct walk *walk, const struct node *node, void *into, const void *unused);
/* Milliseconds in a uint32_t, at most a second. */
int config_read_reorder(struct walk *walk, const struct node *node, void *into, const void *unused);
/* enum config_udp */
int config_read_udp(struct walk *walk, const struct node *node, void *into, const void *unused);
/* uint8_t */
int config_read_protocol(struct walk *walk, const struct node *node, void *into,
			 const void *unused);
/* __u16[2], first and last */
int config_read_port_range(struct walk *walk, const struct node *node, void *into,
			   const void *unused);

#endif
