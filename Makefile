# make demo   two peers over real UDP, then a web page that talks to Python
# make test   the whole suite; peers that are not installed are skipped with a reason
# make lint   ruff and mypy --strict
# make fuzz   search every target of fuzz/ for inputs that break it, MINUTES=n each (docs/fuzzing.md)
#
# Each makes its own virtual environment below .venv and installs what it needs there. Needs Python 3.11 or newer.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
  if command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$p; break; fi; done)
HOST ?= 127.0.0.1
PORT ?= 8080
MINUTES ?= 1
DEMO := .venv/demo
TEST := .venv/test
FUZZ := .venv/fuzz
PIP := -m pip install --quiet --quiet --disable-pip-version-check

# Real sockets, browsers and kernels keep no virtual time: what fails beside other tests is tried once more, alone.
PYTEST := $(TEST)/bin/python -m pytest -q
AGAIN := $(PYTEST) --last-failed --last-failed-no-failures none
INTEROP = tests/interop $(shell grep -rl --include='test_*.py' --exclude-dir=interop mark.interop tests)

# Bytecode is kept, whatever the environment says: without it each of the suite's processes compiles all it imports.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo check test unit interop lint benchmark fuzz clean

demo: $(DEMO)/.installed
	@$(DEMO)/bin/sans-rtc demo --host $(HOST) --port $(PORT)

check: $(DEMO)/.installed
	@$(DEMO)/bin/sans-rtc demo --check

test: unit interop

unit: $(TEST)/.installed
	$(PYTEST) -n 2 --dist worksteal -m "not interop" tests || $(AGAIN) -m "not interop" tests

interop: $(TEST)/.installed
	$(PYTEST) -n 2 --dist loadfile -m interop $(INTEROP) || $(AGAIN) -m interop $(INTEROP)

lint: $(TEST)/.installed
	$(TEST)/bin/ruff check .
	$(TEST)/bin/ruff format --check .
	$(TEST)/bin/mypy

benchmark: $(TEST)/.installed
	$(TEST)/bin/python -m benchmarks datachannel --vs aiortc

fuzz: $(FUZZ)/.installed
	$(FUZZ)/bin/python -m fuzz all --minutes $(MINUTES)

$(DEMO)/.installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "sans_rtc needs Python 3.11 or newer"; exit 1; }
	@$(PYTHON) -m venv $(DEMO)
	@$(DEMO)/bin/python $(PIP) -e ".[demo]"
	@touch $@

$(TEST)/.installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "sans_rtc needs Python 3.11 or newer"; exit 1; }
	@$(PYTHON) -m venv $(TEST)
	@$(TEST)/bin/python $(PIP) -e ".[demo,dev,interop,testing,trio,anyio,av]"
	-@$(TEST)/bin/python $(PIP) -e ".[embedding]"  # Qt and Twisted; without them their two examples are skipped
	@touch $@

$(FUZZ)/.installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "sans_rtc needs Python 3.11 or newer"; exit 1; }
	@$(PYTHON) -m venv $(FUZZ)
	@$(FUZZ)/bin/python $(PIP) -e ".[dev,fuzz]"
	@touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
