"""A process that dies at a chosen step: ports that count every call to the outside, and SIGKILL after the n-th."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from shared.flows.ports import Bus, Documents, Models, Ports, Warehouse


@dataclass
class Steps:
    """Counts calls that came back; after the one numbered `kill_after` this very process is gone, uncleaned."""

    kill_after: int | None = None
    taken: int = 0

    def take(self) -> None:
        self.taken += 1
        if self.taken == self.kill_after:
            os.kill(os.getpid(), signal.SIGKILL)


def stepping(ports: Ports, steps: Steps) -> Ports:
    """`ports`, each of whose calls is a step."""
    return Ports(
        documents=cast(Documents, _Stepping(ports.documents, steps)),
        bus=cast(Bus, _Stepping(ports.bus, steps)),
        models=cast(Models, _Stepping(ports.models, steps)),
        warehouse=cast(Warehouse, _Stepping(ports.warehouse, steps)),
        evidence=cast(Models, _Stepping(ports.evidence, steps)),
    )


class _Stepping:
    def __init__(self, inner: object, steps: Steps) -> None:
        self._inner = inner
        self._steps = steps

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._inner, name)

        def call(*arguments: Any, **named: Any) -> Any:
            answer = method(*arguments, **named)
            self._steps.take()
            return answer

        return call
