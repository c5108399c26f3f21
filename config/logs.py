"""Logs: one line an event, with request and payment ids; readable at a terminal, JSON elsewhere.

Owns the last line of defence for card data: whatever looks like a card number is masked on its way out.
"""

import os
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

from staff.masking import mask_text

EventDict = MutableMapping[str, Any]

_PROCESS: Final = os.environ.get("PROCESS_NAME", "manage")


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, dict):
        return {key: _masked(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(inner) for inner in value]
    return value


def _mask_event(_: Any, __: str, event: EventDict) -> EventDict:
    return {key: value if key.startswith("_") or key == "exc_info" else _masked(value) for key, value in event.items()}


def _mask_rendered(_: Any, __: str, line: str) -> str:
    """Tracebacks are rendered text by now: mask them as well."""
    return mask_text(line)


def _name_process(_: Any, __: str, event: EventDict) -> EventDict:
    event["process"] = _PROCESS
    return event


class _Console:
    """Time, level, process, event and its values on one line, without colours that a file would keep."""

    def __init__(self) -> None:
        self._render = structlog.dev.ConsoleRenderer(colors=False, pad_event_to=28, sort_keys=False)

    def __call__(self, logger: Any, name: str, event: EventDict) -> str:
        event.pop("process", None)
        return f"{_PROCESS:9}| {self._render(logger, name, event)}"


def configure(*, level: str, as_json: bool) -> dict[str, Any]:
    """Set structlog up and return Django's LOGGING: everything goes to standard error, one way."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso" if as_json else "%H:%M:%S", utc=as_json),
        _name_process,
        _mask_event,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    last: structlog.typing.Processor = structlog.processors.JSONRenderer() if as_json else _Console()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": shared,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    last,
                    _mask_rendered,
                ],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django.server": {"level": "WARNING"},
            "django.request": {"level": "ERROR"},
            "celery": {"level": "WARNING"},
            "celery.beat": {"level": "WARNING"},
            "amqp": {"level": "WARNING"},
            "axes": {"level": "WARNING"},
        },
    }
