"""Links: configured by command, refused with a sentence, and their own STANs, lease and keys."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from processor import links
from processor.filing import Filer
from processor.keys import store as keys
from processor.link import events as ev
from processor.models import Endpoint, Key, Lease, Link, LinkStatus
from processor.store import LinkReport, LinkStore
from tests.integration.conftest import Hand


def test_a_command_creates_a_link(database: None, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("link", "bank", "--endpoint", "10.0.0.1:5000", "--endpoint", "10.0.0.2:5000", "--window", "16")

    config = links.read("bank")
    assert config is not None
    assert config.endpoints == (("10.0.0.1", 5000), ("10.0.0.2", 5000))
    assert (config.dialect_name, config.framing, config.window, config.version) == ("bank-ascii87", "ascii4", 16, 1)
    assert Lease.objects.get(link="bank").released
    assert "bank: down" in capsys.readouterr().out


def test_a_change_counts_the_version_up_and_keeps_the_rest(link: Link) -> None:
    call_command("link", "bank", "--dialect", "iso87-binary", "--framing", "binary2", "--answer-timeout", "2.5")

    config = links.read("bank")
    assert config is not None
    assert (config.dialect_name, config.framing, config.answer_timeout_s) == ("iso87-binary", "binary2", 2.5)
    assert (config.version, config.endpoints) == (2, (("127.0.0.1", 1),))


def test_a_host_that_is_slow_to_sign_on_is_given_time(link: Link, capsys: pytest.CaptureFixture[str]) -> None:
    assert links.read("bank").profile().sign_on_timeout_s == 10  # type: ignore[union-attr]

    call_command("link", "bank", "--sign-on-timeout", "25")

    assert links.read("bank").profile().sign_on_timeout_s == 25  # type: ignore[union-attr]
    assert "sign-on within 25 s" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--endpoint", "nowhere"], "HOST:PORT"),
        (["--endpoint", "host:99999"], "port from 1 to 65535"),
        (["--window", "0"], "window"),
        (["--answer-timeout", "0"], "Timeouts"),
        (["--sign-on-timeout", "3601"], "Timeouts"),
        (["--time-zone", "Mars/Olympus"], "time zone"),
        (["--terminal-id", "T" * 17], "terminal id"),
        (["--terminal-id", "ü"], "terminal id"),
        (["--card-acceptor-id", "é"], "card acceptor id"),
        (["--endpoint", "no such host:5"], "HOST:PORT"),
        (["--endpoint", "::1:5"], "HOST:PORT"),
        (["--endpoint", "a;b:5"], "a host name or an address"),
        (["--endpoint", "host:5", "--endpoint", "host:5"], "named twice"),
        (["--bank-uuid", "x"], "UUID"),
        (["--echo-timeout", "100"], "before the next"),
        (["--tsk", "/nowhere"], "cannot be read"),
        (["--tsk", __file__], "does not hold a key"),
    ],
)
def test_what_cannot_work_is_refused_and_changes_nothing(link: Link, arguments: list[str], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        call_command("link", "bank", *arguments)
    config = links.read("bank")
    assert config is not None
    assert config.version == 1
    assert Endpoint.objects.count() == 1


@pytest.mark.parametrize("name", ["bad name!", "x" * 51, "ü"])
def test_a_name_that_no_client_could_send_is_refused(database: None, name: str) -> None:
    with pytest.raises(CommandError, match="name"):
        call_command("link", name, "--endpoint", "host:5")
    assert links.names() == []


def test_an_address_with_colons_is_written_in_brackets(link: Link, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("link", "bank", "--endpoint", "[::1]:22222")

    config = links.read("bank")
    assert config is not None
    assert config.endpoints == (("::1", 22222),)
    assert "[::1]:22222" in capsys.readouterr().out


def test_a_link_needs_an_endpoint(database: None) -> None:
    with pytest.raises(CommandError, match="endpoint"):
        call_command("link", "bank", "--dialect", "iso87-ascii")


def test_a_link_that_does_not_exist_is_no_traceback(database: None) -> None:
    with pytest.raises(CommandError, match="There is no link"):
        call_command("link", "bank")


def test_a_shorter_dialect_refuses_a_terminal_that_does_not_fit(link: Link) -> None:
    call_command("link", "bank", "--terminal-id", "TERMINAL-00001")

    with pytest.raises(CommandError, match="1 to 8 characters"):
        call_command("link", "bank", "--dialect", "iso87-ascii")


class TestUp:
    """F4: signed on, the last echo answered, and held."""

    def test_it_is_what_the_holder_says(self, hand: Hand) -> None:
        live = links.live("bank")
        assert live is not None
        assert live.up

        hand.report(up=False)
        assert not links.live("bank").up  # type: ignore[union-attr]

    @pytest.mark.parametrize(
        "change",
        ["released = true", "epoch = epoch + 1", "renewed_at = renewed_at - interval '9 seconds'"],
        ids=["released", "another holder", "not renewed"],
    )
    def test_a_holder_that_is_gone_is_not_up(self, hand: Hand, change: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE processor_lease SET {change}")

        assert not links.live("bank").up  # type: ignore[union-attr]

    def test_an_old_holder_does_not_overwrite_a_newer_ones_word(self, hand: Hand) -> None:
        hand.epoch = 2
        hand.hold()
        hand.epoch = 1
        hand.report(up=False)

        assert links.live("bank").up  # type: ignore[union-attr]

    def test_a_change_of_state_remembers_since_when(self, hand: Hand) -> None:
        since = LinkStatus.objects.get().since
        hand.run(lambda store: store.report(LinkReport(1, True, "up", echo_ms=3)))
        assert LinkStatus.objects.get().since == since

        hand.report(up=False)
        assert LinkStatus.objects.get().since != since


def test_a_cut_over_moves_the_business_date_once(hand: Hand) -> None:
    before = LinkStatus.objects.get().business_date

    for key in ("1120:1", "1120:1", "1120:1"):
        hand.run(lambda store, key=key: store.cut_over(key))  # type: ignore[misc]

    assert (LinkStatus.objects.get().business_date - before).days == 1


class TestADateThatAnAnswerTells:
    """A cut-over whose notice was lost: the answers tell its day."""

    def day(self) -> date:
        return LinkStatus.objects.get().business_date

    def told(self, hand: Hand, day: date) -> bool:
        return hand.run(lambda store: store.business_date_told(day))

    def test_a_newer_one_is_taken_over_once(self, hand: Hand) -> None:
        tomorrow = self.day() + timedelta(days=1)

        assert (self.told(hand, tomorrow), self.told(hand, tomorrow)) == (True, False)
        assert self.day() == tomorrow == hand.run(lambda store: store.business_date())

    def test_an_older_one_is_not(self, hand: Hand) -> None:
        today = self.day()

        assert not self.told(hand, today - timedelta(days=1))
        assert self.day() == today

    def test_the_notice_of_a_day_that_was_told_moves_no_further(self, hand: Hand) -> None:
        tomorrow = self.day() + timedelta(days=1)
        self.told(hand, tomorrow)

        hand.run(lambda store: store.cut_over("1120:1"))

        assert self.day() == tomorrow

    def test_the_notice_of_the_next_day_does(self, hand: Hand) -> None:
        tomorrow = self.day() + timedelta(days=1)
        self.told(hand, tomorrow)
        LinkStatus.objects.update(business_date_told_at=timezone.now() - timedelta(hours=23))

        hand.run(lambda store: store.cut_over("1121:1"))

        assert self.day() == tomorrow + timedelta(days=1)

    def test_the_filer_takes_over_what_the_link_says(self, hand: Hand) -> None:
        tomorrow = self.day() + timedelta(days=1)

        async def file(store: LinkStore) -> None:
            filer = Filer("bank", store)
            filer.business_date_moved(ev.BusinessDateTold(tomorrow))
            filer.business_date_moved(ev.CutOver("1120:1"))
            filer.finish()
            await filer.run()

        hand.run(file)

        assert self.day() == tomorrow


def test_a_reversal_keeps_the_business_date_of_its_original(hand: Hand) -> None:
    from transactions.models import Attempt  # noqa: PLC0415

    hand.accept()
    (taken,) = hand.take()
    hand.run(lambda store: store.cut_over("1120:1"))
    hand.silence(taken)
    hand.take()

    original, reversal = Attempt.objects.order_by("number")
    assert original.business_date == reversal.business_date


class TestKeys:
    def test_a_key_is_kept_wrapped_and_known_by_its_check_value(self, link: Link, tmp_path: Path) -> None:
        path = tmp_path / "tsk"
        path.write_text("3AC638783EF600FE5E25E8A2EE5B0D222EB810DDF64C3681DD11AFEFAF41614B\n")
        call_command("link", "bank", "--tsk", str(path), "--bank-uuid", "48a9e84c-ff57-4483-bf83-b255f34a6466")

        key = Key.objects.get()
        assert (key.type, key.state, key.check_value) == ("TSK", "ACTIVE", "77CDB02FD54A88C9")
        assert bytes.fromhex("3AC638783EF600FE") not in bytes(key.wrapped)
        config = links.read("bank")
        assert config is not None
        derived = keys.keys_of(config).sign_with
        assert derived is not None
        assert derived.hex().upper() == "61CBA10D910DDE65A4181DF743CA0937"

    def test_a_new_key_replaces_the_old_one(self, link: Link) -> None:
        keys.install(link, Key.Type.TSK, bytes(32))
        keys.install(link, Key.Type.TSK, b"\1" * 32)

        assert list(Key.objects.order_by("version").values_list("version", "state")) == [(1, "EXPIRED"), (2, "ACTIVE")]
