"""The dialects: how one bank's ISO 8583 differs from another's, as data.

Owns every fact about the wire that is not a rule: field layouts, MTIs, processing codes, what a host
echoes, what identifies an answer, what its response codes mean. Nothing here decides anything.
Codes are named by their 1987 form ("51"); a dialect with other codes says how it writes them.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType

from processor.codec.specs import NUMERIC_1987, Spec, ascii_spec, binary_spec, ebcdic_spec

#: PIN block, MACs and their like: hexadecimal in our values, even where they travel as text
_ALWAYS_BINARY = frozenset({52, 64, 96, 128})
#: an amount behind C or D; 28 to 31 are as well, but hosts put other things there
_SIGNED = frozenset({97})


class FieldKind(enum.Enum):
    """What a field may hold."""

    NUMERIC = "n"
    TEXT = "ans"
    BINARY = "b"
    #: C or D, and digits; packed digits leave the letter a byte of its own
    SIGNED = "x+n"


@dataclass(frozen=True, slots=True)
class Rule:
    """What the codec checks of one field: its kind, and the width a fixed text is padded to."""

    kind: FieldKind
    pad_to: int
    name: str


@dataclass(frozen=True)
class Dialect:
    """Everything that a bank's specification says and that is not the same for every bank."""

    name: str
    spec: Spec
    numeric: frozenset[int]
    text_encoding: str = "ascii"
    binary_bitmap: bool = False
    variable_text_length: bool = True
    max_body: int = 8192
    #: purpose -> MTI
    mti: Mapping[str, str] = field(default_factory=dict)
    #: operation -> field 3
    processing_codes: Mapping[str, str] = field(default_factory=dict)
    #: network purpose -> the fields that say so
    network: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    #: network purpose -> what else the message carries, and what is always the same in it
    network_fields: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    network_constants: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    #: purpose -> fields that are the same in every such message (1993's function code)
    constants: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    #: first two digits of the MTI -> what identifies an answer besides them
    match: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    #: what this host echoes unchanged; an answer that changes one is no answer (M4)
    echoes: tuple[int, ...] = (4, 49)
    pin_field: int = 52
    #: bytes in the PIN block as it travels
    pin_bytes: int = 8
    mac_field: int = 64
    #: operations and purposes whose messages carry a MAC, and must be answered with one
    mac_on: frozenset[str] = frozenset()
    expiry_field: int | None = 14
    #: strftime of the fields that carry the terminal's local time
    local_time: Mapping[int, str] = field(default_factory=lambda: {12: "%H%M%S", 13: "%m%d"})
    #: field that names the original (M5): 90 in 1987, 56 in 1993
    original_field: int = 90
    #: field of an answer that tells the host's business date; None where this host tells none
    business_date_field: int | None = 15
    #: response code by its 1987 name -> as this host writes it
    codes: Mapping[str, str] = field(default_factory=dict)
    #: codes that decline for good; any other but 00 leaves the outcome unknown
    declines: frozenset[str] = frozenset()
    #: declines that end an attempt for good and are worth another (M8)
    transient_declines: frozenset[str] = frozenset({"91", "96"})

    @cached_property
    def rules(self) -> Mapping[int, Rule]:
        """What the codec checks, by field number."""
        return {
            number: self._rule(number)
            for number in (int(key) for key in self.spec if key.isdigit())
            if number not in (1, 65)
        }

    def _rule(self, number: int) -> Rule:
        layout = self.spec[str(number)]
        if number in self.numeric:
            kind = FieldKind.NUMERIC
        elif number in _SIGNED:
            kind = FieldKind.SIGNED
        elif layout["data_enc"] == "b" or number in _ALWAYS_BINARY:
            kind = FieldKind.BINARY
        else:
            kind = FieldKind.TEXT
        fixed_text = kind is FieldKind.TEXT and layout["len_type"] == 0
        return Rule(kind, layout["max_len"] if fixed_text else 0, layout["desc"])

    @cached_property
    def mac_digits(self) -> int:
        """How many hexadecimal digits a MAC has."""
        layout = self.spec[str(self.mac_field)]
        return int(layout["max_len"]) * (2 if layout["data_enc"] == "b" else 1)

    @cached_property
    def _named(self) -> Mapping[str, str]:
        return {written: name for name, written in self.codes.items()}

    def write_code(self, name: str) -> str:
        """Return a response code as this host writes it ("51" -> "116" in 1993)."""
        return self.codes.get(name, name)

    def read_code(self, written: str) -> str:
        """Return the 1987 name of a response code; an unknown one is its own name, but never another code's."""
        return self._named.get(written) or ("" if written in self.codes else written)

    def network_purpose(self, fields: Mapping[int, str]) -> str | None:
        """Say what a network management message is for, or None when the dialect has no word for it."""
        for purpose, signs in self.network.items():
            if all(fields.get(number) == value for number, value in signs.items()):
                return purpose
        return None


_MTI_1987 = {
    "request": "0200",
    "authorisation": "0100",
    "advice": "0220",
    "advice_repeat": "0221",
    "void": "0400",
    "void_repeat": "0401",
    "reversal": "0420",
    "reversal_repeat": "0421",
    "network": "0800",
}
_MTI_1993 = {purpose: "1" + mti[1:] for purpose, mti in _MTI_1987.items()} | {"network": "1804"}
# 1993 says the outcome in its action code and has another field 66: no dialect here speaks it.
_RECONCILIATION_1987 = {"reconciliation": "0500"}

_PROCESSING = {
    "purchase": "000000",
    "authorisation": "000000",
    "withdrawal": "010000",
    "refund": "200000",
    "deposit": "210000",
    "balance_inquiry": "310000",
    "transfer": "400000",
    "bill_payment": "500000",
}

_NETWORK_1987 = {
    "sign_on": {70: "001"},
    "sign_off": {70: "002"},
    "cut_over": {70: "201"},
    "echo": {70: "301"},
}
_NETWORK_1993 = {
    "sign_on": {24: "801"},
    "sign_off": {24: "802"},
    "cut_over": {24: "821"},
    "echo": {24: "831"},
}
_NETWORK_FIELDS = {
    "sign_on": (11, 41, 42),
    "sign_off": (11, 41, 42),
    "cut_over": (7, 11, 12, 13, 41),
    "echo": (7, 11, 12, 13, 41),
}
_MATCH = {"01": (11, 7, 41), "02": (11, 7, 41), "04": (11, 7, 41), "05": (11, 7, 41), "08": (11, 41)}

# 08, 11, 16 and 32 are approvals with a condition, 10 is a part, 68 and 94 say nothing certain: not here.
_DECLINES = frozenset(
    "01 02 03 04 05 06 07 12 13 14 15 17 19 20 21 25 30 31 33 34 35 36 37 38 39 40 41 42 43 44 "
    "51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66 67 75 76 77 78 91 92 93 96".split()
)
_IDENTITY_CODES: Mapping[str, str] = MappingProxyType({})
_CODES_1993 = MappingProxyType(
    {
        "00": "000",
        "05": "100",
        "10": "002",
        "12": "902",
        "13": "110",
        "14": "111",
        "25": "914",
        "30": "904",
        "51": "116",
        "54": "101",
        "55": "117",
        "57": "119",
        "61": "121",
        "62": "104",
        "68": "911",
        "91": "907",
        "94": "913",
        "96": "909",
    }
)

_ISO87_ASCII = Dialect(
    name="iso87-ascii",
    spec=ascii_spec(f102={"max_len": 28}),
    numeric=NUMERIC_1987,
    mti=_MTI_1987 | _RECONCILIATION_1987,
    processing_codes=_PROCESSING,
    network=_NETWORK_1987,
    network_fields=_NETWORK_FIELDS,
    network_constants={"echo": {3: "301000"}},
    match=_MATCH,
    codes=_IDENTITY_CODES,
    declines=_DECLINES,
)

_ISO87_BINARY = replace(
    _ISO87_ASCII,
    name="iso87-binary",
    # "a or n 3": the currency stays text where digits are packed
    spec=binary_spec(_ISO87_ASCII.spec, NUMERIC_1987 - {49, 50, 51}),
    binary_bitmap=True,
    variable_text_length=False,
)

_ISO87_EBCDIC = replace(
    _ISO87_ASCII,
    name="iso87-ebcdic",
    spec=ebcdic_spec(_ISO87_ASCII.spec),
    text_encoding="cp1047",
    binary_bitmap=True,
)

_ISO93_ASCII = replace(
    _ISO87_ASCII,
    name="iso93-ascii",
    spec=ascii_spec(
        f12={"max_len": 12, "desc": "Date and time, local transaction"},
        f15={"max_len": 6},
        f22={"max_len": 12},
        f24={"max_len": 3, "desc": "Function code"},
        f25={"max_len": 4, "desc": "Message reason code"},
        f26={"max_len": 4},
        f39={"max_len": 3, "desc": "Action code"},
        f56={"len_type": 2, "max_len": 35, "desc": "Original data elements"},
    ),
    numeric=(NUMERIC_1987 - {22, 70, 90}) | {56},
    mti=_MTI_1993,
    network=_NETWORK_1993,
    network_fields={purpose: tuple(n for n in carried if n != 13) for purpose, carried in _NETWORK_FIELDS.items()},
    constants={
        "request": {24: "200"},
        "authorisation": {24: "100"},
        "advice": {24: "200"},
        "advice_repeat": {24: "200"},
        "void": {24: "400"},
        "void_repeat": {24: "400"},
        "reversal": {24: "400"},
        "reversal_repeat": {24: "400"},
    },
    match={"11": (11, 7, 41), "12": (11, 7, 41), "14": (11, 7, 41), "18": (11, 41)},
    local_time={12: "%y%m%d%H%M%S"},
    original_field=56,
    codes=_CODES_1993,
)

_BANK_ASCII87 = replace(
    _ISO87_ASCII,
    name="bank-ascii87",
    spec=ascii_spec(
        f41={"max_len": 16},
        f54={"max_len": 120},
        f64={"max_len": 32},
        f123={"data_enc": "b", "max_len": 153, "desc": "Encrypted PIN block"},
        f128={"max_len": 32},
    ),
    pin_field=123,
    pin_bytes=32,
    mac_on=frozenset({"withdrawal", "balance_inquiry", "reconciliation"}),
    expiry_field=None,
)

DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {dialect.name: dialect for dialect in (_BANK_ASCII87, _ISO87_ASCII, _ISO87_BINARY, _ISO87_EBCDIC, _ISO93_ASCII)}
)
