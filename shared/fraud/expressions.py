"""The condition of a rule as a tree: what it means here, with SQL's three-valued logic, and what it is called in BigQuery.

A tree is JSON. A text is a feature, a number is itself, `true` and `false` are themselves, and an array is an operator and
what it is applied to: `["and", [">=", "device_new_cards_1h", 4], [">=", "device_declined_1h", 2]]`. The operators are
those of `CONDITIONS` and `NUMBERS` and no others. `shared.fraud.parsing` makes trees of SQL when a rule is written; the
request path reads trees only.

A missing feature is NULL: what is compared with it is unknown, and a rule holds only where its condition is true.
"""

import operator
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

from shared.fraud.features import NAMES

Tree = Any
"""`str`, `int`, `float`, `bool`, or a sequence of an operator's name and trees. Checked by `compiled`."""

Values = Mapping[str, float | None]
Condition = Callable[[Values], bool | None]
Number = Callable[[Values], float | None]

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
CONDITIONS = (*COMPARISONS, "and", "or", "not", "is null", "in")
"""Operators that answer true, false or unknown."""

ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}
NUMBERS = (*ARITHMETIC, "coalesce")
"""Operators that answer a number or NULL. A product has a literal on its left, so that no rule leaves a float's range."""

LARGEST = 1e15
"""No literal is larger: there, every whole number of minor units is still exact."""

MOST_NODES = 200
DEEPEST = 16

_NAMES = frozenset(NAMES)


def compiled(tree: Tree, names: Set[str] = _NAMES) -> Condition:
    """The condition in `tree`, ready to be asked of vectors of the features `names`. Raises ValueError, in a sentence, for
    what is none."""
    _bounded(tree)
    condition = _condition(tree)
    if unknown := features_of(tree) - names:
        raise ValueError(f"no feature is called {min(unknown)}")
    return condition


def features_of(tree: Tree) -> frozenset[str]:
    """The features that the condition looks at."""
    match tree:
        case str():
            return frozenset([tree])
        case [str(), *parts]:
            return frozenset().union(*map(features_of, parts))
        case _:
            return frozenset()


def sql_of(tree: Tree, column: Callable[[str], str] = str) -> str:
    """The condition in BigQuery's SQL. column: how the query calls a feature; by its name, unless told otherwise.

    The tree must be one that `compiled` takes.
    """
    match tree:
        case bool():
            return "TRUE" if tree else "FALSE"
        case int() | float():
            return _literal(tree)
        case str():
            return column(tree)
        case ["not", part]:
            return f"NOT ({sql_of(part, column)})"
        case ["is null", part]:
            return f"({sql_of(part, column)}) IS NULL"
        case ["in", number, *among]:
            return f"({sql_of(number, column)}) IN ({', '.join(map(_literal, among))})"
        case ["coalesce", number, otherwise]:
            return f"COALESCE({sql_of(number, column)}, {sql_of(otherwise, column)})"
        case [str() as name, *parts]:
            return f" {name.upper()} ".join(f"({sql_of(part, column)})" for part in parts)
    raise ValueError(f"not a condition: {tree!r}")


def _literal(number: float) -> str:
    """A number as a FLOAT64 in every dialect: plain decimals would be exact decimals in some, and sum up differently, and
    a product of whole numbers would leave the range of INT64, which ends the whole query."""
    text = repr(float(number))
    return text if "e" in text else f"{text}e0"


def _bounded(tree: Tree, depth: int = 1) -> int:
    """How many nodes `tree` has. Raises ValueError when it is larger or deeper than a rule has reason to be."""
    if depth > DEEPEST:
        raise ValueError(f"the condition is nested more than {DEEPEST} deep")
    parts = tree[1:] if isinstance(tree, list | tuple) else ()
    nodes = 1 + sum(_bounded(part, depth + 1) for part in parts)
    if nodes > MOST_NODES:
        raise ValueError(f"the condition has more than {MOST_NODES} parts: make two rules of it")
    return nodes


def _condition(tree: Tree) -> Condition:
    match tree:
        case bool():
            return lambda _: tree
        case ["and" | "or" as name, _, _, *_]:
            return _joined([_condition(part) for part in tree[1:]], decisive=name == "or")
        case ["not", part]:
            negated = _condition(part)
            return lambda values: None if (held := negated(values)) is None else not held
        case ["is null", part]:
            number = _number(part)
            return lambda values: number(values) is None
        case ["in", part, _, *_]:
            number, among = _number(part), frozenset(_constant(one) for one in tree[2:])
            return lambda values: None if (value := number(values)) is None else value in among
        case [str() as name, left, right] if name in COMPARISONS:
            return _comparison(COMPARISONS[name], left, right)
        case str():
            raise ValueError(f"{tree} is a number where a condition is asked: compare it with something")
    raise ValueError(f"not a condition: {_shown(tree)}")


def _joined(parts: Sequence[Condition], *, decisive: bool) -> Condition:
    """OR is decided by the first that is true, AND by the first that is false; else what is unknown makes it unknown."""

    def joined(values: Values) -> bool | None:
        answer: bool | None = not decisive
        for part in parts:
            held = part(values)
            if held is decisive:
                return decisive
            if held is None:
                answer = None
        return answer

    return joined


def _comparison(compare: Callable[[float, float], bool], left: Tree, right: Tree) -> Condition:
    if isinstance(left, str) and left in _NAMES and not isinstance(right, str | list | tuple):
        # Nearly every comparison is a feature with a literal, and it is worth its own line in the request path.
        name, bound = left, _constant(right)
        return lambda values: None if (value := values[name]) is None else compare(value, bound)
    one, other = _number(left), _number(right)

    def comparison(values: Values) -> bool | None:
        first, second = one(values), other(values)
        return None if first is None or second is None else compare(first, second)

    return comparison


def _number(tree: Tree) -> Number:
    match tree:
        case str():
            return lambda values: values[tree]
        case int() | float() if not isinstance(tree, bool):
            constant = _constant(tree)
            return lambda _: constant
        case ["coalesce", part, otherwise]:
            number, constant = _number(part), _constant(otherwise)
            return lambda values: constant if (value := number(values)) is None else value
        case [str() as name, left, right] if name in ARITHMETIC:
            if name == "*" and not isinstance(left, int | float):
                raise ValueError("a product is of a literal and something: 3 * amount")
            return _arithmetic(ARITHMETIC[name], _number(left), _number(right))
    raise ValueError(f"not a number: {_shown(tree)}")


def _arithmetic(apply: Callable[[float, float], float], left: Number, right: Number) -> Number:
    def arithmetic(values: Values) -> float | None:
        first, second = left(values), right(values)
        return None if first is None or second is None else apply(first, second)

    return arithmetic


def _constant(tree: Tree) -> float:
    if isinstance(tree, bool) or not isinstance(tree, int | float) or not abs(tree) <= LARGEST:
        raise ValueError(f"not a number between -1e15 and 1e15: {_shown(tree)}")
    return float(tree)


def _shown(tree: Tree) -> str:
    return repr(tree)[:80]
