"""Whatever the wire does to bytes and frames, one outcome each: matched by content, undone where it is unknown."""

from tests.faults.stack import ProxiedFerry
from tests.stack import wait_until


def requests_written(ferry: ProxiedFerry) -> list[str]:
    """The STANs of the requests that our side wrote, in order."""
    lines = ferry.wire_journal()
    return [line["stan"] for line in lines if line["what"] == "frame" and line["mti"] == "0200"]


def test_a_half_open_connection_is_found_and_nothing_is_sent_again(proxied: ProxiedFerry) -> None:
    proxied.wire(swallow="both")
    lost = proxied.post_all([100] * 10, expires_in=3600)
    wait_until(lambda: len(requests_written(proxied)) == 10, 10, "ten requests went nowhere")
    wait_until(lambda: not proxied.proxy("GET", "/")["connections"], 15, "the link gave the connection up")
    waiting = proxied.post_all([100] * 5, expires_in=3600)
    proxied.wire(swallow="")

    proxied.wait_until_ended(60)
    assert proxied.statuses() == {"reversed": len(lost), "approved": len(waiting)}
    assert len(requests_written(proxied)) == len(set(requests_written(proxied))) == 15
    proxied.everything_holds()


def test_duplicate_and_reordered_answers_find_their_own_payments(proxied: ProxiedFerry) -> None:
    proxied.rule("duplicate", direction="in", mti="0210", times=10)
    proxied.rule("delay", direction="in", mti="0210", times=10, seconds=0.2)
    amounts = [1000 + 100 * number + (51 if number % 3 == 0 else 0) for number in range(40)]
    proxied.post_all(amounts, expires_in=3600)

    proxied.wait_until_ended(60)
    for row in proxied.sql("SELECT amount, status FROM transactions_payment"):
        assert row.status == ("declined" if row.amount % 100 == 51 else "approved"), row
    proxied.everything_holds()


def test_what_is_garbled_or_lost_is_undone_and_its_siblings_are_paid(proxied: ProxiedFerry) -> None:
    proxied.rule("garbage", direction="in", mti="0210")
    proxied.rule("mutate", direction="in", mti="0210", fields={"4": "000000000001"})
    proxied.rule("mutate", direction="in", mti="0210", fields={"49": "840"})
    proxied.rule("mutate", direction="in", mti="0210", fields={"11": "000000"})
    proxied.rule("drop", direction="in", mti="0210")
    proxied.rule("drop", direction="out", mti="0200")
    proxied.post_all([100] * 30, expires_in=3600)

    proxied.wait_until_ended(60)
    assert proxied.statuses() == {"reversed": 6, "approved": 24}
    proxied.everything_holds()


def test_a_frame_cut_in_its_middle_closes_the_connection_and_is_reversed(proxied: ProxiedFerry) -> None:
    for direction in ("out", "in"):
        proxied.rule("cut", direction=direction, mti="02")
        with proxied.client() as client:
            assert proxied.post(client, 100, wait=20, expires_in=3600)["status"] == "reversed"

    proxied.wait_until_ended(60)
    proxied.everything_holds()


def test_an_answer_later_than_our_patience_is_undone_once_more(proxied: ProxiedFerry) -> None:
    proxied.rule("delay", direction="in", mti="0210", times=5, seconds=3)
    proxied.post_all([100] * 5, expires_in=3600)
    proxied.wait_until_ended(60)
    proxied.wait_for_late_answers()

    assert proxied.statuses() == {"reversed": 5}
    proxied.everything_holds()


def test_one_byte_at_a_time_over_a_slow_line(proxied: ProxiedFerry) -> None:
    proxied.wire(slice_bytes=1, latency_s=0.05, jitter_s=0.05)
    proxied.post_all([100] * 20, expires_in=3600)
    proxied.wait_until_ended(60)
    proxied.everything_holds()


def test_a_host_that_stops_reading_jams_nothing_but_the_link(proxied: ProxiedFerry) -> None:
    proxied.wire(reads=False)
    ids = proxied.post_all([100] * 300, expires_in=3600)
    in_flight = proxied.sql("SELECT count(*) AS n FROM queueing_queueentry WHERE state = 'taken'")[0].n
    window = proxied.sql('SELECT "window" AS w FROM processor_link')[0].w

    assert in_flight <= window + window // 2
    proxied.wire(reads=True)
    proxied.wait_until_ended(50)
    assert sum(proxied.statuses().values()) == len(ids)
    assert proxied.statuses().keys() <= {"approved", "reversed"}
    proxied.everything_holds()
