"""The small models that ship inside sdlab, the little world they know, and the program that trained them."""
from pathlib import Path

TINY_V1 = Path(__file__).with_name("tiny-v1")
"""The folder of the first embedded model, in the layout of a diffusers `StableDiffusionPipeline`."""
