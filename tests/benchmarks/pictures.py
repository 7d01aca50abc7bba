"""Makes folders of varied pictures for the watermark detector: `python tests/benchmarks/pictures.py FOLDER`.

Downloads the Debian 12 packages of `PACKAGES` (1 GB; 4 GB on disk) with apt-get, unpacks them without installing them, and
writes tiles of 512x512 pixels as RGB PNG. FOLDER/tune: of about half of the source pictures, at native scale, at 0.7 and 0.5,
and of the whole picture. FOLDER/null: of all other sources, a third of the tiles passed once through JPEG. FOLDER/bench: one
or two tiles, without JPEG, of about half of the sources of null. No source is both in tune and elsewhere; a file name starts
with the number of its source (0042_17.png). The pictures are photographs, nebulae, paintings, renders, flat graphics,
screenshots and textures; they keep their own licences (usr/share/doc/*/copyright) and are not shipped with this project.
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

PACKAGES = [  # later ones go to the end: that leaves the numbers of the sources as they are
    "gnome-backgrounds",
    "mate-backgrounds",
    "plasma-workspace-wallpapers",
    "ukui-wallpapers",
    "lomiri-wallpapers-16.04",
    "lomiri-wallpapers-20.04",
    "sway-backgrounds",
    "lxqt-themes",
    "desktop-base",
    "debian-edu-artwork-spacefun",
    "opencv-doc",
    "python3-skimage",
    "kstars-data",
    "stellarium-data",
    "krita-data",
    "fotoxx-common",
    "palapeli-data",
    "puzzle-jigsaw",
    "jigzo-data",
    "marble-data",
    "endless-sky-data",
    "freeorion-data",
    "gcompris-qt-data",
]
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".tga", ".bmp", ".ppm"}
LEFT_OUT = re.compile(r"tool_icons|paintoppresets|/HTML/(?!en/)|/zooms?/|shape_sample|kstarslite")
# Part of a path, and how many sources at most may come from there: one kind of picture must not outweigh the others.
AT_MOST = {
    "skycultures": 6,
    "nebulae/default": 50,
    "hulls_design": 10,
    "icons/monsters": 8,
    "/html/en/": 30,
    "/html/": 60,
    "krita/patterns": 8,
    "images/effect": 3,
    "art/stars": 3,
    "art/fields": 3,
    "/lang/": 24,
}
# One picture in several files: a theme or panorama of many parts, a size in the name, dark and light versions, stereo pairs.
ONE_SOURCE = re.compile(r".*?/(?:wallpapers|landscapes|scenery3d|desktop-base)/[^/]+(?=/)")
VERSION = re.compile(
    r"\d{3,4}x\d{3,4}|light|dark|day|night|[-_][ldw]$|(?<=examples/data/)(aloe|graf|leuven|orange).*"
)
SIDE = 512


def unpacked(package: str, folder: Path) -> Path:
    target = folder / "packages" / package
    target.mkdir(parents=True, exist_ok=True)
    if not any(target.glob("*.deb")):
        subprocess.run(
            ["apt-get", "download", "-q", package],
            cwd=target,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    deb = next(target.glob("*.deb"))
    if not (target / "usr").exists():
        subprocess.run(["dpkg-deb", "-x", deb, target], check=True)
        for bundle in sorted(target.rglob("*.rcc")):
            cut_out_webp(bundle, target / "cut_out" / bundle.stem)
    print(package, subprocess.check_output(["dpkg-deb", "-f", deb, "Version"], text=True).strip())
    return target


def cut_out_webp(bundle: Path, folder: Path) -> None:
    """Writes each WebP picture that lies uncompressed in a Qt resource bundle to a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    content = bundle.read_bytes()
    for number, found in enumerate(re.finditer(rb"RIFF(....)WEBP", content, re.DOTALL)):
        end = found.start() + 8 + int.from_bytes(found[1], "little")
        (folder / f"{number:03d}.webp").write_bytes(content[found.start() : end])


def seed(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16)


def family(path: str) -> str:
    found = ONE_SOURCE.match(path)
    return found.group().lower() if found else VERSION.sub("", path.rsplit(".", 1)[0].lower())


def size_of(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as picture:
            return (
                picture.size if picture.mode in {"L", "P", "LA", "RGB", "RGBA", "CMYK"} else (0, 0)
            )
    except OSError:
        return 0, 0


def largest_of_each_family(package: Path) -> dict[str, Path]:
    largest: dict[str, tuple[int, Path]] = {}
    for path in sorted(package.rglob("*")):
        name = path.relative_to(package.parent).as_posix()
        if path.suffix.lower() not in SUFFIXES or path.is_symlink() or LEFT_OUT.search(name):
            continue
        width, height = size_of(path)
        if min(width, height) >= SIDE and width * height > largest.get(family(name), (0, path))[0]:
            largest[family(name)] = width * height, path
    return {name: path for name, (_, path) in largest.items()}


def capped(sources: dict[str, Path]) -> dict[str, Path]:
    left_out = {
        name
        for part, number in AT_MOST.items()
        for name in sorted((name for name in sources if part in name), key=seed)[number:]
    }
    return {name: path for name, path in sources.items() if name not in left_out}


def opened(path: Path) -> Image.Image:
    """Opens a picture as RGB; transparent parts become grey, which neither end of the range clips."""
    picture = Image.open(path)
    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return picture.convert("RGB")
    picture = picture.convert("RGBA")
    return Image.alpha_composite(
        Image.new("RGBA", picture.size, (112, 112, 112, 255)), picture
    ).convert("RGB")


def look(path: Path) -> np.ndarray:
    small = np.asarray(opened(path).resize((24, 24), Image.Resampling.BOX), float)
    small -= small.mean()
    return (small / (np.linalg.norm(small) + 1e-9)).ravel()


def distinct(sources: dict[str, Path], pool: ProcessPoolExecutor) -> list[tuple[int, str, Path]]:
    """Numbers the sources; drops each that looks like an earlier one (correlation of the small pictures beyond +-0.85)."""
    looks, kept = [], []
    for (name, path), seen in zip(sources.items(), pool.map(look, sources.values()), strict=True):
        if not any(abs(seen @ other) > 0.85 for other in looks):
            kept.append((len(kept) + 1, name, path))
        looks.append(seen)
    return kept


def tiles(picture: Image.Image, random: np.random.Generator, at_most: int) -> Iterator[Image.Image]:
    """Yields, for each scale, tiles that do not overlap and are not empty."""
    shortest = min(picture.size)
    for scale in sorted(
        {SIDE / shortest, *(scale for scale in (0.5, 0.7, 1.0) if shortest * scale >= SIDE)}
    ):
        width, height = (max(SIDE, round(side * scale)) for side in picture.size)
        view = picture if scale == 1 else picture.resize((width, height), Image.Resampling.LANCZOS)
        corners = [
            (x, y)
            for y in range(0, height - SIDE + 1, SIDE)
            for x in range(0, width - SIDE + 1, SIDE)
        ]
        cut = (view.crop((x, y, x + SIDE, y + SIDE)) for x, y in random.permutation(corners))
        yield from [tile for tile in cut if np.asarray(tile.convert("L")).std() > 4][:at_most]


def write_tiles(folder: Path, number: int, name: str, path: Path) -> None:
    random = np.random.default_rng(seed(name))
    kind = ("tune", "tune", "bench", "null")[seed(name) % 4]
    made = list(tiles(opened(path), random, 12 if kind == "tune" else 21))
    for index, tile in enumerate(made):
        file = f"{number:04d}_{index:02d}.png"
        if kind == "bench" and index in {0, len(made) - 1}:
            tile.save(folder / "bench" / file, compress_level=1)
        if kind != "tune" and random.random() < 1 / 3:
            tile.save(jpeg := io.BytesIO(), "JPEG", quality=int(random.integers(75, 96)))
            tile = Image.open(jpeg).convert("RGB")
        tile.save(folder / ("tune" if kind == "tune" else "null") / file, compress_level=1)


def main(folder: Path) -> None:
    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = None
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        sys.exit(
            "apt-get or dpkg-deb is missing: run this on Debian, or give any three folders of pictures instead of these."
        )
    sources = capped(
        {
            name: path
            for package in PACKAGES
            for name, path in largest_of_each_family(unpacked(package, folder)).items()
        }
    )
    for kind in ("tune", "bench", "null"):
        (folder / kind).mkdir(exist_ok=True)
    with ProcessPoolExecutor(2) as pool:
        list(
            pool.map(
                write_tiles,
                *zip(*((folder, *source) for source in distinct(sources, pool)), strict=True),
            )
        )
    for kind in ("tune", "bench", "null"):
        files = list((folder / kind).glob("*.png"))
        print(f"{kind}: {len(files)} tiles of {len({file.name[:4] for file in files})} sources")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
