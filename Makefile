# make demo: the main job, headless; make lab: JupyterLab; make app: the workbench without code; make test: all tests,
# those in a browser too where there is a Chromium; make check: lint, layout and types. Each sets up .venv by itself.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/installed

.PHONY: demo lab app test cluster-test check screenshots benchmarks watermarks clean

demo: $(READY)
	@mkdir -p demo && cp notebooks/00_start_here.ipynb demo/
	@echo "running notebooks/00_start_here.ipynb on the embedded model ..."
	@cd demo && ../$(BIN)/jupyter execute --inplace 00_start_here.ipynb
	@echo "the executed notebook:  demo/00_start_here.ipynb"
	@echo "the report:             demo/reports/start_here.html"

lab: $(READY)
	$(BIN)/jupyter lab notebooks/00_start_here.ipynb

app: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[app]'
	$(BIN)/voila notebooks/workbench.ipynb --Voila.ip=127.0.0.1 --VoilaConfiguration.file_allowlist='.*\.html'

test: $(READY)
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadscope --no-loadscope-reorder

cluster-test: $(READY)  # workers of a cluster are killed at random moments
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -m "slow or not slow" tests/render/test_cluster.py

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

screenshots: $(READY)  # of the widgets, in both themes, into build/screenshots
	$(BIN)/python tests/screenshots.py

benchmarks: $(READY)
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python tests/benchmarks/rendering.py
	$(BIN)/python tests/benchmarks/store_100k.py
	$(BIN)/python tests/benchmarks/cluster.py
	$(BIN)/python tests/benchmarks/chaos.py
	$(BIN)/python tests/benchmarks/widgets.py
	$(BIN)/python tests/benchmarks/real_size.py
	$(BIN)/python tests/benchmarks/peers.py
	$(BIN)/python tests/benchmarks/roof.py
	$(BIN)/python tests/benchmarks/card.py $$($(BIN)/python -c "import torch; torch.cuda.is_available() or print('--small')")

watermarks: $(READY)  # fetches 1 GB of Debian's pictures, once; about an hour on two cores
	test -d build/pictures/null || $(BIN)/python tests/benchmarks/pictures.py build/pictures
	$(BIN)/python tests/benchmarks/watermarks.py build/pictures

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.version_info >= (3, 11) or sys.exit('sdlab needs Python 3.11 or newer, this is ' + sys.version.split()[0] + '; name another one: make PYTHON=python3.11')"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(READY)

clean:
	rm -rf .venv build demo *.egg-info
