"""Where the processor's time of a running server goes: what each part of it takes, without the parts that it calls."""

import inspect
import threading
import time
from collections import defaultdict
from typing import Any


class Phases:
    """Of all threads together, by name. Waiting takes nothing: it is the processor's time of the thread that is counted."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._counting = threading.Lock()
        self._open = threading.local()

    def part(self, owner: Any, method: str, phase: str) -> None:
        """From now on what `owner` (a class or a module) does in `method` is counted for `phase`."""
        plain = inspect.getattr_static(owner, method)
        act = plain.__func__ if isinstance(plain, classmethod | staticmethod) else plain

        def counted(*arguments: Any, **named: Any) -> Any:
            above: list[float] = self._open.__dict__.setdefault("inner", [0.0])
            above.append(0.0)
            began = time.thread_time()
            try:
                return act(*arguments, **named)
            finally:
                took = time.thread_time() - began
                own = took - above.pop()
                above[-1] += took
                with self._counting:
                    self._seconds[phase] += own

        setattr(owner, method, type(plain)(counted) if act is not plain else counted)

    def told(self) -> dict[str, float]:
        """Seconds of each phase so far, and of the whole process under the empty name."""
        with self._counting:
            return {**self._seconds, "": time.process_time()}
