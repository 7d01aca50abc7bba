"""The small models that ship inside sdlab, and the little worlds they know.

`training/`, beside the package, made both; a model's README names the command."""

from pathlib import Path

TINY_V1 = Path(__file__).with_name("tiny-v1")
"""The folder of the first embedded model, in the layout of a diffusers `StableDiffusionPipeline`."""

TINY_V2 = Path(__file__).with_name("tiny-v2")
"""The second one, which stands to the first as Stable Diffusion v2 stood to v1."""

TINY_DEPTH = Path(__file__).with_name("tiny-depth")
"""The one that is guided by depth, a `StableDiffusionDepth2ImgPipeline`."""

TINY_X4 = Path(__file__).with_name("tiny-x4")
"""The one that makes a picture four times as large, a `StableDiffusionUpscalePipeline`."""
