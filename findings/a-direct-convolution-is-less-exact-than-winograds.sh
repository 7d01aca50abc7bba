#!/usr/bin/env bash
# Guess: of the ways to compute a 3x3 convolution in float32 the direct one is the most exact; Winograd's algorithm pays for its fewer
# multiplications with digits, little for 2x2 places at a time and clearly for 4x4.
# Really: on a processor with AVX2 what torch computes directly (oneDNN) is four times as far from the result in float64 as F(2x2, 3x3), and
# little nearer than F(4x4, 3x3), where many channels are added up. It is the order of the sum: the same 11,520 products of each place as one
# product of matrices (unfold, MKL) are six times nearer than oneDNN's. Who takes torch's convolution for what is right charges the other way
# with errors that are torch's.
# With torch 2.13.0. Seen 2026-11-29, one thread, 1280 channels, 16x16, how far of the size of the result:
#   direct 1.9e-06, F(2x2, 3x3) 4.3e-07, F(4x4, 3x3) 2.9e-06, one product 2.8e-07
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6
OMP_NUM_THREADS=1 "$venv/bin/python" - <<'PY'
import torch
from torch.nn import functional as F

TABLES = {
    2: (
        [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
        [[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]],
        [[1, 1, 1, 0], [0, 1, -1, -1]],
    ),
    4: (
        [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0]]
        + [[0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]],
        [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6]]
        + [[1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]],
        [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
    ),
}


def winograd(side):
    squares, kernels, places = (torch.tensor(each, dtype=torch.float32) for each in TABLES[side])
    cut = F.pad(x, (1, 1, 1, 1)).unfold(2, side + 2, side).unfold(3, side + 2, side)
    made = torch.einsum("ia,bcuvae,je->ijcbuv", squares, cut, squares)
    kernels = torch.einsum("ia,ocae,je->ijoc", kernels, weight, kernels)
    made = torch.matmul(kernels, made.flatten(3)).unflatten(3, (1, 16 // side, 16 // side))
    made = torch.einsum("ki,ijobuv,lj->boukvl", places, made, places)
    return made.reshape(1, -1, 16, 16)


torch.manual_seed(0)
x, weight = torch.randn(1, 1280, 16, 16), torch.randn(320, 1280, 3, 3) / 107
right = F.conv2d(x.double(), weight.double(), padding=1)
with torch.inference_mode():
    ways = {
        "direct": F.conv2d(x, weight, padding=1),
        "F(2x2, 3x3)": winograd(2),
        "F(4x4, 3x3)": winograd(4),
        "one product": (weight.flatten(1) @ F.unfold(x, 3, padding=1)).view(1, -1, 16, 16),
    }
far = {way: ((made - right).norm() / right.norm()).item() for way, made in ways.items()}
print(", ".join(f"{way} {each:.1e}" for way, each in far.items()))
direct, small, large, product = far.values()
raise SystemExit(0 if direct > 3 * max(small, product) and large < 2 * direct else "this has changed")
PY
