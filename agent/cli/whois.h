/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* plaitctl whois: who has an external address and port, or which ones somebody has. */
#ifndef PLAIT_CLI_WHOIS_H
#define PLAIT_CLI_WHOIS_H

#include <stdbool.h>

/* Whether the first word that is no option is "whois". */
bool whois_is_meant(int argc, char *const *argv);

/* Its own options and words. Returns the exit status. */
int whois(int argc, char **argv);

#endif
