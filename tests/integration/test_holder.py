"""The holder of a link, when the database is away as a session begins."""

import asyncio
from dataclasses import dataclass
from typing import Any

from django.db import OperationalError

from processor import links
from processor.holder import Holder
from processor.lease import Keeper
from processor.links import LinkConfig
from processor.store import LinkStore
from tests.integration.conftest import Hand


@dataclass
class Granted(Keeper):
    """A lease that is ours."""

    deadline: float = 0.0

    @property
    def holds(self) -> bool:
        return True


def test_it_asks_again_for_its_configuration_until_the_database_answers(hand: Hand) -> None:
    asked: list[bool] = []
    config = links.read("bank")

    def read_config() -> LinkConfig | None:
        asked.append(True)
        if len(asked) == 1:
            raise OperationalError("the server closed the connection")
        return config

    async def hold(store: LinkStore) -> None:
        holder = Holder("bank", store, Granted(), read_config, 0.0)
        crashes: list[dict[str, Any]] = []
        running = asyncio.create_task(holder.run(lambda: None, crashes.append))
        async with asyncio.timeout(10):
            while len(asked) < 2:
                await asyncio.sleep(0.01)
        holder.stop()
        await running
        assert not crashes

    hand.run(hold)

    assert len(asked) >= 2
