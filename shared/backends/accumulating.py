"""`Accumulate` on a document that is held in memory."""

from typing import Any

from shared.flows.ports import Accumulate, Document


def accumulated(document: Document, write: Accumulate) -> Document:
    """`document` after `write`. Where a path leads through what is no map, a map takes its place, as in Firestore."""
    made = _Made(document)
    for path in write.drop:
        made.drop(path)
    for path, number in write.add.items():
        holder, last = made.holder(path)
        holder[last] = _number(holder.get(last), 0) + number
    for path, number in write.largest.items():
        holder, last = made.holder(path)
        holder[last] = max(_number(holder.get(last), number), number)
    for path, number in write.smallest.items():
        holder, last = made.holder(path)
        holder[last] = min(_number(holder.get(last), number), number)
    for path, value in write.put.items():
        holder, last = made.holder(path)
        holder[last] = value
    return made.document


class _Made:
    """A document that begins as another, which stays as it is: of its maps those that are changed are copied, once."""

    def __init__(self, document: Document) -> None:
        self.document = dict(document)
        self._own = {id(self.document)}

    def holder(self, path: tuple[str, ...]) -> tuple[dict[str, Any], str]:
        holder = self.document
        for segment in path[:-1]:
            holder = self._inner(holder, segment, holder.get(segment))
        return holder, path[-1]

    def drop(self, path: tuple[str, ...]) -> None:
        holder = self.document
        for segment in path[:-1]:
            inner = holder.get(segment)
            if not isinstance(inner, dict):
                return
            holder = self._inner(holder, segment, inner)
        holder.pop(path[-1], None)

    def _inner(self, holder: dict[str, Any], segment: str, inner: Any) -> dict[str, Any]:
        if id(inner) not in self._own:
            inner = holder[segment] = dict(inner) if isinstance(inner, dict) else {}
            self._own.add(id(inner))
        own: dict[str, Any] = inner
        return own


def _number(value: Any, otherwise: int) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else otherwise
