# `make lab` opens the course, `make test` runs its tests, `make test-browser` those in a real browser.
# Each sets up whatever is missing first.
# Everything happens in course.py, which works the same where there is no make.
#   make lab LAB_ARGS="--no-browser --port 8899"     serve on a machine without a screen
#   make test TEST_ARGS="-k objective -x"            some of the tests (also with test-browser)
#   make lab PYTHON=python3.12                       another Python
#   make lab SETUP_ARGS="--torch-index ADDRESS"      another build of PyTorch; `make help` says when
PYTHON ?= python3
SETUP_ARGS ?=
LAB_ARGS ?=
TEST_ARGS ?=

.PHONY: help setup lab test test-browser
help: python
	@$(PYTHON) course.py --help

setup: python
	@$(PYTHON) course.py setup $(SETUP_ARGS)

lab: python
	@$(PYTHON) course.py lab $(SETUP_ARGS) $(LAB_ARGS)

test: python
	@$(PYTHON) course.py test $(SETUP_ARGS) $(TEST_ARGS)

test-browser: python
	@$(PYTHON) course.py test-browser $(SETUP_ARGS) $(TEST_ARGS)

.PHONY: python
python:
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "There is no '$(PYTHON)' here: install Python 3.11 or newer, \
	or name yours, for example: make lab PYTHON=python3.12" >&2; exit 2; }
