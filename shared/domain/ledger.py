"""Words of facts that a document no longer lists: lines of a text, and sums, so that few of the lines are read again.

What a ledger holds follows from the set of words in it and the set of words listed beside it, whatever came first. One more
word costs as much beside ten thousand as beside ten, unless something is strange, see `_is_strange`, or one reference is
told of hundreds of times.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from shared.domain.events import PaymentStep
from shared.domain.totals import Sums, Word, by_step, currency_of, loose, sums

# What a text of words may take of a document of 1 MiB (Firestore): some ten thousand words.
MOST_BYTES = 600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """text: a line for each different word, in order, and `lines` of them. sums: what they come to, but for the references
    `beside`, which listed facts name too. latest: when the latest word was told; currencies: of all amounts; priced: one
    of a total is among them; held_from, held_until: when references were authorized. strange: not all of it can be summed,
    so nothing is. incomplete: not all of it fits.
    """

    text: str = ""
    lines: int = 0
    sums: Sums = field(default_factory=Sums)
    beside: tuple[str, ...] = ()
    latest: int | None = None
    currencies: tuple[str, ...] = ()
    priced: bool | None = None
    held_from: int | None = None
    held_until: int | None = None
    strange: bool | None = None
    incomplete: bool | None = None


class Enough(NamedTuple):
    """`words` that tell, with `rest` (in `currency`), as much as all `known` words would."""

    words: list[Word]
    rest: Sums
    currency: str | None
    known: int


def folded(ledger: Ledger, left_out: Collection[Word], before: Iterable[Word], listed: Iterable[Word]) -> Ledger:
    """`ledger` with `left_out`, now that `listed` are the words of listed facts and no longer `before`.

    A line stays while those before it have less than MOST_BYTES. So the one that crosses the bound stays, and all that
    would follow it, sooner or later, is left out: in every order the same. From then on nothing is summed.
    """
    here, there = _references(listed), _references(before)
    text, new = _with_lines(ledger.text, left_out)
    end = text.find("\n", MOST_BYTES) + 1
    if ledger.incomplete or 0 < end < len(text):
        text = text[:end] if end else text
        return Ledger(text=text, lines=text.count("\n"), incomplete=True)
    after = replace(_with_news(ledger, new), text=text, lines=ledger.lines + len(new))
    if after.strange:
        return replace(after, sums=Sums(), beside=())
    total, beside = ledger.sums, set(ledger.beside)
    for word in new:
        if loose(word):
            total += sums(by_step([word]), word.currency)
    for reference in (here ^ there) | _references(left_out):
        if reference not in beside and (told := _words_of(ledger.text, reference)):
            total -= _sums_of(told)
        beside.discard(reference)
        if told := _words_of(text, reference):
            if reference in here:
                beside.add(reference)
            else:
                total += _sums_of(told)
    return replace(after, sums=total, beside=tuple(sorted(beside)))


def enough(ledger: Ledger | None, listed: Iterable[Word]) -> Enough:
    """What must be looked at to know what `ledger` and `listed` come to together."""
    listed = dict.fromkeys(listed)
    if ledger is None:
        return Enough(list(listed), Sums(), None, len(listed))
    rest = _rest(ledger, listed)
    if rest is None:
        words = unfolded(ledger, listed)
        return Enough(words, Sums(), None, len(words))
    for reference in ledger.beside:
        listed.update(dict.fromkeys(_words_of(ledger.text, reference)))
    known = sum(
        ledger.latest is None or word.at > ledger.latest or not _holds(ledger.text, _line(word)) for word in listed
    )
    currency = ledger.currencies[0] if ledger.priced else None
    return Enough(list(listed), rest, currency, ledger.lines + known)


def unfolded(ledger: Ledger, listed: Iterable[Word] = ()) -> list[Word]:
    """Every word, each once."""
    return list(dict.fromkeys([*map(_word, ledger.text.splitlines()), *listed]))


def _rest(ledger: Ledger, listed: Collection[Word]) -> Sums | None:
    """The sums of `ledger` as they stand beside `listed`; None where only all words together can tell."""
    currencies = {*ledger.currencies, *(word.currency for word in listed if word.currency)}
    if ledger.incomplete or ledger.strange or len(currencies) > 1 or any(map(_is_strange, listed)):
        return None
    whole = sums(by_step(listed), next(iter(currencies), None), ledger.sums.whole).whole
    if not whole or ledger.held_from is None or ledger.held_until is None or whole.at < ledger.held_from:
        return ledger.sums
    # A whole authorization tells anew what references held until then.
    return replace(ledger.sums, held=0) if whole.at >= ledger.held_until else None


def _with_news(ledger: Ledger, words: Collection[Word]) -> Ledger:
    """`ledger` with what is to be known of all its words together."""
    if not words:
        return ledger
    latest = max(word.at for word in words)
    held = [word.at for word in words if word.step is PaymentStep.AUTHORIZED and not loose(word)]
    held += [at for at in (ledger.held_from, ledger.held_until) if at is not None]
    currencies = tuple(sorted({*ledger.currencies, *(word.currency for word in words if word.currency)}))
    return replace(
        ledger,
        latest=latest if ledger.latest is None else max(latest, ledger.latest),
        currencies=currencies,
        priced=ledger.priced or currency_of(by_step(words))[0] is not None or None,
        held_from=min(held, default=None),
        held_until=max(held, default=None),
        strange=ledger.strange or any(map(_is_strange, words)) or len(currencies) > 1 or None,
    )


def _is_strange(word: Word) -> bool:
    """Whether what `word` means depends on words of other references: a step that others prove, an undoing of everything
    until then, an authorization given up, and a running capture, which a decline of its reference undoes."""
    return (
        word.unproved
        or (word.step in (PaymentStep.CAPTURE_FAILED, PaymentStep.REFUND_FAILED) and not word.reference)
        or word.step is PaymentStep.CANCELED
        or (word.step is PaymentStep.CAPTURED and word.running)
    )


def _references(words: Iterable[Word]) -> set[str]:
    return {word.reference for word in words if not loose(word)}


def _sums_of(words: Collection[Word]) -> Sums:
    """What `words`, all of one currency, come to."""
    return sums(by_step(words), next((word.currency for word in words if word.currency), None))


# Words as text: the lines of a reference stand together, those of running totals apart.


def _with_lines(text: str, words: Iterable[Word]) -> tuple[str, list[Word]]:
    """`text` with a line for each of `words`, and those that had none."""
    new = []
    for word in words:
        line = _line(word)
        if not _holds(text, line):
            place = _place(text, line)
            text = text[:place] + line + "\n" + text[place:]
            new.append(word)
    return text, new


def _words_of(text: str, reference: str) -> list[Word]:
    place, prefix, words = _place(text, f"{reference} "), f"{reference} ", []
    while text.startswith(prefix, place):
        end = text.index("\n", place)
        words.append(_word(text[place:end]))
        place = end + 1
    return words


def _holds(text: str, line: str) -> bool:
    return text.startswith(line + "\n", _place(text, line))


def _place(text: str, line: str) -> int:
    """Where in `text`, whose lines are in order, `line` is or belongs."""
    low, high = 0, len(text)
    while low < high:
        start = max(low, text.rfind("\n", low, (low + high) // 2) + 1)
        end = text.index("\n", start)
        if text[start:end] < line:
            low = end + 1
        else:
            high = start
    return low


def _line(word: Word) -> str:
    name = ("+" if word.running else "") + (word.reference or "-")
    minor = "-" if word.minor is None else word.minor
    return f"{name} {word.step.value}{'?' if word.unproved else ''} {word.at} {minor} {word.currency or '-'}"


def _word(line: str) -> Word:
    name, step, at, minor, currency = line.split(" ")
    reference = name.removeprefix("+")
    return Word(
        "" if reference == "-" else reference,
        _STEPS[step.rstrip("?")],
        int(at),
        None if minor == "-" else int(minor),
        None if currency == "-" else currency,
        name.startswith("+"),
        step.endswith("?"),
    )


_STEPS = {step.value: step for step in PaymentStep}
