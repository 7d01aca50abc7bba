"""The small models that ship inside sdlab, and the little worlds they know.

`training/`, beside the package, made both; a model's README names the command. Each is a folder in
the layout of its diffusers pipeline: `TINY_V1` and `TINY_V2`, which stands to it as Stable
Diffusion v2 stood to v1, of a `StableDiffusionPipeline`, and so `TINY_SIGNS` and `TINY_LETTERS`,
which write words on signs; `TINY_DEPTH`, which is guided by depth, of a
`StableDiffusionDepth2ImgPipeline`, and `TINY_X4`, which makes a picture four times as large, of a
`StableDiffusionUpscalePipeline`.
"""

from pathlib import Path

TINY_V1, TINY_V2, TINY_DEPTH, TINY_X4, TINY_SIGNS, TINY_LETTERS = (
    Path(__file__).with_name(f"tiny-{name}")
    for name in ("v1", "v2", "depth", "x4", "signs", "letters")
)
