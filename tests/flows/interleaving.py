"""Two pieces of work whose every step outside is taken in a chosen order: who is held between its read and its commit."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

from shared.flows.ports import Bus, Documents, Ports

PATIENCE = 30.0


def interleaved(ports: Ports, works: tuple[Callable[[Ports], object], Callable[[Ports], object]], order: str) -> None:
    """Run both works at once on `ports`. `order` says whose next step is taken, "a" or "b", until it is used up or its
    next one has ended; then whoever is left goes on alone, the first before the second. A step is a call of the
    documents or of the bus. What a work raises is raised here."""
    turns = _Turns(order)
    failures: list[BaseException] = []

    def run(name: str, work: Callable[[Ports], object]) -> None:
        held = replace(
            ports,
            documents=cast(Documents, _Held(ports.documents, turns, name)),
            bus=cast(Bus, _Held(ports.bus, turns, name)),
        )
        try:
            work(held)
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits for this thread
            failures.append(error)
        finally:
            turns.end(name)

    threads = [threading.Thread(target=run, args=pair) for pair in zip("ab", works, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    if failures:
        raise failures[0]


def orders(steps: int) -> Sequence[str]:
    """Each work held after each number of its first `steps` steps, while the other takes each number of its own."""
    holds = [(mine, others) for mine in range(steps + 1) for others in range(1, steps + 1)]
    return [one * mine + other * others + one * steps for one, other in ("ab", "ba") for mine, others in holds]


class _Turns:
    def __init__(self, order: str) -> None:
        self._order = list(order)
        self._alive = {"a", "b"}
        self._changed = threading.Condition()

    def take(self, name: str, step: Callable[[], Any]) -> Any:
        with self._changed:
            assert self._changed.wait_for(lambda: self._next() == name, PATIENCE)
            try:
                return step()
            finally:
                if self._order:
                    self._order.pop(0)
                self._changed.notify_all()

    def end(self, name: str) -> None:
        with self._changed:
            self._alive.discard(name)
            self._changed.notify_all()

    def _next(self) -> str:
        while self._order and self._order[0] not in self._alive:
            self._order.pop(0)
        return self._order[0] if self._order else min(self._alive)


class _Held:
    def __init__(self, inner: object, turns: _Turns, name: str) -> None:
        self._inner, self._turns, self._name = inner, turns, name

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._inner, name)
        return lambda *arguments: self._turns.take(self._name, lambda: method(*arguments))
