"""Field layouts in pyiso8583's form: which of its defaults hold, and how a dialect's bytes differ."""

from collections.abc import Mapping
from typing import Any

import ebcdic  # noqa: F401  (registers cp1047)
from iso8583.specs import default_ascii

Spec = dict[str, dict[str, Any]]

# n fields of ISO 8583:1987; all others are text unless a dialect makes them binary.
NUMERIC_1987 = frozenset({*range(2, 28), 32, 33, 49, 50, 51, 53, *range(66, 91), 99, 100})
_BCD = {"data_enc": "b", "len_count": "nibbles", "left_pad": "0"}


def ascii_spec(**overrides: Mapping[str, Any]) -> Spec:
    """Text throughout, lengths and bitmap too; `f41={...}` changes field 41."""
    spec: Spec = {key: dict(layout) for key, layout in default_ascii.items()}
    for key, change in overrides.items():
        spec[key.removeprefix("f")] |= change
    return spec


def binary_spec(base: Spec, numeric: frozenset[int]) -> Spec:
    """BCD digits and lengths, binary bitmap and binary fields; text stays ASCII."""
    spec: Spec = {key: dict(layout) for key, layout in base.items()}
    spec["t"] |= {"data_enc": "b", "max_len": 2}
    for key in ("p", "1"):
        spec[key] |= {"data_enc": "b", "max_len": 8}
    for key, layout in spec.items():
        if not key.isdigit() or key == "1":
            continue
        if layout["len_type"]:
            layout |= {"len_enc": "bcd", "len_type": (layout["len_type"] + 1) // 2}
        if int(key) in numeric:
            layout.update(_BCD)
    # x+n16: the letter is a byte, its digits are packed
    spec["97"] |= {"data_enc": "b", "max_len": 9}
    return _with_binary_fields(spec)


def ebcdic_spec(base: Spec) -> Spec:
    """Text in code page 1047, binary bitmap and binary fields."""
    spec: Spec = {key: dict(layout) | {"data_enc": "cp1047", "len_enc": "cp1047"} for key, layout in base.items()}
    for key in ("p", "1"):
        spec[key] |= {"data_enc": "b", "max_len": 8}
    return _with_binary_fields(spec)


def _with_binary_fields(spec: Spec) -> Spec:
    for key in ("52", "64", "65", "96", "128"):
        spec[key] |= {"data_enc": "b", "max_len": 8}
    spec["55"] |= {"data_enc": "b", "max_len": 255}
    return spec
