# SPDX-License-Identifier: GPL-2.0-or-later
#
# A thin front: each target looks for what is missing, then lets a script do
# the work.  `make help` lists what there is.

DEPS := scripts/deps
BASE := $(shell scripts/fork base)
OURS := $(CURDIR)/build/qemu-$(BASE)/build

# A version in the command line, which "make series" alone takes
CHOSEN := $(if $(filter command,$(origin BASE)),$(BASE))
ifneq ($(CHOSEN),)
ifneq ($(MAKECMDGOALS),series)
$(error BASE= is for "make series": say ./configure --base=$(CHOSEN) first)
endif
endif

.PHONY: all
all:
	@$(DEPS) library qemu
	@scripts/build

.PHONY: demo
demo:
	@$(DEPS) library qemu guest $(if $(filter on,$(HASH)),modules)
ifeq ($(QEMU),)
	@scripts/build
endif
	@scripts/demo --vhost=$(or $(VHOST),off) --hash=$(or $(HASH),off) \
		--qemu=$(or $(QEMU),$(OURS)/qemu-system-x86_64)

.PHONY: demo-steer
demo-steer:
	@$(DEPS) library guest
	@scripts/demo-steer

.PHONY: demo-xdp
demo-xdp:
	@$(DEPS) library qemu guest
	@scripts/build
	@scripts/demo-xdp --qemu=$(OURS)/qemu-system-x86_64

.PHONY: demo-bpfhv
demo-bpfhv:
	@$(DEPS) library qemu guest modules
	@scripts/build
	@scripts/demo-bpfhv

.PHONY: check
check:
	@$(DEPS) library qemu guest tests
	@scripts/build
	@scripts/check --tier=$(or $(TIER),default) --qemu-build=$(OURS)

.PHONY: check-full
check-full:
	@$(MAKE) --no-print-directory check TIER=all

.PHONY: check-lib
check-lib:
	@$(DEPS) library tests
	@test -f build/lib/build.ninja || \
		/usr/bin/meson setup build/lib >/dev/null
	@/usr/bin/meson test -C build/lib --print-errorlogs

.PHONY: bench
bench:
	@$(DEPS) library qemu guest bench
	@scripts/build
	@scripts/bench $(if $(QUICK),--quick)

.PHONY: docs
docs:
	@$(DEPS) docs
	@/usr/bin/sphinx-build -q -W --keep-going docs build/docs
	@echo '[docs] the manuals are in build/docs/index.html'

.PHONY: modules
modules:
	@$(DEPS) modules
	@scripts/modules $(KERNEL)

.PHONY: series
series:
	@$(DEPS) qemu
	@scripts/fork export $(addprefix --base=,$(CHOSEN))

.PHONY: deb
deb:
	@$(DEPS) package
	@scripts/package

.PHONY: install
install:
	@$(DEPS) library qemu
	@scripts/build --install

.PHONY: clean
clean:
	@test ! -d build || \
		find build -mindepth 1 -maxdepth 1 ! -name config -exec rm -rf {} +

.PHONY: distclean
distclean:
	@rm -rf build

.PHONY: help
help:
	@echo 'make              build QEMU (./configure --help: how)'
	@echo 'make demo         show packets going where a guest wants them'
	@echo '                  VHOST=on: with vhost-net; HASH=on: and its hash'
	@echo '                  reports; QEMU=FILE: another QEMU'
	@echo 'make demo-steer   show tap-steer replace programs under traffic'
	@echo 'make demo-xdp     show a flood that a guest drops in its host'
	@echo 'make demo-bpfhv   show a card change its driver under a TCP stream'
	@echo 'make check        run all tests but those that take long'
	@echo '                  TIER=A,B: others (scripts/check --help)'
	@echo 'make check-full   run all tests'
	@echo 'make check-lib    build and test the library alone, without QEMU'
	@echo 'make bench        measure; QUICK=1: in under two minutes'
	@echo 'make docs         build the manuals'
	@echo 'make series       write the patches for one QEMU (BASE=10.0)'
	@echo 'make modules      build our kernel modules (KERNEL=trixie)'
	@echo 'make deb          build Debian packages into build/deb'
	@echo 'make install      install QEMU (DESTDIR is honoured)'
	@echo 'make clean        remove what was built; downloads stay in the cache'
	@echo 'make distclean    the same, and what ./configure recorded'
