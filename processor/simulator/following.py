"""What the host makes of a message that names an earlier one: a capture, a refund, a void. No answers here.

An authorisation holds its amount on the account; a capture turns of that hold what it takes, a void gives it back.
"""

from processor.simulator.accounts import Books, Seen

APPROVED = "00"
_NOT_FOUND = "25"
_TOO_MUCH = "13"
_NOT_NOW = "12"


def standing(books: Books, original: str | None) -> Seen | None:
    """Return the earlier message if the host approved it and has not undone it."""
    seen = books.seen(original) if original else None
    return seen if seen and seen.code == APPROVED and not seen.undone else None


def capture(key: str, amount: int, original: Seen | None, account: str, books: Books) -> Seen:
    """Return a capture; what it takes beyond its authorisation's hold, or without one, is taken now."""
    if original is None:
        return Seen(key, APPROVED, account, -amount)
    held = max(0, -original.moved - books.followed(original.key, "capture"))
    return Seen(key, APPROVED, original.account, -max(0, amount - held), False, original.key, "capture", amount)


def refund(key: str, amount: int, original: Seen | None, books: Books) -> Seen:
    """Return a refund, or its refusal: never more than was paid."""
    if original is None:
        return Seen(key, _NOT_FOUND)
    is_authorisation = original.key[1] == "1"
    paid = books.followed(original.key, "capture") if is_authorisation else -original.moved
    if books.followed(original.key, "refund") + amount > paid:
        return Seen(key, _TOO_MUCH)
    return Seen(key, APPROVED, original.account, amount, False, original.key, "refund", amount)


def void(key: str, original: Seen | None, books: Books) -> Seen:
    """Return a void, or its refusal: of what stands as a whole only."""
    if original is None:
        return Seen(key, _NOT_FOUND)
    if books.followed(original.key, "capture") or books.followed(original.key, "refund"):
        return Seen(key, _NOT_NOW)
    return Seen(key, APPROVED, original=original.key, kind="void")
