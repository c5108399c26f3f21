"""What operators watch: health, figures, the document of the API."""

from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer
from drf_spectacular.validation import validate_schema
from prometheus_client.parser import text_string_to_metric_families

from config import health, metrics
from processor.models import LinkStatus
from tests.integration.conftest import Hand
from transactions import forwarding
from transactions.domain.values import Operation

Figures = dict[tuple[str, tuple[str, ...]], float]


def figures(monkeypatch: pytest.MonkeyPatch) -> Figures:
    monkeypatch.setattr(metrics, "_FRESH_S", -1)
    text = Client().get("/metrics").content.decode()
    return {
        (sample.name, tuple(sorted(sample.labels.values()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class TestHealth:
    def test_it_lives(self) -> None:
        assert Client().get("/health/live").json() == {"status": "alive"}

    def test_it_is_ready_when_everything_is(self, hand: Hand) -> None:
        response = Client().get("/health/ready")

        assert response.status_code == 200
        assert response.json() == {
            "status": "ready",
            "checks": {"database": {"ok": True}, "broker": {"ok": True}, "link bank": {"ok": True}},
        }

    def test_with_a_link_down_it_still_accepts_and_says_why(self, hand: Hand) -> None:
        hand.report(up=False)

        response = Client().get("/health/ready")

        assert response.status_code == 200
        assert response.json()["status"] == "degraded"
        assert "link is down" in response.json()["checks"]["link bank"]["why"]

    def test_with_the_broker_away_it_still_accepts_and_says_why(
        self, hand: Hand, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("queueing.broker.is_reachable", lambda: False)

        response = Client().get("/health/ready")

        assert response.status_code == 200
        assert "broker cannot be reached" in response.json()["checks"]["broker"]["why"]

    def test_without_the_database_it_is_not_ready(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def away(*_: Any) -> None:
            raise OperationalError

        monkeypatch.setattr(health, "rows", away)
        response = Client().get("/health/ready")

        assert response.status_code == 503
        assert response.json()["checks"]["database"]["ok"] is False


class TestFigures:
    def test_the_queue_and_the_link_are_read_from_the_database(
        self, hand: Hand, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for amount in (1, 2, 3):
            hand.accept(amount, lane="a")
        hand.accept(4)
        hand.silence(hand.take()[-1])

        seen = figures(monkeypatch)

        assert seen["ferryman_queue_depth", ("bank", "blocked")] == 2
        assert seen["ferryman_queue_depth", ("bank", "taken")] == 1
        assert seen["ferryman_reversals_open", ("bank",)] == 1
        assert seen["ferryman_reversals_oldest_seconds", ("bank",)] >= 0
        assert seen["ferryman_link_up", ("bank",)] == 1
        assert seen["ferryman_link_epoch", ("bank",)] == 1
        midnight = datetime.combine(LinkStatus.objects.get().business_date, time.min, UTC)
        assert seen["ferryman_link_business_date_seconds", ("bank",)] == midnight.timestamp()
        assert seen["ferryman_on_hold", ()] == 0
        assert seen["ferryman_build_info", ("0.1.0",)] == 1

    def test_a_link_whose_holder_died_is_not_up_whatever_it_last_wrote(
        self, hand: Hand, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from processor.models import Lease  # noqa: PLC0415

        Lease.objects.update(renewed_at="2020-01-01T00:00:00Z")

        assert figures(monkeypatch)["ferryman_link_up", ("bank",)] == 0

    def test_how_long_the_next_has_waited(self, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
        hand.accept()

        assert 0 < figures(monkeypatch)["ferryman_queue_oldest_seconds", ("bank",)] < 30

    def test_ends_are_counted_by_what_they_were(self, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
        ends = ("ferryman_payments_total", ("51", "declined", "declined_by_host", "purchase"))
        before = figures(monkeypatch).get(ends, 0)
        hand.accept()
        hand.answer(hand.take()[0], "51")

        seen = figures(monkeypatch)

        assert seen[ends] - before == 1
        assert seen["ferryman_payment_seconds_count", ("purchase",)] >= 1
        assert seen["ferryman_stage_seconds_count", ("settle",)] >= 1
        assert seen["ferryman_accept_seconds_count", ()] >= 1

    def test_without_the_database_a_process_still_tells_what_it_counted(
        self, database: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(*_: Any) -> None:
            raise OperationalError

        monkeypatch.setattr(metrics, "_families", away)

        assert "ferryman_accept_seconds_count" in Client().get("/metrics").content.decode()

    def test_what_is_held_is_counted(self, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
        hand.accept(operation=Operation.WITHDRAWAL, source_account="1", pin_block=bytes(32))
        forwarding.forward()

        assert figures(monkeypatch)["ferryman_on_hold", ()] == 1


class TestTheDocument:
    def test_it_is_valid_and_the_file_is_up_to_date(self) -> None:
        generator: Any = SchemaGenerator
        schema = generator().get_schema(request=None, public=True)
        validate: Any = validate_schema
        validate(schema)
        renderer: Any = OpenApiYamlRenderer()

        written = (Path(__file__).parents[2] / "openapi.yaml").read_bytes()
        assert renderer.render(schema, renderer_context={}) == written, "run: make openapi"

    def test_its_page_asks_no_other_host_for_anything(self, database: None) -> None:
        page = Client().get("/api/docs/").content.decode()

        assert "swagger" in page
        assert "https://" not in page
