"""The holder of a link outlasts a database that goes away."""

import asyncio
from typing import Any, cast

from django.db import OperationalError

from processor.holder import Holder
from processor.link.wishes import Wish


def test_a_configuration_that_cannot_be_read_is_read_again() -> None:
    read: Any = object()
    answers: list[Any] = [OperationalError("terminating connection"), OperationalError("starting up"), read]

    def read_config() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    holder = Holder("bank", cast("Any", None), cast("Any", None), read_config, drain_s=0, wish=Wish())

    assert asyncio.run(holder._load_config()) == read
    assert not answers
