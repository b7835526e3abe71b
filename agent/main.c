// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* plaitd: reads its configuration, runs one role until told to end. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "config/load.h"
#include "control/socket_path.h"
#include "port/kernel.h"
#include "port/loop.h"
#include "role/instance.h"
#include "role/reload.h"
#include "role/role.h"
#include "role/verbs.h"
#include "view/control_server.h"

enum { EXIT_OK = 0, EXIT_RUNTIME = 1, EXIT_USAGE = 2 };
enum { DRAIN_POLL_MS = 100 };

struct arguments {
	const char *file;
	bool check_only;
};

struct daemon {
	struct loop loop;
	struct role role;
	struct config *config;
	const char *file;
	struct control_server *control;
	struct loop_watch signal_watch;
	int signal_fd;
	uint64_t end_by_ns; /* while draining */
	struct utsname kernel;
};

static void usage(FILE *out)
{
	fputs("usage: plaitd -c FILE [--check] [--log-level error|warning|notice|debug]\n"
	      "\n"
	      "  -c, --config FILE   configuration, see plait.yaml(5)\n"
	      "      --check         validate the configuration and exit\n"
	      "      --log-level L   what is logged to stderr (notice)\n"
	      "  -V, --version       print the version and exit\n"
	      "  -h, --help          print this and exit\n"
	      "\n"
	      "Exit status: 0 ended as told, 1 runtime failure, 2 bad usage or configuration.\n",
	      out);
}

static bool set_log_level(const char *word)
{
	static const struct {
		const char *word;
		int priority;
	} levels[] = {{"error", LOG_ERR},
		      {"warning", LOG_WARNING},
		      {"notice", LOG_NOTICE},
		      {"debug", LOG_DEBUG}};

	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (strcmp(word, levels[i].word))
			continue;
		log_set_level(levels[i].priority);
		return true;
	}
	fprintf(stderr, "plaitd: --log-level: no such level: %s\n", word);
	return false;
}

/* -1 to go on, else the exit status. */
static int parse_arguments(int argc, char **argv, struct arguments *out)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
						{"check", no_argument, NULL, 'k'},
						{"log-level", required_argument, NULL, 'l'},
						{"version", no_argument, NULL, 'V'},
						{"help", no_argument, NULL, 'h'},
						{}};
	int option;

	while ((option = getopt_long(argc, argv, "c:Vh", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			out->file = optarg;
			break;
		case 'k':
			out->check_only = true;
			break;
		case 'l':
			if (!set_log_level(optarg))
				return EXIT_USAGE;
			break;
		case 'V':
			puts("plaitd " PLAIT_VERSION);
			return EXIT_OK;
		case 'h':
			usage(stdout);
			return EXIT_OK;
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (out->file && optind == argc)
		return -1;
	usage(stderr);
	return EXIT_USAGE;
}

/* Views */

static void view_status(void *owner, struct status_report *out)
{
	struct daemon *daemon = owner;
	const struct config *config = daemon->config;
	const struct instance *instance = daemon->role.instance;

	*out = (struct status_report){
		.name = config->name,
		.role = config->role == ROLE_CPE ? "cpe" : "concentrator",
		.mode = config->mode == MODE_PLAIN ? "plain" : "transparent",
		.handshake = config->handshake == HANDSHAKE_FAITHFUL ? "faithful" : "eager",
		.draining = daemon->role.draining,
		.uptime_ns = clock_now_ns() - instance->started_ns,
		.workers = instance->worker_count,
		.max_sessions = config->max_sessions,
		.datagram_bindings = daemon->role.datagram_bindings(&daemon->role),
		.kernel = daemon->kernel.release,
	};
	engine_totals(&instance->engine, &out->sessions, &out->held_syns);
}

static long view_sessions(void *owner, struct session_report **out)
{
	struct daemon *daemon = owner;

	return engine_sessions(&daemon->role.instance->engine, out);
}

static size_t view_links(void *owner, struct link_report *out, size_t max)
{
	struct daemon *daemon = owner;

	return daemon->role.links(&daemon->role, out, max);
}

static size_t view_concentrators(void *owner, struct concentrator_report *out, size_t max)
{
	struct daemon *daemon = owner;

	if (!daemon->role.concentrators)
		return 0;
	return daemon->role.concentrators(&daemon->role, out, max);
}

static long view_bindings(void *owner, struct binding_report **out)
{
	struct daemon *daemon = owner;

	return daemon->role.bindings ? daemon->role.bindings(&daemon->role, out) : 0;
}

static size_t view_pools(void *owner, struct pool_report *out, size_t max)
{
	struct daemon *daemon = owner;

	return daemon->role.pools ? daemon->role.pools(&daemon->role, out, max) : 0;
}

static long view_subscribers(void *owner, struct subscriber_report **out)
{
	struct daemon *daemon = owner;

	return daemon->role.subscribers ? daemon->role.subscribers(&daemon->role, out) : 0;
}

static void view_counters(void *owner, uint64_t out[PLAIT_REASON_COUNT])
{
	struct daemon *daemon = owner;

	dataplane_read_counters(daemon->role.instance->dataplane, out);
}

/* Running */

static void begin_end(struct daemon *daemon)
{
	if (!daemon->role.ending && daemon->config->drain_ms) {
		log_notice("draining for at most %u ms", daemon->config->drain_ms);
		role_drain(&daemon->role, true);
		daemon->end_by_ns = clock_now_ns() + daemon->config->drain_ms * NS_PER_MS;
	} else {
		daemon->loop.stopped = true; /* told twice, or nothing to wait for */
	}
	daemon->role.ending = true;
}

static void signal_ready(struct loop_watch *watch, uint32_t events)
{
	struct daemon *daemon = container_of(watch, struct daemon, signal_watch);
	struct signalfd_siginfo info;
	struct reload reload;

	if (read(daemon->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGHUP)
		role_reload(&daemon->role, &reload);
	else
		begin_end(daemon);
}

static int watch_signals(struct daemon *daemon)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL); /* workers inherit this */
	signal(SIGPIPE, SIG_IGN);
	daemon->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (daemon->signal_fd < 0)
		return -errno;
	daemon->signal_watch.ready = signal_ready;
	return loop_add(&daemon->loop, daemon->signal_fd, EPOLLIN, &daemon->signal_watch);
}

static bool drained(struct daemon *daemon)
{
	struct role *role = &daemon->role;
	unsigned int sessions, held;

	engine_totals(&role->instance->engine, &sessions, &held);
	return clock_now_ns() >= daemon->end_by_ns || (!sessions && !role->datagrams_flow(role));
}

static int serve(struct daemon *daemon)
{
	int err = 0;

	sd_notify(0, "READY=1");
	log_notice("%s is ready", daemon->config->name);
	while (!err && !daemon->loop.stopped) {
		err = loop_wait(&daemon->loop, daemon->role.ending ? DRAIN_POLL_MS : -1);
		loop_dispatch(&daemon->loop);
		if (daemon->role.ending && drained(daemon))
			break;
	}
	sd_notify(0, "STOPPING=1");
	return err;
}

static int run_role(struct daemon *daemon)
{
	const struct view_source source = {.owner = daemon,
					   .status = view_status,
					   .sessions = view_sessions,
					   .links = view_links,
					   .concentrators = view_concentrators,
					   .bindings = view_bindings,
					   .pools = view_pools,
					   .subscribers = view_subscribers,
					   .counters = view_counters};
	const struct verbs verbs = role_verbs(&daemon->role);
	struct socket_path path;
	int err;

	daemon->role = daemon->config->role == ROLE_CPE ? role_cpe : role_concentrator;
	daemon->role.file = daemon->file;
	err = daemon->role.open(&daemon->role, daemon->config, &daemon->loop);
	if (!err) {
		err = socket_path(daemon->config->name, &path);
		if (!err)
			err = control_server_open(&daemon->control, &daemon->loop, path.text,
						  &source, &verbs);
		if (err)
			log_error("control socket: %s", strerror(-err));
	}
	if (!err)
		err = serve(daemon);
	control_server_close(daemon->control);
	daemon->role.close(&daemon->role);
	return err;
}

static int run(struct config *config, const char *file)
{
	struct daemon daemon = {.config = config, .file = file, .signal_fd = -1};
	char why[160];
	int err;

	if (kernel_check(why, sizeof(why))) {
		log_error("%s", why);
		return EXIT_RUNTIME;
	}
	uname(&daemon.kernel);
	err = loop_open(&daemon.loop);
	if (err) {
		log_error("epoll: %s", strerror(-err));
		return EXIT_RUNTIME;
	}
	err = watch_signals(&daemon);
	if (!err)
		err = run_role(&daemon);
	if (daemon.signal_fd >= 0)
		close(daemon.signal_fd);
	loop_close(&daemon.loop);
	return err ? EXIT_RUNTIME : EXIT_OK;
}

int main(int argc, char **argv)
{
	struct arguments arguments = {};
	struct config *config;
	char why[CONFIG_WHY_BYTES];
	int status = parse_arguments(argc, argv, &arguments);

	if (status >= 0)
		return status;
	config = calloc(1, sizeof(*config));
	if (!config)
		return EXIT_RUNTIME;
	status = EXIT_USAGE;
	if (config_load(arguments.file, config, why))
		fprintf(stderr, "%s\n", why);
	else
		status = arguments.check_only ? EXIT_OK : run(config, arguments.file);
	free(config);
	return status;
}
