# Verbs: demo, test, check, bench, setup, lock. `make demo SECONDS=30` runs for that long and ends by itself.
PYTHON  ?= python3
SECONDS ?=
VENV    := .venv
BIN     := $(VENV)/bin
DEBIAN  := mosquitto influxdb chromium

.PHONY: demo test check bench setup dev lock servers clean

demo: setup
	$(BIN)/marchwarden demo $(if $(SECONDS),--seconds $(SECONDS))

test: dev servers check
	$(BIN)/pytest -n 2 --dist loadfile

check: dev
	$(BIN)/ruff check .
	$(BIN)/mypy model geo sensors fusion alerts history console runtime

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks

setup: $(VENV)/.run
dev: $(VENV)/.dev

# uv is used where it is; otherwise it comes into a folder of its own beside the environment.
UV := $(shell command -v uv 2>/dev/null || echo $(VENV)-uv/bin/uv)
$(VENV)-uv/bin/uv:
	$(PYTHON) -m venv $(VENV)-uv
	$(VENV)-uv/bin/pip install --quiet --disable-pip-version-check uv

$(BIN)/python: | $(filter $(VENV)-uv/bin/uv,$(UV))
	$(UV) venv --quiet --python $(PYTHON) $(VENV)

$(VENV)/.run: requirements/run.txt pyproject.toml | $(BIN)/python
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/run.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@touch $@

# The peers that benchmarks run beside us.
$(VENV)/.bench: requirements/bench.txt $(VENV)/.dev
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/bench.txt
	@touch $@

# The tests use real servers and a real browser. As root they are installed; otherwise the command is named.
servers:
	@if command -v influxd >/dev/null && command -v chromium >/dev/null && { command -v mosquitto || test -x /usr/sbin/mosquitto; } >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ]; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -qq -y --no-install-recommends $(DEBIAN) >/dev/null; \
	else echo "The tests need Debian's servers: sudo apt-get install $(DEBIAN)" >&2; exit 1; fi

lock: | $(BIN)/python
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    pyproject.toml -o requirements/run.txt
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    --group dev -c requirements/run.txt pyproject.toml -o requirements/dev.txt
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    --group bench -c requirements/run.txt -c requirements/dev.txt pyproject.toml -o requirements/bench.txt

clean:
	rm -rf $(VENV) $(VENV)-uv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
