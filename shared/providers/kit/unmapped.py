"""What a provider sent that its adapter does not know: paths of fields and words of closed lists, never a value.

A provider adds a field or a status without a word to anybody. `unmapped` compares an authentic delivery with what is
known of the provider's messages, so that such a change is seen on its first day, whether or not it did harm.

A provider's `shape.json` is what is known, by name alone: "shape" is the message, and each name with a capital is an
object that occurs in several places. An object is `{"": "names of plain members", "<member>": its own shape, …}`; a
name ending in `*` stands for all that begin so. The shape of a member is an object, the name of one, or `*` for one
whose keys are the merchant's; member `*` is that of every other key. `{"?": "<member>", "of": {…}}` is one shape for
each value of that member. Arrays are as what is in them. "words" adds documented words to an adapter's own tables,
and "ignored" the documented types that nothing of ours follows (again, `*` for all that begin so).
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from shared.domain.delivery import Delivery
from shared.domain.errors import Unreadable
from shared.domain.privacy import holds_personal
from shared.providers.kit.protocol import Normalized, Provider

MOST = 50
_NAME = re.compile(r"[A-Za-z_$@][A-Za-z0-9_.$-]{0,63}", flags=re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9_.:-]{1,64}", flags=re.ASCII)


class Shape:
    """What is known of one object or closed list of words. `fields`: None for a plain member."""

    __slots__ = ("anything", "by", "fields", "prefixes", "rest", "variants", "words")

    def __init__(self) -> None:
        self.fields: dict[str, Shape | None] = {}
        self.prefixes: tuple[str, ...] = ()
        self.rest: Shape | None = None
        self.by = ""
        self.variants: dict[str, Shape] = {}
        self.words: frozenset[str] = frozenset()
        self.anything = False


def unmapped(provider: Provider, delivery: Delivery, normalized: Normalized) -> tuple[str, ...]:
    """`path` of each field and `path=word` of each word that is not known, at most `MOST`, sorted.

    `[]` stands for an array, `*` for a key, word or content that could be personal or the merchant's own.
    A type that nothing follows is `type=word` where it is not even documented; what is in it is not looked at.
    """
    known = _known(provider)
    found = {f"type={_word(kind)}" for kind in normalized.ignored if not _documented(kind, known.types)}
    if normalized.events or normalized.unreadable:
        try:
            _compare(provider.opened(delivery).value, known.shape, (), found)
        except Unreadable:
            found.add("*")  # nothing that could be compared: the delivery is unparsed as a whole
    return tuple(sorted(found)[:MOST])


def _documented(kind: str, types: tuple[str, ...]) -> bool:
    return kind in types or any(kind.startswith(one[:-1]) for one in types if one.endswith("*"))


def _compare(value: Mapping[str, Any], shape: Shape, above: tuple[str, ...], found: set[str]) -> None:
    if shape.by:
        variant = value.get(shape.by)
        chosen = shape.variants.get(variant) if type(variant) is str else None
        if chosen is None:
            found.add(f"{'.'.join((*above, shape.by))}={_word(variant)}")
            return
        shape = chosen
    fields = shape.fields
    for name, child in value.items():
        kind = type(child)
        if name in fields:
            expected = fields[name]
        elif shape.rest:
            name, expected = "*", shape.rest
        elif shape.prefixes and name.startswith(shape.prefixes):
            continue
        else:
            if len(found) < MOST:
                found.add(".".join((*above, _name(name))))
            continue
        if kind is dict:
            if expected is None or expected.words:
                if child:
                    found.add(".".join((*above, name, "*")))
            elif not expected.anything:
                _compare(child, expected, (*above, name), found)
        elif kind is list:
            if child and (expected is None or not expected.anything):
                _items(child, expected, (*above, f"{name}[]"), found)
        elif kind is str and expected is not None and expected.words:
            _check(child, expected.words, (*above, name), found)


def _items(items: list[Any], expected: Shape | None, above: tuple[str, ...], found: set[str]) -> None:
    for item in items:
        kind = type(item)
        if kind is dict:
            if expected is None or expected.words:
                found.add(".".join((*above, "*")))
            else:
                _compare(item, expected, above, found)
        elif kind is list:
            _items(item, expected, (*above[:-1], f"{above[-1]}[]"), found)
        elif kind is str and expected is not None and expected.words:
            _check(item, expected.words, above, found)


def _check(word: str, known: frozenset[str], above: tuple[str, ...], found: set[str]) -> None:
    word = word.strip()
    if word and word not in known and word.lower() not in known and len(found) < MOST:
        found.add(f"{'.'.join(above)}={_word(word)}")


def unmapped_words(value: Mapping[str, Any], known: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """`path=word` of each word of `value` at a path of `known` that is not among its words, as `unmapped` tells them.

    For objects that are read back: `[]` after a name in a path stands for each item of an array.
    """
    found: set[str] = set()
    for path, words in known.items():
        ours = frozenset(words)
        for word in _texts(value, path.replace("[]", "").split(".")):
            _check(word, ours, (path,), found)
    return tuple(sorted(found))


def _texts(value: Any, steps: list[str]) -> Iterator[str]:
    if type(value) is list:
        for item in value:
            yield from _texts(item, steps)
    elif type(value) is str and not steps:
        yield value
    elif type(value) is dict and steps:
        yield from _texts(value.get(steps[0]), steps[1:])


def _name(key: str) -> str:
    return key if _NAME.fullmatch(key) and not holds_personal(key) else "*"


def _word(word: object) -> str:
    return word if type(word) is str and _WORD.fullmatch(word) and not holds_personal(word) else "*"


# What is known


class _Known:
    """A provider's file and its adapter's words. Where several places have one object, they share its `Shape`."""

    def __init__(self, told: Mapping[str, Any], provider: Provider) -> None:
        self._told = told
        self._named: dict[str, Shape] = {}
        traits = provider.TRAITS
        # Of a type that we follow, one message or another may tell nothing that we do.
        followed = (*traits.payments, *traits.refunds, *traits.disputes, *traits.warnings)
        self.types = (*told.get("ignored", "").split(), *followed)
        self.shape = self._read(told["shape"])
        for path, known in provider.WORDS.items():
            self._learn(path, known)
        for path, known in told.get("words", {}).items():
            self._learn(path, known.split())

    def _read(self, told: Any) -> Shape:
        if isinstance(told, str) and told in self._named:
            return self._named[told]
        shape = Shape()
        if told == "*":
            shape.anything = True
        elif isinstance(told, str):
            self._named[told] = shape
            self._fill(shape, self._told[told])
        else:
            self._fill(shape, told)
        return shape

    def _fill(self, shape: Shape, told: Mapping[str, Any]) -> None:
        if "?" in told:
            shape.by = told["?"]
            shape.variants = {variant: self._read(inner) for variant, inner in told["of"].items()}
            return
        plain = told.get("", "").split()
        shape.fields = dict.fromkeys(name for name in plain if not name.endswith("*"))
        shape.prefixes = tuple(name[:-1] for name in plain if name.endswith("*"))
        for name, inner in told.items():
            if name == "*":
                shape.rest = self._read(inner)
            elif name:
                shape.fields[name] = self._read(inner)

    def _learn(self, path: str, words: Collection[str]) -> None:
        """The words at `path`, from the message or from the object whose name it begins with. KeyError: no such."""
        first, *steps = path.split(".")
        if first[0].isupper() and first in self._told:
            shape = self._read(first)
        else:
            shape, steps = self.shape, [first, *steps]
        for step in steps[:-1]:
            shape = shape.fields[step] or Shape()
        plain = shape.fields[steps[-1]]
        if plain is None:
            plain = shape.fields[steps[-1]] = Shape()
        plain.words |= frozenset(words)


_KNOWN: dict[str, _Known] = {}


def _known(provider: Provider) -> _Known:
    """Read when the first delivery needs it, so that a provider that is not served costs nothing."""
    found = _KNOWN.get(provider.NAME)
    if found is None:
        path = Path(__file__).parents[1] / provider.NAME / "shape.json"
        found = _KNOWN[provider.NAME] = _Known(json.loads(path.read_bytes()), provider)
    return found
