"""What is made at its first use, by one thread, once: clients connect then, and their libraries are imported then."""

from collections.abc import Callable
from threading import Lock
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


class Once(Generic[T]):
    """`once()` answers what `make` made; when `make` raises, the next call tries again."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = Lock()
        self._made: list[T] = []

    def __call__(self) -> T:
        if not self._made:
            with self._lock:
                if not self._made:
                    self._made.append(self._make())
        return self._made[0]


def deferred(make: Callable[[], T]) -> T:
    """Stands for what `make` will make at the first use of one of its methods."""
    return cast(T, _Deferred(Once(make)))


class _Deferred:
    def __init__(self, made: Once[Any]) -> None:
        self._made = made

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made(), name)
