# make help says what there is. The steps are programs in ci/; each does nothing when its output
# is up to date, so every target may simply run them.

PYTHON ?= python3

# Where `make run` serves, and the folder that is the device's flash. ARGS is passed on.
HOST ?= 127.0.0.1
HTTP_PORT ?= 8080
WS_PORT ?= 7777
DATA ?= build/data
ARGS ?=

# A tree of MicroPython to build from, instead of the pinned release.
export MICROPYTHON_DIR

MAKEFLAGS += --no-print-directory

.PHONY: help run host host32 host-failing host-sanitized test lint format fuzz soak oom conformance bench picture clean source assets
.PHONY: firmware firmware-all sizes flash erase monitor
.PHONY: provision flasher packages push dev qemu qemu-test relay bench-relay

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: host ## Build the host image and run it: HOST, HTTP_PORT, WS_PORT, DATA, ARGS="--heap 128k"
	@exec build/host/websock --host $(HOST) --http-port $(HTTP_PORT) --ws-port $(WS_PORT) \
		--data $(DATA) $(ARGS)

dev: host ## Run the device from modules/ and frozen_www/ as they are saved: as run, DATA=build/dev
	@exec $(PYTHON) ci/dev.py --host $(HOST) --http-port $(HTTP_PORT) --ws-port $(WS_PORT) \
		--data $(if $(filter build/data,$(DATA)),build/dev,$(DATA)) $(ARGS)

host: source assets ## Build build/host/websock, the frozen image as a program for this computer
	@$(PYTHON) ci/build_host.py 64

host32: source assets ## Build build/host32/websock, with objects as large as on the ESP32
	@$(PYTHON) ci/build_host.py 32

host-failing: source assets
	@$(PYTHON) ci/build_host.py failing

host-sanitized: source assets
	@$(PYTHON) ci/build_host.py sanitized

test: ## Build both images and run every test; ARGS goes to pytest
	@ci/test.sh $(ARGS)

lint: ## Check style, workflows and shell scripts without running anything
	@$(PYTHON) ci/lint.py

format: ## Put the Python code in order
	@$(PYTHON) ci/lint.py --fix

fuzz: host ## Feed each parser a million damaged inputs, beside others; ARGS="COUNT SEED frames"
	@ci/test.sh --only-environment
	@build/venv-test/bin/python tests/fuzz/run.py $(ARGS)

soak: host32 ## Have honest and hostile clients for half an hour; ARGS="--minutes 480 --heap 128k"
	@ci/test.sh --only-environment
	@build/venv-test/bin/python tests/soak/soak.py $(ARGS)

oom: host-failing ## Fail every allocation of the device once, and every two; ARGS="--step 7 login"
	@ci/test.sh --only-environment
	@build/venv-test/bin/python tests/failing/survive.py $(ARGS)

conformance: host ## Run the whole Autobahn WebSocket suite; ARGS="--only server --cases 6.*"
	@$(PYTHON) tests/conformance/run.py $(ARGS)

bench-relay: ## Measure the relay with 10,000 devices beside a bare pipe; ARGS="--devices 1000"
	@ci/test.sh --only-environment
	@build/venv-test/bin/python bench/relay.py $(ARGS)

relay: assets ## Run the relay, where devices and pages meet; ARGS="--page-port 8000"
	@$(PYTHON) ci/environment.py build/venv-relay relay/requirements.txt
	@exec build/venv-relay/bin/python -m relay $(ARGS)

push: ## Put an app on a running device, restart it, follow its log: DEVICE=http://..., APP
	@$(PYTHON) ci/environment.py build/venv-relay relay/requirements.txt
	@build/venv-relay/bin/python ci/push.py "$(DEVICE)" "$(APP)" $(ARGS)

# The ESP32 images. BOARD and VARIANT are those of boards/*/board.json.
BOARD ?= ESP32_WEBSOCK
VARIANT ?=

firmware: assets ## Build an ESP32 image into dist/: BOARD, VARIANT
	@$(PYTHON) ci/firmware.py $(BOARD) $(VARIANT)

firmware-all: assets ## Build the image of every board and variant
	@$(PYTHON) ci/firmware.py --all

sizes: host32 ## Show what modules and assets add to flash; fail over a board's budget
	@$(PYTHON) ci/sizes.py

flash: ## Write the image in dist/ to a chip and verify it: PORT, BOARD, VARIANT, BAUD
	@$(PYTHON) ci/flash.py flash "$(PORT)" $(BOARD) $(VARIANT)

erase: ## Erase a chip's whole flash, settings included: PORT, BOARD
	@$(PYTHON) ci/flash.py erase "$(PORT)" $(BOARD)

monitor: ## Show the REPL of a chip, Ctrl-] ends it: PORT
	@$(PYTHON) ci/flash.py monitor "$(PORT)"

provision: ## Make an image and a label for each device of a fleet: CSV, BOARD, VARIANT
	@$(PYTHON) ci/environment.py build/venv-esp32 ci/esp32.txt
	@build/venv-esp32/bin/python ci/provision.py "$(CSV)" $(BOARD) $(VARIANT)

flasher: ## Make dist/flasher, a page that flashes the images in dist/ from Chrome
	@$(PYTHON) ci/web_flasher.py

packages: ## Pack the libraries for mip into dist/mip, as source and for each architecture
	@$(PYTHON) ci/packages.py

qemu: ## Boot the QEMU image in Espressif's QEMU: HTTP_PORT, WS_PORT
	@$(PYTHON) ci/qemu.py $(HTTP_PORT) $(WS_PORT)

qemu-test: ## Check the QEMU image in Espressif's QEMU as make test checks the host image
	@ci/test.sh --only-environment
	@WEBSOCK_DEVICE=qemu build/venv-test/bin/python -m pytest tests/hardware $(ARGS)

bench: ## Measure the image beside the reference servers; ARGS="--quick" for a short look
	@ci/test.sh --only-environment
	@$(MAKE) host host32
	@build/venv-test/bin/python bench/run.py $(ARGS)

picture: ## Take the README's picture of the page
	@ci/test.sh --only-environment
	@$(MAKE) host
	@build/venv-test/bin/python tests/browser/picture.py $(ARGS)

clean: ## Remove everything that was built or downloaded, build/data and dist
	rm -rf build dist

source:
	@$(PYTHON) ci/sources.py
	@$(PYTHON) ci/patches.py unix
	@$(PYTHON) ci/build_info.py

assets:
	@$(PYTHON) ci/pack_assets.py
