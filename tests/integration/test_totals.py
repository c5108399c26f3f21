"""Our totals beside the bank's: asked for from the settlement's page, carried by the link's worker, said plainly."""

import asyncio
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from processor import links
from processor.codec.message import Message, decode, encode
from processor.keys.signing import signed
from processor.keys.software import derive, mac_context
from processor.keys.store import install
from processor.link.console import CommandState, Verb
from processor.link.framing import FRAMINGS
from processor.management.commands.simulator import TEST_BANK, TEST_TSK
from processor.models import Key, Link, LinkCommand, LinkStatus
from processor.models import Message as Said
from processor.simulator.accounts import Books
from processor.simulator.switch import Desk, HostKeys, Switch
from staff.models import Record
from staff.roles import ROLES
from tests.builders import BANK
from tests.integration.conftest import Hand
from tests.integration.test_commands import Bank, Console
from tests.integration.test_permission_matrix import WORK
from tests.integration.test_roles import sign_in

PAGE = reverse("report_settlement")
ASK = reverse("report_settlement_ask")
TOLD = reverse("report_settlement_told")
NOTHING = dict.fromkeys(
    (
        *("credits", "credit_reversals", "debits", "debit_reversals"),
        *("credits_minor", "credit_reversals_minor", "debits_minor", "debit_reversals_minor"),
    ),
    0,
)
OURS = {**NOTHING, "debits": 2, "debits_minor": 350}


def today() -> date:
    return LinkStatus.objects.get().business_date


def asking(**changes: Any) -> dict[str, Any]:
    return {"day": str(today()), "link": "bank", "currency": "IDR", **changes}


@pytest.fixture
def olga(hand: Hand) -> Client:
    return sign_in("olga", "operator")


@pytest.fixture
def paid(hand: Hand) -> Hand:
    """Two purchases, of 1.00 and 2.50."""
    for amount in (100, 250):
        hand.accept(amount)
        hand.answer(hand.take()[0])
    return hand


def page(client: Client, **changes: Any) -> str:
    return client.get(PAGE, {"day": str(today()), "link": "bank"}, **changes).content.decode()


def answered(hand: Hand, outcome: str, state: CommandState = CommandState.DONE, **theirs: Any) -> None:
    """The worker answers what was asked last."""
    totals = {**OURS, **theirs} if theirs else None
    detail = {"outcome": outcome, "code": "00", "settlement_code": "2", "totals": totals}

    async def answer(store: Any) -> None:
        command = await store.claim_command()
        await store.finish_command(command.id, state, "A sentence.", detail if outcome else {})

    hand.run(answer)


class TestAsking:
    def test_our_totals_go_with_it_and_who_asked_is_written_down(self, paid: Hand, olga: Client) -> None:
        where = olga.post(ASK, asking())

        assert where.url == f"{PAGE}?day={today()}&link=bank#totals"  # type: ignore[attr-defined]
        command = LinkCommand.objects.get()
        assert (command.verb, command.asked_by, command.state) == ("reconcile", "olga", "open")
        assert command.parameters == {"business_date": str(today()), "currency": "360", "totals": OURS}
        row = Record.objects.get(action="link.command")
        assert (row.who, row.detail["command"], row.detail["business_date"]) == ("olga", "reconcile", str(today()))

    def test_while_one_waits_it_is_that_one_and_the_page_says_so(self, paid: Hand, olga: Client) -> None:
        for _ in range(2):
            olga.post(ASK, asking())

        assert LinkCommand.objects.count() == 1
        assert "The bank is being asked" in page(olga)
        assert olga.get(TOLD, {"day": str(today()), "link": "bank"}).json()["is_over"] is False

    @pytest.mark.parametrize("wrong", [{"day": "x"}, {"link": "nowhere"}, {"currency": "<b>"}, {"currency": ""}])
    def test_what_is_not_there_is_not_asked_for(self, paid: Hand, olga: Client, wrong: dict[str, str]) -> None:
        assert olga.post(ASK, asking(**wrong)).status_code == 302
        assert not LinkCommand.objects.exists()

    @pytest.mark.parametrize("role", sorted(role.name for role in ROLES))
    def test_who_compares_files_may_ask_and_nobody_else(self, paid: Hand, role: str) -> None:
        client = sign_in("rita", role)

        status = client.post(ASK, asking()).status_code

        assert status == (302 if role in WORK else 403)
        assert LinkCommand.objects.exists() is (role in WORK)

    def test_a_viewer_sees_both_and_no_button(self, paid: Hand, olga: Client) -> None:
        assert "Ask the bank" in page(olga)
        seen = page(sign_in("vera", "viewer"))
        assert "Debits, amount" in seen
        assert "Ask the bank" not in seen

    def test_over_all_links_it_says_to_choose_one(self, paid: Hand, olga: Client) -> None:
        assert "Choose one link above" in olga.get(PAGE, {"day": str(today())}).content.decode()


class TestTheAnswer:
    @pytest.fixture
    def asked(self, paid: Hand, olga: Client) -> Hand:
        olga.post(ASK, asking())
        return paid

    def test_in_balance(self, asked: Hand, olga: Client) -> None:
        answered(asked, "in_balance", debits=2)

        assert "In balance: the bank counts as we do." in page(olga)
        assert olga.get(TOLD, {"day": str(today()), "link": "bank"}).json()["is_over"] is True

    def test_each_difference_has_its_sentence_and_its_line(self, asked: Hand, olga: Client) -> None:
        answered(asked, "out_of_balance", debits=5, debits_minor=1_250_350, credits=1)

        shown = page(olga)
        assert "Out of balance." in shown
        assert "The bank counts 3 debits more: IDR 12,500.00." in shown
        assert "The bank counts 1 credit more, of the same sum." in shown
        assert "<strong>+12,500.00</strong>" in shown
        assert "00 approved; 66 = 2" in shown

    def test_it_says_the_same_in_indonesian(self, asked: Hand, olga: Client) -> None:
        answered(asked, "out_of_balance", debits=5, debits_minor=1_250_350)

        shown = page(olga, headers={"Accept-Language": "id"})

        assert "Bank menghitung 3 debit lebih banyak: IDR 12,500.00." in shown

    def test_what_the_bank_undid_unseen_differs_twice_and_costs_nothing(self, asked: Hand, olga: Client) -> None:
        more: dict[str, Any] = {"debits": 3, "debits_minor": 450, "debit_reversals": 1, "debit_reversals_minor": 100}
        answered(asked, "out_of_balance", **more)

        assert "so no money differs: what is undone unseen" in page(olga)

    @pytest.mark.parametrize(
        ("outcome", "state", "said"),
        [
            ("no_answer", CommandState.FAILED, "The bank did not answer in time"),
            ("wrong_mac", CommandState.FAILED, "The MAC of the bank&#x27;s answer"),
            ("not_compared", CommandState.FAILED, "The bank compared nothing"),
            ("out_of_balance", CommandState.DONE, "gives no totals of its own"),
            ("", CommandState.REFUSED, "The link is down, so nothing was sent"),
            ("", CommandState.FAILED, "nobody knows the answer"),
            ("", CommandState.EXPIRED, "No worker of the link took it in time"),
        ],
    )
    def test_what_came_of_nothing_says_why(
        self, asked: Hand, olga: Client, outcome: str, state: CommandState, said: str
    ) -> None:
        answered(asked, outcome, state)

        shown = page(olga)
        assert said in shown
        assert "Ask again" in shown

    def test_what_has_changed_since_is_said(self, asked: Hand, olga: Client) -> None:
        answered(asked, "in_balance")
        asked.accept(70)
        asked.answer(asked.take()[0])

        assert "Our figures have changed since" in page(olga)


@dataclass
class CountingBank(Bank):
    """A bank that keeps books, and answers by them."""

    switch: Switch = field(default_factory=lambda: Switch(BANK, Books(None)))
    #: signs its 0510 with this key, whatever the link's is
    forged_with: bytes | None = None

    async def greet(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        framing, desk = FRAMINGS["ascii4"](BANK.max_body), Desk()
        while received := await reader.read(4096):
            for body in framing.feed(received):
                message = decode(body, BANK)
                self.heard.append(message.mti)
                answer = self.switch.handle(message, desk).answer
                if answer is not None:
                    writer.write(framing.frame(encode(self._forged(answer), BANK)))
        writer.close()

    def _forged(self, answer: Message) -> Message:
        if answer.mti != "0510" or self.forged_with is None:
            return answer
        fields = {number: value for number, value in answer.fields.items() if number != 64}
        return signed(Message(answer.mti, fields), BANK, self.forged_with)


class TestOnTheLink:
    @pytest.fixture
    def console(self, hand: Hand, link: Link) -> Console:
        links.configure("bank", {"bank_uuid": TEST_BANK}, [("127.0.0.1", 1)])
        console, bank = Console(hand), CountingBank()
        bank.switch.books.open_day(today())
        bank.switch.keys = HostKeys(mac=derive(bytes.fromhex(TEST_TSK), mac_context(TEST_BANK)))
        console.bank = bank
        return console

    def told(self, console: Console, **totals: int) -> LinkCommand:
        told: list[LinkCommand] = []
        asked = {"business_date": str(today()), "currency": "360", "totals": {**NOTHING, **totals}}

        async def story(at: Console) -> None:
            await at.up()
            told.append(await at.told(Verb.RECONCILE, **asked))

        console.hold(story)
        return told[0]

    def test_a_signed_0500_is_answered_and_both_are_in_the_journal(self, console: Console, link: Link) -> None:
        install(link, Key.Type.TSK, bytes.fromhex(TEST_TSK))

        command = self.told(console)

        assert (command.state, command.detail["outcome"]) == ("done", "in_balance")
        assert command.detail["sent"]["fields"]["64"] == "(32 hidden)"
        assert (command.detail["received"]["fields"]["66"], command.detail["totals"]) == ("1", NOTHING)
        assert {"0500", "0510"} <= set(Said.objects.values_list("mti", flat=True))

    def test_a_host_that_counts_otherwise_gives_its_own(self, console: Console, link: Link) -> None:
        install(link, Key.Type.TSK, bytes.fromhex(TEST_TSK))

        command = self.told(console, debits=1, debits_minor=125_000)

        assert (command.state, command.detail["outcome"]) == ("done", "out_of_balance")
        assert command.detail["totals"] == NOTHING

    def test_an_answer_that_another_key_signed_says_nothing(self, console: Console, link: Link) -> None:
        install(link, Key.Type.TSK, bytes.fromhex(TEST_TSK))
        bank: Any = console.bank
        bank.forged_with = bytes(16)

        command = self.told(console)

        assert (command.state, command.detail["outcome"]) == ("failed", "wrong_mac")
        assert "totals" not in command.detail

    def test_without_a_key_nothing_is_sent(self, console: Console) -> None:
        command = self.told(console)

        assert (command.state, command.detail["outcome"]) == ("refused", "no_key")
        assert "0500" not in console.bank.heard
