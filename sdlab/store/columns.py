"""The columns of a frame: all that is known of each is told here, or at its field in `Request`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..recipe.request import SPECS
from .png import replace_unprintable

Role = Literal["identity", "recipe", "fact", "machine", "opinion"]


@dataclass(frozen=True)
class Column:
    """What is known of a column; any other column of a frame is a label or a measurement.

    Parameters
    ----------
    dtype : str
        Pandas' nullable type.
    role : str
        "identity" names the picture, "recipe" makes it; a "fact" was recorded with it, a "machine"
        fact says on what; an "opinion" is what people said.
    tells : bool
        Two images that differ in it differ in something that people would want to know.
    decides_bits : bool
        The last bits of a picture may depend on it.
    """

    dtype: str
    role: Role
    tells: bool = True
    decides_bits: bool = False


def declare_machine(dtype: str = "string", *, decides_bits: bool = True) -> Column:
    """Declares a machine fact."""
    return Column(dtype, "machine", decides_bits=decides_bits)


# Written in `render/batches.py`: of each picture by `_add_facts`, of a batch by `record_facts`; the
# processor and versions by `machine_facts`. One that decides bits is a batch's: what was made alike
# is looked for before there is a picture.
FACTS = {
    "task": Column("string", "fact"),
    "lora_layers": Column("string", "fact", tells=False),  # "96 of 128" of each LoRA's act
    "inherited": Column("string", "fact", tells=False),
    "seconds": Column("Float64", "fact", tells=False),
    "unet_calls": Column("Int64", "fact", tells=False),
    "guidance_norm": Column("Float64", "fact", tells=False),  # of what the prompt adds
    "device": declare_machine(),
    "dtype": declare_machine(),
    "memory": declare_machine(),
    "threads": declare_machine("Int64"),
    "batch_size": declare_machine("Int64"),
    "memory_format": declare_machine(),
    "compiled": declare_machine("boolean"),  # true, or not recorded
    "winograd": declare_machine("boolean"),  # likewise
    "rerun": Column("string", "fact", tells=False),
    # keys of the cells in one call of diffusers', in order
    "neighbours": Column("string", "fact", tells=False, decides_bits=True),
    "warned": Column("string", "fact", tells=False),  # what diffusers said meanwhile
    "nsfw": Column("boolean", "fact"),
    "origin": Column("string", "fact", tells=False),
    "created": Column("string", "fact", tells=False),
    "pixels": Column("string", "identity", tells=False),
    "sdlab_version": declare_machine(decides_bits=False),
    "torch_version": declare_machine(),
    "diffusers_version": declare_machine(),
    "transformers_version": declare_machine(),
    "python_version": declare_machine(decides_bits=False),
    "machine": declare_machine(),
}
COLUMNS = {  # in the order of the frame
    "key": Column("string", "identity", tells=False),
    **{name: Column(spec.dtype, "recipe") for name, spec in SPECS.items()},
    "path": Column("string", "identity", tells=False),
    "error": Column("string", "identity"),
    **FACTS,
    "starred": Column("boolean", "opinion", tells=False),
    "rating": Column("Int64", "opinion", tells=False),
    **{name: Column("string", "opinion", tells=False) for name in ("verdict", "tags", "note")},
}
ELSEWHERE = {  # of pictures that `read_pictures` has read, behind the others
    "source": Column("string", "fact"),
    "not_translated": Column("string", "fact", tells=False),
}
FOUND_AS = "found_as"  # under which name a picture was found that a store keeps under another
MACHINE = tuple(name for name, column in COLUMNS.items() if column.role == "machine")
UNTELLING = tuple(name for name, column in (COLUMNS | ELSEWHERE).items() if not column.tells)
DECIDING_BITS = tuple(name for name, column in COLUMNS.items() if column.decides_bits)
IF_TRUE = tuple(name for name in MACHINE if COLUMNS[name].dtype == "boolean")  # else not recorded
CHOSEN = ("dtype", "memory", "batch_size")  # machine facts that a user sets
PLAIN = {"string": str, "Int64": int, "Float64": float, "boolean": bool}  # types in Python
LABELS = "sdlab labels"  # in a frame's `attrs`: the columns that name choices in prompts


def fit_value(value: Any, kind: str) -> Any:
    """Brings a value into the column's type, else None: one strange fact must not spoil a frame."""
    if value is None or kind == "string":
        return None if value is None else replace_unprintable(str(value))
    if kind == "Float64":
        return float(value) if isinstance(value, (int, float)) else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    return value if isinstance(value, int) and -(2**63) <= value < 2**63 else None


def fit_column(values: Sequence[Any], kind: str) -> Sequence[Any]:
    """Brings all values of a column into its type, at once where all are of that already."""
    said = [value for value in values if value is not None]
    if set(map(type, said)) == {PLAIN[kind]}:
        text = "".join(said) if kind == "string" else ""
        whole = said if kind == "Int64" else [0]
        if text.isascii() and "\0" not in text and -(2**63) <= min(whole) <= max(whole) < 2**63:
            return values
    plain = (value.item() if hasattr(value, "item") else value for value in values)  # of NumPy
    return [fit_value(value, kind) for value in plain]
