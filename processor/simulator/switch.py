"""What the host decides about a message: sign-on, money, duplicates, reversals. No socket, no clock.

One `Switch` is the bank; one `Desk` is what it knows of one connection, which a sign-on ends with.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from processor.codec.dates import write_date
from processor.codec.dialects import Dialect
from processor.codec.message import Message
from processor.keys.errors import PinBlockRefused
from processor.keys.signing import mac_fits, signed
from processor.keys.software import decrypt_pin_block, iso0_pin_block
from processor.simulator import following, totals
from processor.simulator.accounts import Books, Seen
from processor.simulator.scenarios import Behaviour, scenario

_APPROVED: Final = "00"
_NO_FUNDS: Final = "51"
_NOT_FOUND: Final = "25"
_FORMAT: Final = "30"
_WRONG_PIN: Final = "55"
_SECURITY: Final = "63"
_NOT_SIGNED_ON: Final = "91"
_DUPLICATE: Final = "94"
_INVALID: Final = "12"
_REFUSED_PIN: Final = "0000"
_ECHOED: Final = (2, 3, 4, 7, 11, 12, 13, 24, 41, 42, 49, 53, 70)


@dataclass(slots=True)
class Settings:
    """What can be changed while it runs. Times in seconds."""

    latency_s: float = 0.0
    jitter_s: float = 0.0
    client_waits_s: float = 30.0
    #: code for every reversal and advice instead of their success, or "silent"
    reversals: str = ""
    refuse_sign_on: bool = False
    #: give no answer at all, to nothing
    mute: bool = False
    #: count a debit more of so many minor units, or one less, when totals are compared
    totals_off_by: int = 0


@dataclass(frozen=True, slots=True)
class HostKeys:
    """Derived keys of the bank's terminals; None where the bank uses none."""

    pin: bytes | None = None
    mac: bytes | None = None


@dataclass(slots=True)
class Desk:
    """What the host knows of one connection."""

    signed_on: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer, how it is given, and what the journal should know."""

    answer: Message | None
    behaviour: Behaviour = Behaviour.ANSWER
    effect: str = ""


@dataclass(slots=True)
class Switch:
    """The bank."""

    dialect: Dialect
    books: Books
    keys: HostKeys = HostKeys()
    settings: Settings = field(default_factory=Settings)
    _references: int = 0

    def handle(self, message: Message, desk: Desk) -> Decision:
        """Decide about a message of a client."""
        if message.is_answer:
            return Decision(None)
        handler: Callable[[Message, Desk], Decision] | None = self._handlers.get(message.mti[1])
        if handler is None:
            return self._reply(message, _INVALID)
        if message.mti[1] != "8" and not desk.signed_on:
            return self._reply(message, _NOT_SIGNED_ON)
        return handler(message, desk)

    def sign(self, answer: Message, asked: Message) -> Message:
        """Return an answer with a MAC, where the question needed one."""
        if not self._signs(asked) or self.keys.mac is None:
            return answer
        return signed(answer, self.dialect, self.keys.mac)

    @property
    def _handlers(self) -> Mapping[str, Callable[[Message, Desk], Decision]]:
        return {"1": self._request, "2": self._request, "4": self._undoing, "5": self._totals, "8": self._network}

    # Network management

    def _network(self, message: Message, desk: Desk) -> Decision:
        purpose = self.dialect.network_purpose(message.fields)
        if purpose == "sign_on":
            desk.signed_on = not self.settings.refuse_sign_on
            return self._reply(message, _APPROVED if desk.signed_on else "05", effect="sign-on")
        if purpose == "sign_off":
            desk.signed_on = False
            return self._reply(message, _APPROVED, effect="sign-off")
        if purpose == "echo":
            return self._reply(message, _APPROVED if desk.signed_on else _NOT_SIGNED_ON)
        return self._reply(message, _INVALID)

    def _totals(self, message: Message, _: Desk) -> Decision:
        """Compare totals with the host's own."""
        return self._reply(message, _APPROVED if self._mac_fits(message) else _SECURITY)

    # Money

    def _request(self, message: Message, _: Desk) -> Decision:
        if message.mti[2] == "2":
            return self._advice(message)
        key = self._key(message)
        if self.books.seen(key):
            return self._reply(message, _DUPLICATE)
        code, behaviour = scenario(message.get(4) or "")
        code = code or self._refusal(message)
        if code is None and message.get(3) == self.dialect.processing_codes["refund"]:
            return self._refund(message, key, behaviour)
        code = code or _APPROVED
        effect = self._book(message, key, code)
        return self._reply(message, code, behaviour, effect)

    def _refund(self, message: Message, key: str, behaviour: Behaviour) -> Decision:
        """A refund that names its original; one that names none is a credit like any other."""
        named = self._original_key(message)
        if named is None:
            return self._reply(message, _APPROVED, behaviour, self._book(message, key, _APPROVED))
        refunded = following.refund(key, self._amount(message), following.standing(self.books, named), self.books)
        return self._reply(message, refunded.code, behaviour, self._keep(refunded, message))

    def _advice(self, message: Message) -> Decision:
        key = self._key(message)
        if self.books.seen(key):
            return self._reply(message, _DUPLICATE)
        if self.settings.reversals:
            return self._contrary(message)
        original = following.standing(self.books, self._original_key(message))
        captured = following.capture(key, self._amount(message), original, self._account(message), self.books)
        return self._reply(message, _APPROVED, effect=self._keep(captured, message))

    def _undoing(self, message: Message, _: Desk) -> Decision:
        """0420 tells that something is undone, 0400 asks for it."""
        return self._reversal(message) if message.mti[2] == "2" else self._void(message)

    def _void(self, message: Message) -> Decision:
        key, named = self._key(message), self._original_key(message)
        if seen := self.books.seen(key):
            return self._reply(message, _DUPLICATE if seen.code == _APPROVED else seen.code)
        if self.settings.reversals:
            return self._contrary(message)
        if named is None or not self._mac_fits(message):
            return self._reply(message, _FORMAT if named is None else _SECURITY)
        voided = following.void(key, following.standing(self.books, named), self.books)
        if voided.code == _APPROVED:
            self.books.undo(named)
        return self._reply(message, voided.code, effect=self._keep(voided, message))

    def _keep(self, seen: Seen, message: Message) -> str:
        """Keep what was made of a message that names an earlier one; returns its effect."""
        self._record(seen, message)
        if seen.code != _APPROVED:
            return ""
        return f"approved {seen.key} voiding {seen.original}" if seen.kind == "void" else f"approved {seen.key}"

    def _reversal(self, message: Message) -> Decision:
        if self.settings.reversals:
            return self._contrary(message)
        key, original = self._key(message), self._original_key(message)
        if original is None:
            return self._reply(message, _FORMAT)
        if self.books.seen(key):
            return self._again(message, original)
        reversed_one = self.books.seen(original)
        code = _APPROVED if reversed_one else _NOT_FOUND
        self.books.record(Seen(key, code))
        return self._reply(message, code, effect=self._undo(reversed_one))

    def _again(self, message: Message, original: str) -> Decision:
        """A reversal seen before: undo what was approved since, and say that it is known."""
        return self._reply(message, _DUPLICATE, effect=self._undo(self.books.seen(original)))

    def _undo(self, original: Seen | None) -> str:
        if original is None or original.undone or original.code != _APPROVED:
            return ""
        self.books.undo(original.key)
        return f"undone {original.key}"

    def _contrary(self, message: Message) -> Decision:
        if self.settings.reversals == "silent":
            return Decision(None)
        return self._reply(message, self.settings.reversals)

    def _book(self, message: Message, key: str, code: str) -> str:
        """Keep the message, and move its money when it is approved."""
        account, amount = self._account(message), self._amount(message)
        credit = (message.get(3) or "")[:2] in totals.CREDITS
        if message.get(3) == self.dialect.processing_codes["balance_inquiry"]:
            amount = 0
        moved = (amount if credit else -amount) if code == _APPROVED else 0
        self._record(Seen(key, code, account, moved), message)
        return f"approved {key}" if code == _APPROVED else ""

    def _record(self, seen: Seen, message: Message) -> None:
        counted = replace(seen, weight=totals.weight(message, self.dialect), currency=message.get(49) or "")
        self.books.record(counted)

    def _refusal(self, message: Message) -> str | None:
        if not self._mac_fits(message):
            return _SECURITY
        if not self._pin_fits(message):
            return _WRONG_PIN
        debit = (message.get(3) or "")[:2] not in totals.CREDITS
        if debit and self.books.balance(self._account(message)) < self._amount(message):
            return _NO_FUNDS
        return None

    def _mac_fits(self, message: Message) -> bool:
        if self.keys.mac is None or not self._signs(message):
            return True
        return mac_fits(message, self.dialect, [self.keys.mac])

    def _pin_fits(self, message: Message) -> bool:
        carried = message.get(self.dialect.pin_field)
        if not carried or self.keys.pin is None or self.dialect.pin_bytes != 32:
            return True
        try:
            block = decrypt_pin_block(self.keys.pin, bytes.fromhex(carried))
        except PinBlockRefused:
            return False
        return block != iso0_pin_block(_REFUSED_PIN, message.get(2) or "")

    def _signs(self, message: Message) -> bool:
        if message.mti[1] == "5":
            return "reconciliation" in self.dialect.mac_on
        code = message.get(3)
        return any(self.dialect.processing_codes.get(operation) == code for operation in self.dialect.mac_on)

    @staticmethod
    def _amount(message: Message) -> int:
        return int(message.get(4) or "0")

    # Answers

    def _reply(
        self, message: Message, code: str, behaviour: Behaviour = Behaviour.ANSWER, effect: str = ""
    ) -> Decision:
        fields = {number: message.fields[number] for number in _ECHOED if number in message.fields}
        fields[39] = self.dialect.write_code(code)
        if message.mti[1] not in "58":
            fields[37] = self._reference()
            fields |= self._business_date()
        if code == _APPROVED and message.mti[1] == "5":
            fields |= totals.answer(message, self.books, self.settings.totals_off_by)
        if code == _APPROVED and message.mti[1] in "12":
            fields[38] = f"{self._references % 1_000_000:06d}"
        if message.get(3) == self.dialect.processing_codes["balance_inquiry"] and code == _APPROVED:
            fields[54] = f"001{message.get(49)}{self.books.balance(self._account(message)):012d}"
        if behaviour is Behaviour.OTHER_AMOUNT:
            fields[4] = f"{int(message.get(4) or '0') + 100:012d}"[-12:]
        answer = Message(f"{message.mti[:2]}{int(message.mti[2]) + 1}0", fields)
        return Decision(self.sign(answer, message), behaviour, effect)

    def _business_date(self) -> dict[int, str]:
        number, day = self.dialect.business_date_field, self.books.business_date
        if number is None or day is None:
            return {}
        return {number: write_date(day, self.dialect.spec[str(number)]["max_len"])}

    def _reference(self) -> str:
        """A reference of the host's own: field 37 of an answer is not the client's."""
        self._references += 1
        return f"H{self._references:011d}"

    @staticmethod
    def _key(message: Message) -> str:
        return f"{message.mti[:2]}:{message.get(11)}:{message.get(7)}:{message.get(41)}"

    def _original_key(self, message: Message) -> str | None:
        """Read field 90 (MTI, STAN, field 7); 1993's field 56 has local time instead, so the STAN decides."""
        original = message.get(self.dialect.original_field) or ""
        if len(original) < 20:
            return None
        if self.dialect.original_field == 90:
            return f"{original[:2]}:{original[4:10]}:{original[10:20]}:{message.get(41)}"
        return self.books.find(f"{original[:2]}:{original[4:10]}:", f":{message.get(41)}")

    @staticmethod
    def _account(message: Message) -> str:
        """Accounts by field 102, or by the last digits of the card: the host's books hold no card number."""
        return message.get(102) or f"card-{(message.get(2) or '')[-4:]}"
