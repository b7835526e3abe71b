/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#ifndef PLAIT_CLI_ASK_H
#define PLAIT_CLI_ASK_H

#include <jansson.h>

#include "control/request.h"

/*
 * Send request to the agent behind the socket at path. Returns 0 and the document,
 * which the caller json_decref()s, or negative errno: -ENOENT or -ECONNREFUSED
 * nobody is there, -EAGAIN no answer within ten seconds, -ENODATA or -EPROTO hung
 * up, -EBADMSG or -EMSGSIZE no answer of this protocol.
 */
int ask(const char *path, const struct request *request, json_t **reply);

#endif
