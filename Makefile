# make        set up the environment in .venv      make repro   set up, then regenerate every result
# make help   the other targets                    make test    set up, then run the tests

SUPPORTED := 3.11 3.12 3.13

# Which Python: the one named (`make PYTHON=python3.12 ...`), else the one .venv was set up with, else
# the system's. A plain `make` must not undo the choice that an earlier one was told.
IN_PLACE := $(if $(wildcard .venv/ready-*),$(shell .venv/bin/python -c '' 2>/dev/null && echo .venv/bin/python))
ifeq ($(origin PYTHON), undefined)
PYTHON := $(or $(IN_PLACE),python3)
endif
VERSION := $(shell $(PYTHON) -c 'import platform; print(platform.python_version())' 2>/dev/null)
MINOR := $(subst $() ,.,$(wordlist 1,2,$(subst ., ,$(VERSION))))
FOUND := $(if $(VERSION),$(PYTHON) is Python $(VERSION),there is no Python at $(PYTHON))
REFUSAL := $(FOUND); ebmrepro runs on $(SUPPORTED): $(strip make PYTHON=python3.12 $(MAKECMDGOALS))

# Written last, so an interrupted set-up has none; named after the Python and holding the folder's
# path, because a .venv works for one Python and in one place only.
READY := .venv/ready-$(MINOR)
USABLE := $(and $(IN_PLACE),$(filter $(CURDIR),$(shell cat $(READY) 2>/dev/null)))
ACTIVATE := . .venv/bin/activate

.DEFAULT_GOAL := environment
.PHONY: environment tracked repro test soak hostile mutants bench check audit ui docs lock clean distclean help unusable

# Said before 7 GB are installed: DVC, which comes with them, runs in a git repository only.
tracked:
	@said=$$(LC_ALL=C git rev-parse --git-dir 2>&1 >/dev/null) || { \
		case "$$said" in *"dubious ownership"*) \
			echo "$(CURDIR): belongs to another user, and git works in nobody else's folder until it" \
				"is told to: git config --global --add safe.directory '$(CURDIR)'" >&2; exit 2;; esac; \
		echo "$(CURDIR): DVC needs a git repository here ($$said); clone the project, or in an" \
			"unpacked archive: git init && git add -A && git commit -m 'as unpacked'" >&2; exit 2; }

environment: $(READY)  ## set up .venv (every target that needs it does so itself)
	@echo "ready: source .venv/bin/activate"

$(READY): requirements.lock pyproject.toml $(if $(USABLE),,unusable)
	$(if $(filter $(MINOR),$(SUPPORTED)),,$(error $(REFUSAL)))
	@if [ -L .venv ]; then echo "$(CURDIR)/.venv: a link, whose folder would be emptied; allowed is a folder" \
		"of its own: rm .venv" >&2; exit 2; fi
	@made_with=$$(.venv/bin/python -m pip --version 2>/dev/null | sed 's/.*(python \(.*\))/\1/'); \
	made_in=$$(cat .venv/ready-* 2>/dev/null); \
	if [ ! -d .venv ]; then why="some 7 GB, once"; \
	elif [ -e .venv/unfinished ]; then why="an earlier set-up was interrupted"; \
	elif [ -z "$$made_with" ]; then why="the one here does not run"; \
	elif [ "$$made_with" != "$(MINOR)" ]; then why="the one here is of Python $$made_with"; \
	elif [ "$${made_in:-$(CURDIR)}" != "$(CURDIR)" ]; then why="this folder was $$made_in"; \
	else why=""; fi; \
	if [ "$$why" ]; then \
		echo "making .venv with Python $(VERSION) ($$why)"; \
		$(PYTHON) -m venv --clear .venv; \
	else \
		echo "bringing .venv up to requirements.lock and pyproject.toml"; \
	fi
	@rm -f .venv/ready-* && echo "$(CURDIR)" > .venv/unfinished
	@cmp -s requirements.lock .venv/installed.lock || { \
		echo "installing up to $$(grep -c '^[a-z0-9].*==' requirements.lock) packages (1 to 5 minutes, by the network)"; \
		sed -n '/^uv==/,/# via/p' requirements.lock > .venv/uv.txt && \
		.venv/bin/python -m pip install --quiet --require-hashes --no-deps -r .venv/uv.txt && \
		.venv/bin/uv pip sync --quiet --python .venv/bin/python --require-hashes \
			--compile-bytecode requirements.lock && \
		cp requirements.lock .venv/installed.lock; }
	@.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e .
	@mv .venv/unfinished $@

JOBS ?= 2
repro: tracked $(READY)  ## regenerate every result that params.yaml asks for (dvc repro, JOBS=2 stages at once)
	@$(ACTIVATE) && ebmrepro repro --jobs $(JOBS)

TESTERS ?= 2
test: $(READY)  ## run the tests (TESTERS=2 files at once)
	@$(ACTIVATE) && pytest -n $(TESTERS) --dist loadfile --no-loadscope-reorder  # tests/conftest.py orders

KILLS ?= 60
SOAKED := tests/runs tests/pipeline/test_kills.py tests/config tests/data tests/system tests/tracking tests/networks
soak: $(READY)  ## kill trainings at 60 random points (KILLS=N: at N), `repro` at a fifth, and compare bytes
	@$(ACTIVATE) && EBMREPRO_SOAK=$(KILLS) pytest --durations=20 $(SOAKED)

# Each ends in success or in one line; the first two print a table. Under 10 minutes.
HOSTILE := tests/test_hostile.py tests/test_machines.py tests/system tests/pipeline/test_before.py tests/config/test_bounds.py \
	tests/data tests/runs/test_reader.py tests/test_command_line.py
hostile: $(READY)  ## damage every file that a stage leaves, and stage what strangers' machines do
	@$(ACTIVATE) && pytest -m "" $(HOSTILE)

# What breaks the code and what sees which test goes where stand beside .venv: nothing else needs them.
BREAKERS := .ebmrepro/mutants/tools
MUTANTS ?= 400
mutants: $(READY)  ## break the code at 400 places drawn by a seed (MUTANTS=N: at N), count what tests notice; goes on where it was
	@[ -d $(BREAKERS)/coverage ] || .venv/bin/python -m pip install --quiet --no-deps --target $(BREAKERS) \
		cosmic-ray==8.7.0 coverage==7.17.5
	@$(ACTIVATE) && PYTHONPATH=$(BREAKERS) pytest -q tests/test_mutants.py  # elsewhere most are skipped
	@$(ACTIVATE) && PYTHONPATH=$(BREAKERS) nice -n 19 python -m mutants --size $(MUTANTS)

bench: $(READY)  ## measure speed beside peers and the machine's limits (under 15 minutes)
	@$(ACTIVATE) && ebmrepro bench

check: $(READY)  ## lint, format, types, import contracts
	@$(ACTIVATE) && ruff check
	@$(ACTIVATE) && ruff format --check
	@$(ACTIVATE) && basedpyright
	@$(ACTIVATE) && lint-imports --no-logo

# No database within reach (exit code 3) is said, and is no failure of the project.
audit: $(READY)  ## hold the locked packages against known vulnerabilities (asks their databases)
	@$(ACTIVATE) && { .ci/audit || [ $$? -eq 3 ]; }

ui: $(READY)  ## open the runs in MLflow
	@$(ACTIVATE) && ebmrepro ui

docs: $(READY)  ## build the documentation into site/ (offline)
	@$(ACTIVATE) && NO_MKDOCS_2_WARNING=1 mkdocs build --strict
	@echo "documentation: $(CURDIR)/site/index.html"

lock: $(READY)  ## compile requirements.lock from pyproject.toml (UPGRADE=1: to the newest versions)
	@$(ACTIVATE) && uv pip compile pyproject.toml --extra dev --extra dask --universal --generate-hashes \
		--no-emit-index-url --no-header --python-version $(firstword $(SUPPORTED)) \
		$(if $(UPGRADE),--upgrade) --quiet -o requirements.lock

# Through git, which removes what it ignores in the places named and cannot touch a tracked file.
REMOVE := git clean -fdX --

clean:  ## remove caches and outputs; `make repro` takes its own back from DVC's cache, a campaign trains again
	@$(REMOVE) .pytest_cache .ruff_cache .hypothesis .import_linter_cache ebmrepro stages tests \
		data models reference generated reports docs site

distclean: clean  ## remove also .venv, DVC's cache, checkpoints and MLflow's runs: everything is to be made anew
	@$(REMOVE) .venv .dvc .ebmrepro mlflow.db* mlartifacts

help:  ## say what each target does
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1 - \2/p' Makefile
	@echo "  PYTHON=python3.12 with any of them chooses the Python: one of $(SUPPORTED)"
