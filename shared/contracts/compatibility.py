"""Whether who goes by the released contract can go on by the present one.

What we send may grow: members that are new, words that are new, kinds that are new (each reader leaves out what it does
not know). What we take may become wider: nothing that was right becomes wrong, and nothing means something else.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.contracts.messages import Side

Schema = Mapping[str, Any]

_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_EXACT = ("format", "pattern", "contentEncoding", "multipleOf", "uniqueItems")


@dataclass(frozen=True, slots=True)
class _Node:
    """A schema, and the document in which its references lead somewhere."""

    schema: Schema
    root: Schema

    def at(self, schema: Any) -> "_Node":
        return _Node({} if schema is True else schema, self.root)

    def resolved(self) -> "_Node":
        node = self
        while "$ref" in node.schema:
            found: Any = self.root
            for step in node.schema["$ref"].removeprefix("#").strip("/").split("/"):
                found = found[step] if step else found
            node = self.at({**found, **{name: rest for name, rest in node.schema.items() if name != "$ref"}})
        return node

    def alternatives(self) -> "list[_Node]":
        """What it may be: one schema each, none of them a choice."""
        node = self.resolved()
        choices = node.schema.get("anyOf") or node.schema.get("oneOf")
        if choices:
            return [one for choice in choices for one in self.at(choice).alternatives()]
        types = node.schema.get("type")
        if isinstance(types, list):
            return [self.at({**node.schema, "type": one}) for one in types]
        return [node]

    def whole(self) -> bool:
        """Whether nothing of it stands elsewhere."""
        return '"$ref"' not in json.dumps(self.schema)

    def name(self) -> str:
        """By which an alternative is known in the other document."""
        properties = self.schema.get("properties", {})
        consts = [f"{name}={found['const']}" for name, found in properties.items() if "const" in found]
        if consts:
            return " ".join(consts)
        return str(self.schema.get("title") if properties else self.schema.get("type", "anything"))


def breaks(before: Schema, after: Schema, side: Side, root_before: Schema, root_after: Schema) -> list[str]:
    """A sentence for each thing in which `after` breaks the promise that `before` was, and what to do instead. The roots are
    the documents in which references of the two lead somewhere."""
    return list(dict.fromkeys(_Comparison(side).differences(_Node(before, root_before), _Node(after, root_after))))


class _Comparison:
    def __init__(self, side: Side) -> None:
        self._sent = side is Side.SENT
        self._seen: set[tuple[str, str]] = set()

    def differences(self, before: _Node, after: _Node, path: str = "") -> Iterator[str]:
        # What leads elsewhere may lead back here.
        texts = (json.dumps(before.schema, sort_keys=True), json.dumps(after.schema, sort_keys=True))
        if '"$ref"' in texts[0] and '"$ref"' in texts[1]:
            if texts in self._seen:
                return
            self._seen.add(texts)
        if not self._sent:
            yield from self._default(before.resolved().schema, after.resolved().schema, path)
        known, there = before.alternatives(), after.alternatives()
        if len(known) == len(there) == 1:
            yield from self._one(known[0], there[0], path)
            return
        # What is the same in both is no change, also where others of its type stand beside it.
        same = [one.schema for one in known if one.whole() and one.schema in [other.schema for other in there]]
        known, there = ([one for one in every if one.schema not in same] for every in (known, there))
        named = {one.name(): one for one in there}
        for one in known:
            other = named.pop(one.name(), None)
            if other is None:
                if self._sent and one.schema.get("type") == "null":
                    continue  # it is always told now, which harms no reader
                yield _said(path, f"can no longer be {one.name()}", "keep that beside what is new")
            else:
                yield from self._one(one, other, path)
        if self._sent:
            for name, one in named.items():
                if "properties" not in one.schema:
                    yield _said(
                        path, f"can now be {name}, which no reader expects", "tell it in a new member beside this one"
                    )

    def _one(self, before: _Node, after: _Node, path: str) -> Iterator[str]:
        told, tells = before.schema.get("type"), after.schema.get("type")
        if told != tells and (self._sent or not (tells is None or (told, tells) == ("integer", "number"))):
            yield _said(
                path,
                f"was {told or 'anything'}, and is {tells or 'anything'}",
                "tell it in a new member beside this one",
            )
            return
        yield from self._words(before.schema, after.schema, path)
        yield from self._bounds(before.schema, after.schema, path)
        yield from self._members(before, after, path)
        for name in ("items", "additionalProperties"):
            inner = f"{path}[]" if name == "items" else f"{path}.*"
            was, now = (one.schema.get(name) for one in (before, after))
            if isinstance(was, Mapping) and isinstance(now, Mapping):
                yield from self.differences(before.at(was), after.at(now), inner)
            elif not self._sent and now is not None and now is not True and was != now:
                yield _said(inner, "is no longer taken as it was", "take what was taken before")
            elif self._sent and isinstance(was, Mapping):
                yield _said(inner, "no longer says what it is made of", "keep what it was")

    def _words(self, before: Schema, after: Schema, path: str) -> Iterator[str]:
        known, there = _enumerated(before), _enumerated(after)
        if known is not None and there is not None:
            for word in known:
                if word not in there:
                    yield _said(path, f"no longer knows the word {word!r}", "keep it, and add the new one")
        elif known is not None and self._sent:
            yield _said(path, "no longer says which words it knows", "keep the words, and add those that are new")
        elif there is not None and not self._sent:
            yield _said(path, f"takes only {', '.join(map(repr, there))} now", "take what was taken before")

    def _bounds(self, before: Schema, after: Schema, path: str) -> Iterator[str]:
        wider, narrower = (after, before) if self._sent else (before, after)
        for names, sign in ((_LOWER, 1), (_UPPER, -1)):
            for name in names:
                # `narrower` has to hold whatever `wider` holds: what we send by what was promised, what was taken by what is.
                limit, other = narrower.get(name), wider.get(name)
                if limit is not None and (other is None or sign * other < sign * limit):
                    yield self._bound(path, name, before, after)
        for name in _EXACT:
            if narrower.get(name) is not None and narrower.get(name) != wider.get(name):
                yield self._bound(path, name, before, after)

    def _default(self, before: Schema, after: Schema, path: str) -> Iterator[str]:
        meant, means = before.get("default"), after.get("default")
        if "default" in before and meant != means:
            yield _said(path, f"means {means!r} where it is missing, and meant {meant!r}", "keep the default")

    def _bound(self, path: str, name: str, before: Schema, after: Schema) -> str:
        change = f"had {name} {before.get(name, 'none')}, and has {after.get(name, 'none')}"
        return _said(path, change, "keep what was promised" if self._sent else "take what was taken before")

    def _members(self, before: _Node, after: _Node, path: str) -> Iterator[str]:
        known, there = (one.schema.get("properties", {}) for one in (before, after))
        needed, needs = (set(one.schema.get("required", ())) for one in (before, after))
        for name, was in known.items():
            here = f"{path}.{name}"
            if name not in there:
                yield _said(here, "is gone", "keep it, and let it say what it always said")
                continue
            yield from self.differences(before.at(was), after.at(there[name]), here)
            if self._sent and name in needed - needs:
                yield _said(here, "is no longer on every message", "keep it required")
        if not self._sent:
            for name in sorted(needs - needed):
                yield _said(f"{path}.{name}", "is now required", "give it a default, for whoever does not tell it yet")


def _enumerated(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _said(path: str, what: str, instead: str) -> str:
    return f"{path.lstrip('.') or 'it'} {what}: {instead}"


Contract = tuple[Schema, Schema, Side]
"""A schema, the document that it is a part of, and whose it is."""


def of_topic(name: str, document: Schema, sides: tuple[Side, ...]) -> dict[str, Contract]:
    """What a topic's document promises."""
    return {f"{name}, {side.value}": (document, document, side) for side in sides}


def of_function(name: str, document: Schema) -> dict[str, Contract]:
    """What an OpenAPI document promises: what each path takes, and what it answers."""
    found: dict[str, Contract] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            told = f"{name}: {method.upper()} {path}"
            found[told] = ({}, document, Side.TAKEN)
            for schema in _schemas(operation.get("requestBody", {})):
                found[f"{told}, taken"] = (schema, document, Side.TAKEN)
            for schema in _schemas(operation["responses"]["200"]):
                found[f"{told}, answered"] = (schema, document, Side.SENT)
    return found


def _schemas(told: Schema) -> Iterator[Schema]:
    for media in told.get("content", {}).values():
        yield media["schema"]


def of_messages(document: Schema) -> dict[str, Contract]:
    """What an AsyncAPI document promises of the attributes of each message."""
    return {
        f"message {name}: attributes": (message["headers"], document, Side.SENT)
        for name, message in document["components"]["messages"].items()
    }


def broken(released: Mapping[str, Contract], present: Mapping[str, Contract]) -> list[str]:
    """A sentence for each promise in `released` that `present` breaks."""
    found = []
    for name, (before, root_before, side) in released.items():
        if name not in present:
            found.append(f"{name} is gone: keep it until nobody follows it")
            continue
        after, root_after, _ = present[name]
        found += [f"{name}: {sentence}" for sentence in breaks(before, after, side, root_before, root_after)]
    return found
