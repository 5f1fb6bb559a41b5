"""`Accumulate` on a document that is held in memory."""

from typing import Any

from shared.flows.ports import Accumulate, Document


def accumulated(document: Document, write: Accumulate) -> Document:
    """`document` after `write`. Where a path leads through what is no map, a map takes its place, as in Firestore."""
    new: Document = _copy(document)
    for path in write.drop:
        holder: Any = new
        for segment in path[:-1]:
            holder = holder.get(segment) if isinstance(holder, dict) else None
        if isinstance(holder, dict):
            holder.pop(path[-1], None)
    for path, number in write.add.items():
        holder, last = _holder(new, path)
        holder[last] = _number(holder.get(last), 0) + number
    for path, number in write.largest.items():
        holder, last = _holder(new, path)
        holder[last] = max(_number(holder.get(last), number), number)
    for path, number in write.smallest.items():
        holder, last = _holder(new, path)
        holder[last] = min(_number(holder.get(last), number), number)
    for path, value in write.put.items():
        holder, last = _holder(new, path)
        holder[last] = value
    return new


def _copy(value: Any) -> Any:
    """A copy of `value` whose maps are its own; the rest is never changed in place."""
    return {key: _copy(item) for key, item in value.items()} if isinstance(value, dict) else value


def _holder(document: Document, path: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    holder = document
    for segment in path[:-1]:
        inner = holder.get(segment)
        if not isinstance(inner, dict):
            inner = holder[segment] = {}
        holder = inner
    return holder, path[-1]


def _number(value: Any, otherwise: int) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else otherwise
