"""A rule's condition as an analyst writes it, read into its tree: when it is written, and never in the request path.

The text is BigQuery's SQL: declared features, numbers, `AND OR NOT`, `= <> < <= > >=`, `IN`, `BETWEEN`, `IS [NOT] NULL`,
`+ - *` and `COALESCE(feature, number)`. Everything else is refused by name.
"""

from difflib import get_close_matches

import sqlglot
from sqlglot import exp

from shared.domain.errors import Rejected
from shared.fraud.expressions import Tree, compiled
from shared.fraud.features import NAMES

LONGEST = 4000
"""Characters: what is longer is no rule that anybody reads."""

_COMPARISONS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_ARITHMETIC: dict[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*"}


def parse(text: str) -> Tree:
    """The tree of the condition in `text`, in one form for all that is written differently and means the same tree.

    Raises Rejected, with a sentence for the analyst: SQL that is none, a name that nobody declares (and the nearest that
    somebody does), an operator that rules do not have, a number where a condition is asked.
    """
    if len(text) > LONGEST:
        raise _refused(f"a condition has at most {LONGEST} characters")
    try:
        # What the text is read into is checked part by part below; it is never run.
        parsed = sqlglot.parse(text, read="bigquery")
        if len(parsed) != 1 or parsed[0] is None:
            raise _refused("write one condition")
        tree = _tree(parsed[0])
        compiled(tree)
    except (sqlglot.errors.SqlglotError, RecursionError) as error:
        raise _refused(f"not SQL that can be read: {str(error).splitlines()[0][:200]}") from error
    except ValueError as error:
        raise _refused(str(error)) from error
    return tree


def _tree(node: exp.Expr) -> Tree:
    kind = type(node)
    if kind in _COMPARISONS:
        return [_COMPARISONS[kind], _tree(node.this), _tree(node.expression)]
    if kind in _ARITHMETIC:
        return _arithmetic(_ARITHMETIC[kind], _tree(node.this), _tree(node.expression))
    match node:
        case exp.Paren():
            return _tree(node.this)
        case exp.And() | exp.Or():
            name = "and" if isinstance(node, exp.And) else "or"
            return [name, *_flat(name, _tree(node.this)), *_flat(name, _tree(node.expression))]
        case exp.Not():
            return ["not", _tree(node.this)]
        case exp.Is() if isinstance(node.expression, exp.Null):
            return ["is null", _tree(node.this)]
        case exp.Between() if not node.args.get("symmetric"):
            of = _tree(node.this)
            return ["and", [">=", of, _tree(node.args["low"])], ["<=", of, _tree(node.args["high"])]]
        case exp.In() if node.expressions and not node.args.get("query") and not node.args.get("unnest"):
            return ["in", _tree(node.this), *map(_tree, node.expressions)]
        case exp.Coalesce() if len(node.expressions) == 1:
            return ["coalesce", _tree(node.this), _tree(node.expressions[0])]
        case exp.Neg() if isinstance(number := _tree(node.this), int | float) and not isinstance(number, bool):
            return -number
        case exp.Boolean():
            return bool(node.this)
        case exp.Literal() if node.is_string:
            raise ValueError(f"features are numbers, and '{node.this[:40]}' is a text")
        case exp.Literal():
            return _literal(node.this)
        case exp.Null():
            raise ValueError("write IS NULL or IS NOT NULL: nothing is equal to NULL")
        case exp.Column() if len(node.parts) == 1:
            return _feature(node.name)
    raise ValueError(f"rules do not know {_word(node)}")


def _arithmetic(name: str, left: Tree, right: Tree) -> Tree:
    if name == "*" and not isinstance(left, int | float):
        # One form for `amount * 3` and `3 * amount`.
        left, right = right, left
    return [name, left, right]


def _flat(name: str, tree: Tree) -> list[Tree]:
    return tree[1:] if isinstance(tree, list) and tree[0] == name else [tree]


def _literal(text: str) -> float:
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _feature(name: str) -> str:
    if name in NAMES:
        return name
    near = get_close_matches(name.lower(), NAMES, n=3, cutoff=0.5)
    raise ValueError(f"no feature is called {name[:60]}" + (f"; the nearest: {', '.join(near)}" if near else ""))


def _word(node: exp.Expr) -> str:
    return node.sql(dialect="bigquery")[:60] if isinstance(node, exp.Func | exp.Column) else type(node).__name__.upper()


def _refused(sentence: str) -> Rejected:
    return Rejected(sentence, reason="bad_rule")
