"""A journal of two epochs: what is in order is, and what is not is named."""

from typing import Any

from tests.faults import verdict
from tests.faults.verdict import Cut

_EPOCH_OF = {1: 1, 2: 1, 3: 2, 4: 2}


def written(at: float, connection: int, stan: int) -> list[dict[str, Any]]:
    read = {"at": at, "connection": connection, "what": "bytes", "direction": "out", "count": 100}
    frame = {"what": "frame", "mti": "0200", "stan": f"{stan:06d}"}
    return [read, read | frame]


def connected(at: float, connection: int) -> dict[str, Any]:
    return {"at": at, "connection": connection, "what": "connected", "peer": f"10.0.0.{connection}"}


def closed(at: float, connection: int) -> dict[str, Any]:
    return {"at": at, "connection": connection, "what": "closed"}


def judged(lines: list[dict[str, Any]], cut: Cut) -> list[str]:
    lines = sorted(lines, key=lambda line: float(line["at"]))
    epochs = verdict.epochs(lines, _EPOCH_OF)
    return [
        *verdict.mixed_connections(lines, _EPOCH_OF),
        *verdict.overtaken_epochs(epochs),
        *verdict.held_too_long(cut, epochs),
    ]


def handed_over(*, silent_at: float = 12.0, closed_at: float = 15.0) -> list[dict[str, Any]]:
    first = [connected(1, 1), *written(2, 1, 1), *written(silent_at, 1, 2), closed(closed_at, 1)]
    return [*first, connected(17, 2), *written(17.5, 2, 3)]


def test_a_lease_that_changed_hands_in_time() -> None:
    assert judged(handed_over(), Cut("both directions", 10, 1, dropped=5)) == []


def test_bytes_of_an_epoch_that_is_over() -> None:
    found = judged(handed_over(silent_at=18, closed_at=19), Cut("both directions", 10, 1, dropped=5))
    assert "F2: epoch 1 wrote 0.500 s after the first byte of epoch 2" in found
    assert len(found) == 3


def test_a_connection_left_open() -> None:
    lines = [line for line in handed_over() if line["what"] != "closed"]
    assert "open until inf s" in judged(lines, Cut("both directions", 10, 1, dropped=5))[0]


def test_a_cut_that_cut_nothing() -> None:
    assert "not one packet" in judged(handed_over(), Cut("both directions", 10, 1))[0]


def test_a_connection_that_outlives_its_epoch() -> None:
    lines = [*handed_over(silent_at=11), *written(14, 1, 4)]
    assert "F1: connection 1 carried messages of the epochs [1, 2]" in judged(lines, Cut("both", 10, 1, dropped=5))


def test_a_sign_on_belongs_to_the_epoch_that_follows() -> None:
    sign_on = {"at": 16.5, "connection": 2, "what": "bytes", "direction": "out", "count": 60}
    lines = [line for line in handed_over() if line["connection"] == 1]
    lines += [connected(16, 2), sign_on, connected(17, 3), *written(17.5, 3, 3)]
    assert [epoch.connections for epoch in verdict.epochs(lines, _EPOCH_OF)] == [1, 2]
