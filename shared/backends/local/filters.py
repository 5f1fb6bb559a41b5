"""Subscription filters: the part of Pub/Sub's filter language that our topology uses.

    attributes:k    attributes.k = "v"    hasPrefix(attributes.k, "v")    NOT x    x AND y    x OR y    (x)

As in Pub/Sub, NOT binds tightest, and AND and OR are mixed only with parentheses. Anything else is refused.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

from shared.domain.errors import Misconfigured

Matches = Callable[[Mapping[str, str]], bool]

_KEY = r"[A-Za-z_][A-Za-z0-9_-]*"
_TEXT = r'"((?:[^"\\]|\\.)*)"'
_ESCAPED = re.compile(r"\\(.)")
_TERMS = re.compile(
    rf"""\s*(?:
      hasPrefix\s*\(\s*attributes\.(?P<prefixed>{_KEY})\s*,\s*{_TEXT.replace("(", "(?P<prefix>", 1)}\s*\)
    | attributes\.(?P<equal>{_KEY})\s*=\s*{_TEXT.replace("(", "(?P<text>", 1)}
    | attributes:(?P<present>{_KEY})
    | (?P<word>AND\b|OR\b|NOT\b|\(|\))
    )""",
    re.VERBOSE,
)


@lru_cache(maxsize=256)
def compiled(text: str) -> Matches:
    """What decides whether a message with these attributes passes; the empty filter lets all pass. Raises Misconfigured."""
    if not text.strip():
        return lambda attributes: True
    tokens = _Tokens(text)
    matches = _any_or_all(tokens)
    if tokens.next is not None:
        raise tokens.refusal()
    return matches


def named(text: str) -> list[tuple[str, str | None]]:
    """Every attribute that the filter asks for, with the value it asks for: None where any will do, or a beginning."""
    compiled(text)
    return [
        (term["prefixed"] or term["equal"] or term["present"], _plain(term["text"]) if term["equal"] else None)
        for term in _read(text)
        if term["word"] is None
    ]


def _read(text: str) -> Iterator[re.Match[str]]:
    """Terms and words, one after the other. Raises Misconfigured where there is neither."""
    position = 0
    while text[position:].strip():
        found = _TERMS.match(text, position)
        if found is None:
            raise Misconfigured(f"not a subscription filter that we can read: {text}", reason="bad_filter")
        position = found.end()
        yield found


class _Tokens:
    """`next` is a term (something that matches), a word of the language, or None at the end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._read = self._tokens()
        self.next = next(self._read)

    def take(self) -> "Matches | str | None":
        taken, self.next = self.next, next(self._read, None)
        return taken

    def refusal(self) -> Misconfigured:
        return Misconfigured(f"not a subscription filter that we can read: {self._text}", reason="bad_filter")

    def _tokens(self) -> Iterator["Matches | str | None"]:
        for found in _read(self._text):
            yield found["word"] or _term(found)
        yield None


def _term(found: re.Match[str]) -> Matches:
    if (key := found["prefixed"]) is not None:
        prefix = _plain(found["prefix"])
        return lambda attributes: key in attributes and attributes[key].startswith(prefix)
    if (key := found["equal"]) is not None:
        text = _plain(found["text"])
        return lambda attributes: attributes.get(key) == text
    present = found["present"]
    return lambda attributes: present in attributes


def _plain(quoted: str) -> str:
    return _ESCAPED.sub(r"\1", quoted)


def _any_or_all(tokens: _Tokens) -> Matches:
    parts = [_one(tokens)]
    joined_by = tokens.next if tokens.next in ("AND", "OR") else None
    while joined_by is not None and tokens.next == joined_by:
        tokens.take()
        parts.append(_one(tokens))
    if tokens.next in ("AND", "OR"):
        raise tokens.refusal()
    combine = any if joined_by == "OR" else all
    return lambda attributes: combine(part(attributes) for part in parts)


def _one(tokens: _Tokens) -> Matches:
    match tokens.take():
        case "NOT":
            refused = _one(tokens)
            return lambda attributes: not refused(attributes)
        case "(":
            inner = _any_or_all(tokens)
            if tokens.take() != ")":
                raise tokens.refusal()
            return inner
        case None | str():
            raise tokens.refusal()
        case term:
            return term
