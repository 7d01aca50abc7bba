"""Pictures of other programs, built by each format's rules; none is from elsewhere."""

import json
import struct
import zlib

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sdlab.recipe.request import Recipe

INFOTEXT = (
    "a cat on a mat\n"
    "Negative prompt: a dog\n"
    "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 5, Size: 64x96, Model hash: 6ce0161689, "
    "Model: v1-5-pruned-emaonly, Version: v1.10.1"
)


def make_recipe(**changes):
    """One of our own, to stand beside them."""
    own = {"prompt": "a cat", "seed": 3, "weights": "0" * 32, "scheduler": "DDIMScheduler"}
    own |= {"num_inference_steps": 4, "guidance_scale": 3.0, "height": 96, "width": 64}
    return Recipe(**own | changes)


def draw_picture(width=64, height=96, mode="RGB"):
    return Image.new(mode, (width, height), 200)


def write_text(value):
    return value if isinstance(value, str) else json.dumps(value)


def save_png(path, size=(64, 96), **texts):
    """A PNG with these texts, as Pillow writes them; what is no text becomes JSON."""
    info = PngInfo()
    for name, value in texts.items():
        info.add_text(name.replace("__", " "), write_text(value))
    draw_picture(*size).save(path, pnginfo=info)
    return path


def add_chunk(path, kind, data, *, last=False):
    """Puts a chunk before the pixels of a PNG, or behind them."""
    whole = path.read_bytes()
    chunk = struct.pack(">I4s", len(data), kind) + data + struct.pack(">I", zlib.crc32(kind + data))
    place = len(whole) - 12 if last else 33
    path.write_bytes(whole[:place] + chunk + whole[place:])
    return path


def save_comment(path, comment, tag=0x9286, **options):
    """A picture of any format with EXIF's UserComment, given as bytes with its code."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[tag] = comment
    draw_picture().save(
        path, exif=exif.tobytes(), **options
    )  # an object is dropped by some formats
    return path


def save_tags(path, tags):
    """A picture with texts in tags of EXIF's first directory."""
    exif = Image.Exif()
    for tag, text in tags.items():
        exif[tag] = text
    draw_picture().save(path, exif=exif)
    return path


def hide_text(path, text, signature=b"stealth_pnginfo", size=(64, 96)):
    """A PNG that hides a text in the lowest bits of alpha, column by column."""
    packed = text.encode()
    bits = np.unpackbits(
        np.frombuffer(signature + struct.pack(">I", len(packed) * 8) + packed, np.uint8)
    )
    pixels = np.full((size[1], size[0], 4), 254, np.uint8)
    alpha = pixels[:, :, 3].T.ravel()
    alpha[: len(bits)] |= bits
    pixels[:, :, 3] = alpha.reshape(size).T
    Image.fromarray(pixels).save(path)
    return path


def graph_of(**changes):
    """ComfyUI's graph of its first example, with nodes changed or added; None takes one out."""
    nodes = {
        "3": node(
            "KSampler",
            seed=156680208700286,
            steps=20,
            cfg=8,
            sampler_name="euler",
            scheduler="normal",
        )
        | {},
        "4": node("CheckpointLoaderSimple", ckpt_name="sd\\v1-5-pruned-emaonly.safetensors"),
        "5": node("EmptyLatentImage", width=64, height=96, batch_size=1),
        "6": node("CLIPTextEncode", text="a glass bottle", clip=["4", 1]),
        "7": node("CLIPTextEncode", text="text, watermark", clip=["4", 1]),
        "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
        "9": node("SaveImage", filename_prefix="ComfyUI", images=["8", 0]),
    }
    nodes["3"]["inputs"] |= {
        "denoise": 1,
        "model": ["4", 0],
        "positive": ["6", 0],
        "negative": ["7", 0],
        "latent_image": ["5", 0],
    }
    nodes |= {name.lstrip("n"): value for name, value in changes.items()}
    return {name: value for name, value in nodes.items() if value is not None}


def node(kind, **inputs):
    return {"class_type": kind, "inputs": inputs}


def change(graph, name, **inputs):
    """The graph with a node's inputs changed; None takes one out."""
    graph[name]["inputs"] |= inputs
    graph[name]["inputs"] = {k: v for k, v in graph[name]["inputs"].items() if v is not None}
    return graph
