#!/usr/bin/env bash
# Guess: X.from_config(pipe.scheduler.config, use_karras_sigmas=True), the usual way to another scheduler, refuses an option that X does not have,
# as X(use_karras_sigmas=True) does, or says that it is not used, as it does of what is in the configuration.
# Really: it drops it without a word: an option of other schedulers, a misspelt one, one of a step. So "Euler a" with
# Karras, exponential and beta sigmas is one picture four times over, as are DDIM, PNDM and LCM; use_karas_sigmas=True is plain Euler; and
# eta=1.0 here is DDIM with eta 0. Rows over schedulers and options by from_config show such pictures as if the options did nothing.
# scheduler.config tells which options are there.
# With diffusers 0.42.1, torch 2.13.0, scipy 1.17.1. Seen 2026-11-29 (option asked for, is it there, is anything said, does __init__ refuse it):
#   EulerAncestral, DDIM, PNDM, LCM: use_karras_sigmas, use_exponential_sigmas, use_beta_sigmas: no, no, yes; Euler: use_karas_sigmas, and DDIM:
#   eta: no, no, yes; Euler: use_karras_sigmas: yes, no, no; a strange key within the configuration is told of
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 scipy==1.17.1
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore
"$venv/bin/python" - <<'PY'
import io
import logging

import diffusers

diffusers.utils.logging.disable_default_handler()  # what is said goes to the list below alone
said = io.StringIO()
logging.getLogger("diffusers").addHandler(logging.StreamHandler(said))
published = dict(diffusers.PNDMScheduler(
    beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1).config)


def asked(name, option, value, within=False):
    kind = getattr(diffusers, f"{name}Scheduler")
    said.seek(0)
    said.truncate()
    if within:
        scheduler = kind.from_config({**published, option: value})
    else:
        scheduler = kind.from_config(published, **{option: value})
    told = option in said.getvalue()
    try:
        kind(**{option: value})
        refuses = False
    except TypeError:
        refuses = True
    return scheduler.config.get(option) == value, told, refuses


SIGMAS = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas")
dropped = [(name, option, True) for name in ("EulerAncestralDiscrete", "DDIM", "PNDM", "LCM") for option in SIGMAS]
dropped += [("EulerDiscrete", "use_karas_sigmas", True), ("DDIM", "eta", 1.0)]
for each in dropped:
    found = asked(*each)
    print(*each, "is there, told, refused by __init__:", *found)
    assert found == (False, False, True), "this has changed"
right, strange = asked("EulerDiscrete", "use_karras_sigmas", True), asked("EulerDiscrete", "a_strange_key", True, within=True)
print("EulerDiscrete use_karras_sigmas:", *right, "a strange key within the configuration:", *strange)
assert right == (True, False, False) and strange[1:] == (True, True)
PY
