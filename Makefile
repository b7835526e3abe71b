# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# `make help` lists what there is to make.

VERSION := 0.1.0
PREFIX  ?= /usr/local
DESTDIR ?=
CC      := gcc
CLANG   := clang
BPFTOOL := $(shell command -v bpftool || echo /usr/sbin/bpftool)
B       := build

PACKAGES := libbpf libmnl yaml-0.1 jansson libsystemd libcares
CPPFLAGS += -D_GNU_SOURCE -DPLAIT_VERSION='"$(VERSION)"' -Iinclude -Iagent -I$(B)/bpf
WARN     := -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes -Wshadow -Wundef -Wno-unused-parameter
CFLAGS   += -std=gnu11 -O2 -g -pthread $(WARN)
LDLIBS   += $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -pthread
SANITIZE := -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
BPFFLAGS := -O2 -g -target bpf -mcpu=v2 -Wall -Wextra -Wno-unused-parameter -Wno-unused-function \
	    -Iinclude -Ibpf -I/usr/include/$(shell uname -m)-linux-gnu

BPF_OBJECTS := $(patsubst bpf/%.bpf.c,$(B)/bpf/%.bpf.o,$(wildcard bpf/*.bpf.c))
SKELETONS   := $(BPF_OBJECTS:.bpf.o=.skel.h)
AGENT_SRC   := $(filter-out agent/main.c,$(wildcard agent/*/*.c))
DAEMON_SRC  := agent/main.c $(filter-out agent/cli/%,$(AGENT_SRC))
CLI_SRC     := $(wildcard $(patsubst %,agent/%/*.c,cli base codec table config control))
UNIT_SRC    := $(wildcard tests/unit/*/*.c)
UNIT_ROOMS  := base codec config control table
UNIT_TESTED := $(wildcard $(UNIT_ROOMS:%=agent/%/*.c))
BPF_TESTS   := $(wildcard tests/bpf/*.c)
FUZZERS     := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/*.c))
BENCH       := $(patsubst bench/%.c,$(B)/bench/%,$(filter-out %.bpf.c,$(wildcard bench/*.c)))
LAB         := $(B)/lab/weather.bpf.o $(B)/lab/delay_line
SCRIPTS     := $(wildcard tests/lab/*.py tests/e2e/*.py bench/*/*.py tools/*.py)
C_FILES     := $(wildcard agent/*.c agent/*/*.[ch] include/*.h bpf/*.c bpf/lib/*.h tests/*/*.[ch] tests/*/*/*.c bench/*.[ch])
MAN         := $(patsubst man/%.scd,$(B)/man/%,$(wildcard man/*.scd))

.PHONY: all programs check check-unit check-bpf check-e2e check-layers check-vm vmtest demo deps fuzz layers fmt lint bench-tcp bench-links bench-udp bench-sessions bench-table bench-datagram man install uninstall clean help
.DELETE_ON_ERROR:
.SECONDARY:

all: programs man ## build plaitd, plaitctl and the man pages
programs: $(B)/plaitd $(B)/plaitctl
man: $(MAN)

obj = $(patsubst %.c,$(B)/$(2)/%.o,$(1))

$(B)/plaitd: $(call obj,$(DAEMON_SRC),obj)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(B)/plaitctl: $(call obj,$(CLI_SRC),obj)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(B)/obj/%.o: %.c | $(SKELETONS)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
$(B)/san/%.o: %.c | $(SKELETONS)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(SANITIZE) -MMD -MP -c -o $@ $<

$(B)/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/lib/*.h include/*.h)
	@mkdir -p $(@D)
	$(CLANG) $(BPFFLAGS) -c -o $@ $<
$(B)/bpf/%.skel.h: $(B)/bpf/%.bpf.o
	$(BPFTOOL) gen skeleton $< name plait_$* > $@

$(B)/lab/%.bpf.o: tests/lab/%.bpf.c tests/lab/weather.h
	@mkdir -p $(@D)
	$(CLANG) $(BPFFLAGS) -c -o $@ $<
$(B)/lab/%: tests/lab/%.c tests/lab/weather.h
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -D_GNU_SOURCE -o $@ $<
$(B)/bench/%: bench/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -D_GNU_SOURCE -o $@ $< -pthread
$(B)/bench/table: $(call obj,bench/table.c $(wildcard agent/base/*.c agent/codec/*.c agent/table/*.c),obj)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^
$(B)/bench/reference.bpf.o: bench/reference.bpf.c bench/reference.h $(wildcard include/*.h)
	@mkdir -p $(@D)
	$(CLANG) $(BPFFLAGS) -c -o $@ $<
$(B)/bench/reference.skel.h: $(B)/bench/reference.bpf.o
	$(BPFTOOL) gen skeleton $< name plait_reference > $@
$(B)/bench/datagram: bench/datagram.c $(B)/bench/reference.skel.h $(SKELETONS)
	$(CC) $(CPPFLAGS) -I$(B)/bench $(CFLAGS) -o $@ $< $(LDLIBS)
$(B)/man/%: man/%.scd
	@mkdir -p $(@D)
	scdoc < $< > $@

$(B)/unit: $(call obj,$(UNIT_SRC) $(UNIT_TESTED),san)
	$(CC) $(CFLAGS) $(SANITIZE) -o $@ $^ -lcriterion $(LDLIBS)
$(B)/bpf-tests: $(call obj,$(BPF_TESTS),obj) $(call obj,$(wildcard agent/base/*.c) agent/codec/pm_option.c,obj)
	$(CC) $(CFLAGS) -o $@ $^ -lcriterion $(LDLIBS)
$(B)/fuzz/%: tests/fuzz/%.c $(UNIT_TESTED)
	@mkdir -p $(@D)
	$(CLANG) $(CPPFLAGS) -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined \
	  -fno-sanitize-recover=undefined -o $@ $^ $(LDLIBS)

deps: ## install what build, tests and demo need from Debian
	tools/deps.sh

check: ## all tests: layers, unit, BPF, end to end (as root)
	tools/deps.sh
	$(MAKE) --no-print-directory -j$$(nproc) all $(B)/unit $(B)/bpf-tests $(FUZZERS) $(BENCH) $(LAB)
	$(MAKE) --no-print-directory layers check-unit check-bpf check-fuzz check-e2e check-vm

check-unit: $(B)/unit ## unit tests under ASan and UBSan
	$(B)/unit --color=never
check-bpf: $(B)/bpf-tests ## BPF programs on real packets by BPF_PROG_TEST_RUN (as root)
	$(B)/bpf-tests --color=never
check-e2e: programs $(BENCH) $(LAB) ## end to end in network namespaces (as root)
	/usr/bin/python3 -m pytest -q -p no:cacheprovider tests/e2e tests/tools
check-vm: programs $(B)/bpf-tests $(LAB) ## boot Debian's kernels: 6.12 bonds, 6.1 is refused (as root)
	/usr/bin/python3 -m pytest -q -p no:cacheprovider vmtest/test_fast.py
TOO_SLOW_IN_VM := tests/e2e/test_handshake.py::test_T5_slow_server_still_connects \
  tests/e2e/test_weather.py::test_rate_changes_while_a_queue_waits
vmtest: check-vm $(BENCH) ## BPF, end to end and netem tests in Debian's 6.12 (as root, long)
	vmtest/run 6.12 $(B)/bpf-tests --color=never
	@echo "not run: $(TOO_SLOW_IN_VM): a firewall must open within 0.1 s, a rate change within 0.15 s," \
	  "and each takes the machine three times as long"
	vmtest/run --timeout 7200 6.12 /usr/bin/python3 -m pytest -v -p no:cacheprovider tests/e2e vmtest/scenarios \
	  $(TOO_SLOW_IN_VM:%=--deselect %)
.PHONY: check-fuzz
check-fuzz: $(FUZZERS) ## replay the fuzz corpora
	@for f in $(FUZZERS); do echo "replay $$f"; $$f -runs=0 tests/fuzz/corpus/$$(basename $$f) 2>&1 | tail -n 1; done

FUZZ_SECONDS ?= 60
# New finds go to build/fuzz/found; what is worth keeping is moved to tests/fuzz/corpus by hand.
fuzz: $(FUZZERS) ## fuzz every target for FUZZ_SECONDS (60)
	@for f in $(FUZZERS); do echo "== $$f"; mkdir -p $(B)/fuzz/found/$$(basename $$f); \
	  $$f -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 $(B)/fuzz/found/$$(basename $$f) \
	    tests/fuzz/corpus/$$(basename $$f) || exit 1; done

demo: ## two shaped links, one file: link 1 alone, then bonded (as root, under a minute)
	tools/deps.sh
	$(MAKE) --no-print-directory -j$$(nproc) programs $(LAB)
	tools/demo

bench-tcp: programs $(BENCH) $(LAB) ## measure against routed, splice, haproxy, redsocks (as root)
	/usr/bin/python3 bench/tcp/run.py
bench-links: programs $(BENCH) $(LAB) ## measure links of all weathers: sums, stalls, latency (as root)
	/usr/bin/python3 bench/links/run.py

bench-udp: programs $(BENCH) $(LAB) ## measure UDP against routed and OpenVPN over TCP (as root)
	/usr/bin/python3 bench/udp/run.py
bench-sessions: programs $(LAB) ## 9,000 sessions at a time, and the agents' memory for each (as root)
	/usr/bin/python3 bench/sessions/run.py
bench-table: $(B)/bench/table ## measure the translator's tables with a million bindings
	$(B)/bench/table
bench-datagram: $(B)/bench/datagram ## measure datagram mode's XDP programs, ns a packet (as root)
	$(B)/bench/datagram

layers: ## fail on an include that points up, sideways or round
	/usr/bin/python3 tools/layers.py
fmt: ## format the C files in place
	@clang-format -i $(C_FILES)
check-fmt: ## fail where `make fmt` would change something
	@clang-format --dry-run -Werror $(C_FILES)
lint: $(SKELETONS) ## clang-tidy and cppcheck
	cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability --inline-suppr \
	  --suppress=missingIncludeSystem -D_GNU_SOURCE -DPLAIT_VERSION='""' -Iinclude -Iagent -i bench/reference.bpf.c agent bench
	clang-tidy --quiet $(DAEMON_SRC) $(wildcard agent/cli/*.c) -- $(CPPFLAGS) -std=gnu11

install: all ## install under $(DESTDIR)$(PREFIX)
	install -D -m 755 $(B)/plaitd $(DESTDIR)$(PREFIX)/sbin/plaitd
	install -D -m 755 $(B)/plaitctl $(DESTDIR)$(PREFIX)/sbin/plaitctl
	install -D -m 644 configs/plaitd@.service $(DESTDIR)$(PREFIX)/lib/systemd/system/plaitd@.service
	for c in configs/*.yaml; do install -D -m 644 $$c $(DESTDIR)$(PREFIX)/share/doc/plait/$$(basename $$c); done
	for m in $(MAN); do install -D -m 644 $$m $(DESTDIR)$(PREFIX)/share/man/man$${m##*.}/$$(basename $$m); done
uninstall: ## remove what `make install` put there
	rm -f $(DESTDIR)$(PREFIX)/sbin/plaitd $(DESTDIR)$(PREFIX)/sbin/plaitctl
	rm -f $(DESTDIR)$(PREFIX)/lib/systemd/system/plaitd@.service
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/plait
	for m in $(MAN); do rm -f $(DESTDIR)$(PREFIX)/share/man/man$${m##*.}/$$(basename $$m); done
clean: ## remove everything built
	rm -rf $(B)
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 16

-include $(shell find $(B)/obj $(B)/san -name '*.d' 2>/dev/null)
