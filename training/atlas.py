"""Draws the worlds' emoji with a font: ``python -m training.atlas NotoColorEmoji.ttf``."""

import argparse
import math
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from sdlab.tiny.sprites import ATLAS, CELL, COLUMNS, EMOJI, NAMES


def draw_glyph(font: ImageFont.FreeTypeFont, character: str) -> Image.Image:
    """One glyph of the font, cut out and centred on a square of the atlas's cell size."""
    picture = Image.new("RGBA", (160, 160), (0, 0, 0, 0))
    ImageDraw.Draw(picture).text((12, 12), character, font=font, embedded_color=True)
    picture = picture.crop(picture.getbbox())
    side = max(picture.size)
    square = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return square.resize((CELL, CELL), Image.Resampling.LANCZOS)


def build_atlas(font_path: Path, target: Path = ATLAS) -> None:
    """Draw every emoji of the world with the font and save them as one lossless WebP picture."""
    font = ImageFont.truetype(str(font_path), 109)  # the one size of the font's bitmaps
    rows = math.ceil(len(NAMES) / COLUMNS)
    atlas = Image.new("RGBA", (COLUMNS * CELL, rows * CELL), (0, 0, 0, 0))
    for k, character in enumerate(EMOJI.values()):
        atlas.paste(draw_glyph(font, character), (k % COLUMNS * CELL, k // COLUMNS * CELL))
    atlas.save(target, lossless=True, quality=100, method=6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "font", type=Path, help="NotoColorEmoji.ttf (Debian: package fonts-noto-color-emoji)"
    )
    build_atlas(parser.parse_args().font)
    print(f"{ATLAS}: {ATLAS.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
