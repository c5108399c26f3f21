"""An asyncio event loop in virtual time: the link worker's own coroutines run on it unchanged.

Owns the translation of asyncio's calls into steps of the world; a loop whose process has died runs nothing.
"""

import asyncio
from asyncio import events
from collections.abc import Callable
from typing import Any

from tests.simulation.world import Actor, World


class VirtualLoop:
    """The loop of one process: as much of asyncio's as the link worker asks for."""

    def __init__(self, world: World, actor: Actor) -> None:
        self._world = world
        self._actor = actor
        self._asyncio: Any = self
        self._handler: Callable[[Any, dict[str, Any]], Any] | None = None
        self.readers: dict[Any, Callable[[], None]] = {}
        self.writers: dict[Any, Callable[[], None]] = {}

    def time(self) -> float:
        return self._world.now

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self._asyncio, context)
        self._world.after(0.0, self._actor, lambda: self._run(handle))
        return handle

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self._asyncio, context)
        self._world.at(when, self._actor, lambda: self._run(handle))
        return handle

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def create_task(self, coro: Any, *, name: str | None = None, context: Any = None) -> "asyncio.Task[Any]":
        return asyncio.Task(coro, loop=self._asyncio, name=name, context=context)

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self._asyncio)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> "asyncio.Future[Any]":
        future = self.create_future()
        self._world.after(
            self._world.between(0.0, 0.01), self._actor, lambda: self._enter(self._call, future, func, args)
        )
        return future

    def set_exception_handler(self, handler: Any) -> None:
        self._handler = handler

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if self._handler and self._actor.process.alive and "destroyed" not in str(context.get("message")):
            self._handler(self, context)

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        self.readers[fd] = callback
        fd.watched(self)

    def remove_reader(self, fd: Any) -> bool:
        return self.readers.pop(fd, None) is not None

    def add_writer(self, fd: Any, callback: Any, *args: Any) -> None:
        self.writers[fd] = callback

    def remove_writer(self, fd: Any) -> bool:
        return self.writers.pop(fd, None) is not None

    def wake(self, ready: Callable[[], Callable[[], None] | None]) -> None:
        """Something may be readable or writable: look as the process, when it can."""

        def look() -> None:
            callback = ready()
            if callback:  # as a handle: what it raises is for the exception handler
                self._run(asyncio.Handle(callback, (), self._asyncio))

        self._world.after(0.0, self._actor, look)

    def _timer_handle_cancelled(self, handle: Any) -> None:
        """Its step finds that out."""

    @staticmethod
    def _call(future: "asyncio.Future[Any]", func: Any, args: Any) -> None:
        if not future.cancelled():
            try:
                future.set_result(func(*args))
            except Exception as error:  # noqa: BLE001  (whatever it is, it is the caller's)
                future.set_exception(error)

    def _run(self, handle: asyncio.Handle) -> None:
        if not handle.cancelled():
            self._enter(handle._run)

    def _enter(self, action: Callable[..., Any], *args: Any) -> None:
        before = events._get_running_loop()
        events._set_running_loop(self._asyncio)
        try:
            action(*args)
        finally:
            events._set_running_loop(before)
