# SPDX-License-Identifier: GPL-2.0-only
#
# `make help` lists the targets. Each target first installs missing packages (scripts/setup), fetches or
# builds the kernel (vm/), and builds modules and programs, as far as it needs them.
#
# The scripts do the work. They can be used without make. All output is below build/.

BUILD	?= $(CURDIR)/build
KERNEL	?= stock
# Names of tests, without a path. Empty: all.
CHECK_TESTS ?=
# Seconds of `make stress`.
STRESS	?= 1200
# Prefix of "make install". DESTDIR comes before it.
PREFIX	?= /usr/local
# Buffer (MiB) and devices of the demo.
SIZE	?=
DEVICES	?=

export IOPF_BUILD := $(BUILD)

CC	?= gcc
CFLAGS	?= -O2 -g
WARN	:= -Wall -Wextra -Werror
USER_CFLAGS = -std=gnu11 -D_GNU_SOURCE $(CFLAGS) $(WARN) -pthread -Iinclude/uapi -Itests/lib -MMD -MP

# As many jobs as processors, unless the caller has set a number.
JOBS = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules --no-print-directory

.PHONY: help
help:
	@echo 'make demo         the same work through stock type1 and through vfio-iopf, compared'
	@echo '                  (SIZE=MiB DEVICES=N)'
	@echo 'make check        unit tests, then the VM tests, as TAP   (CHECK_TESTS="t_one t_two")'
	@echo 'make check-debug  the VM tests on a kernel with KASAN, lockdep, kmemleak, ...; built once'
	@echo 'make check-clients  unmodified QEMU and DPDK of Debian against the backend; fetched once'
	@echo 'make stress       DMA while memory is dropped, swapped, moved, forked, the process killed: 20 minutes'
	@echo '                  (STRESS=seconds)'
	@echo 'make bench        figures on a deterministic clock, and their goals; "bench/run --help" for profiles'
	@echo 'make bench-density  how many guests a host can have, pinned and not pinned: table, JSON, chart'
	@echo 'make style        checkpatch, sparse, kernel-doc, clang-format, shellcheck'
	@echo 'make modules      build the kernel modules                (KERNEL=stock|debug|DIR)'
	@echo 'make tools        build the programs and the tests'
	@echo 'make cli          build iopfctl                           (build/cli/iopfctl)'
	@echo 'make install      install iopfctl                         (PREFIX=/usr/local DESTDIR=)'
	@echo 'make shell        a prompt in a VM with modules, programs and tests'
	@echo 'make clean        remove build/, except downloads and kernels; distclean: all of it'

# Preparation

.PHONY: setup kernel
setup:
	@scripts/setup vm build
kernel: setup
	@vm/fetch-kernel >/dev/null

.PHONY: modules modules-prod modules-controls
modules: modules-prod modules-controls
modules-prod modules-controls: modules-%: setup
	@scripts/build-modules $(KERNEL) $*

# Programs for the guest are static: the guest has no libraries.

TEST_LIB_SRC := $(wildcard tests/lib/*.c tests/conform/*.c)
TEST_LIB_OBJ := $(TEST_LIB_SRC:tests/%.c=$(BUILD)/tests/%.o)
TEST_LIB     := $(BUILD)/tests/lib/libtest.a
TEST_SRC     := $(wildcard tests/vm/t_*.c)
TEST_BIN     := $(TEST_SRC:tests/vm/%.c=$(BUILD)/tests/%)
CLIENT_SRC   := $(wildcard tests/clients/t_*.c)
CLIENT_BIN   := $(CLIENT_SRC:tests/clients/%.c=$(BUILD)/tests/%)
GUEST_SRC    := $(wildcard tests/guest/*.c)
GUEST_BIN    := $(GUEST_SRC:tests/guest/%.c=$(BUILD)/tests/%)

.PHONY: tools tests
tools tests: setup cli
	@+$(MAKE) -s $(JOBS) $(TEST_BIN) $(CLIENT_BIN) $(GUEST_BIN)

$(TEST_LIB_OBJ): $(BUILD)/tests/%.o: tests/%.c Makefile
	@mkdir -p $(@D)
	@echo '  CC      $<'
	@$(CC) $(USER_CFLAGS) -c -o $@ $<

$(TEST_LIB): $(TEST_LIB_OBJ)
	@rm -f $@
	@ar rcs $@ $^

# The binaries have no debug information, since they are in the guest's memory.
define link_test
	@mkdir -p $(@D)
	@echo '  TEST    $<'
	@$(CC) $(USER_CFLAGS) -MF $(BUILD)/tests/lib/$*.d -static -Wl,--strip-debug -o $@ $< $(TEST_LIB)
endef

$(TEST_BIN): $(BUILD)/tests/%: tests/vm/%.c $(TEST_LIB) Makefile
	$(link_test)

$(CLIENT_BIN): $(BUILD)/tests/%: tests/clients/%.c $(TEST_LIB) Makefile
	$(link_test)

$(GUEST_BIN): $(BUILD)/tests/%: tests/guest/%.c $(TEST_LIB) Makefile
	$(link_test)

-include $(wildcard $(BUILD)/tests/lib/*.d $(BUILD)/tests/conform/*.d)

# iopfctl, with the code of core/ that it shares with the module.

CLI_SRC := $(filter-out cli/test/%,$(wildcard cli/*.c cli/*/*.c core/*.c))
CLI_OBJ := $(CLI_SRC:%.c=$(BUILD)/cli/obj/%.o)
CLI_PKG := libpci smartcols json-c
CLI     := $(BUILD)/cli/iopfctl

.PHONY: cli
cli:
	@scripts/setup build cli
	@+$(MAKE) -s $(JOBS) $(CLI)

$(CLI_OBJ): $(BUILD)/cli/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo '  CC      $<'
	@$(CC) -std=gnu11 -D_GNU_SOURCE $(CFLAGS) $(WARN) -MMD -MP \
		$$(pkg-config --cflags $(CLI_PKG)) -c -o $@ $<

$(CLI): $(CLI_OBJ)
	@echo '  LD      iopfctl'
	@$(CC) -o $@ $^ $$(pkg-config --libs $(CLI_PKG))

-include $(CLI_OBJ:.o=.d)

.PHONY: install
install: cli
	install -D -m 755 $(CLI) $(DESTDIR)$(PREFIX)/sbin/iopfctl
	install -D -m 644 cli/iopfctl.8 $(DESTDIR)$(PREFIX)/share/man/man8/iopfctl.8
	install -D -m 644 cli/completion.sh \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/iopfctl

# Files that the administrator may change are not overwritten.
.PHONY: install-packaging
install: install-packaging
install-packaging:
	@install -d $(DESTDIR)/etc/vfio-iopf $(DESTDIR)/etc/modules-load.d \
		$(DESTDIR)$(PREFIX)/lib/udev/rules.d
	@[ -e $(DESTDIR)/etc/vfio-iopf/devices.conf ] || \
		install -m 644 packaging/devices.conf $(DESTDIR)/etc/vfio-iopf/devices.conf
	@[ -e $(DESTDIR)/etc/vfio-iopf/limits.conf ] || \
		install -m 644 packaging/limits.conf $(DESTDIR)/etc/vfio-iopf/limits.conf
	@[ -e $(DESTDIR)/etc/modules-load.d/vfio-iopf.conf ] || \
		install -m 644 packaging/modules-load.conf $(DESTDIR)/etc/modules-load.d/vfio-iopf.conf
	@sed 's,@sbindir@,$(PREFIX)/sbin,g' packaging/60-vfio-iopf.rules \
		>$(DESTDIR)$(PREFIX)/lib/udev/rules.d/60-vfio-iopf.rules

# Demo, benchmarks, tests

.PHONY: demo
demo: kernel modules-prod
	@scripts/setup chart
	@SIZE=$(SIZE) DEVICES=$(DEVICES) demo/run $(DEMO_ARGS)

.PHONY: bench
bench: kernel modules-prod
	@scripts/setup chart
	@bench/run $(BENCH_ARGS)

.PHONY: bench-density
bench-density: kernel modules-prod
	@scripts/setup chart
	@bench/density/run $(BENCH_ARGS)

.PHONY: check check-debug
check: kernel modules tests
	@scripts/check --kernel $(KERNEL) --native $(CHECK_ARGS) $(CHECK_TESTS)

check-debug: tests
	@scripts/setup debug
	@vm/build-debug-kernel >/dev/null
	@+$(MAKE) KERNEL=debug modules
	@scripts/check --kernel debug $(CHECK_ARGS) $(CHECK_TESTS)

.PHONY: check-clients
check-clients: kernel modules-prod tests
	@scripts/check-clients $(CHECK_ARGS) $(CHECK_TESTS)

# Under load the guest's time is slower than the wall clock. Hence the generous limits.
.PHONY: stress
stress: kernel modules-prod tests
	@vm/run --kernel $(KERNEL) --mem 768 --swap 512 --disk 256 --append iopf.stress=$(STRESS) \
		--test-timeout $$(($(STRESS) * 2 + 120)) --timeout $$(($(STRESS) * 3 + 600)) \
		--tests t_stress

.PHONY: shell
shell: kernel modules-prod tests
	@vm/run --kernel $(KERNEL) --add cli/iopfctl --shell

.PHONY: style
style: setup
	@scripts/setup style
	@vm/fetch-kernel >/dev/null
	@scripts/style $(STYLE_ARGS)

.PHONY: clean distclean
clean:
	@if [ -d $(BUILD) ]; then \
		find $(BUILD) -mindepth 1 -maxdepth 1 ! -name download ! -name kernel -exec rm -rf {} +; \
	fi
distclean:
	rm -rf $(BUILD)
