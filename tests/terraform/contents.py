"""What the code needs of its infrastructure, and what a plan contains, in the same words: so that they can be compared."""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from shared import settings
from shared.flows.ports import LISTED_BY
from shared.operations.parking import SET_ASIDE  # of people's tools, which are no function
from terraform.tools import bundle, policy

# The framework's, not read by our settings.
OF_THE_PLATFORM = {"LOG_EXECUTION_ID"}
# Set by Cloud Run itself, and the local backend's own.
NOT_DEPLOYED = {"K_SERVICE", "K_REVISION", "GCE_METADATA_HOST", "PAYIN_HOME", "PAYIN_DATABASE_URL"}
# Secrets that are no provider's.
PSEUDONYMS, CONSOLE_KEY = "PAYIN_PSEUDONYM_KEYS", "PAYIN_CONSOLE_KEY"
OF_OURS = frozenset({PSEUDONYMS, CONSOLE_KEY})
TICKS = "ticks"
TAKEN = "TOPIC"
"""What a contract calls the topic that others publish to."""
TABLES = Path("shared/learning/sql/tables")
# Where topics, collections and ports are spoken of; the backends below only carry them out.
QUERIES = ("due", "find", "listed")
# What could read any secret, for whoever asks.
OFFERING = ("shared.settings", "shared.runtime.app")
# What pages only rehearse, on a bus that reaches no topic (shared.operations.rehearsal).
REHEARSED = frozenset({"console/fraud-decisions"})
SAYING = ("shared.flows.", "shared.runtime.", "shared.learning.", "shared.operations.", "shared.console.")


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Everything as a set of words. publishes: `function/topic`. due: `collection/field`, what is asked for by range and
    order (for Terraform, everything that is indexed or expires). needs: `function/part:access`. secrets: `function/variable`.
    columns: `table.column TYPE MODE`, nested ones with a further dot."""

    functions: frozenset[str]
    topics: frozenset[str]
    publishes: frozenset[str]
    jobs: frozenset[str]
    collections: frozenset[str]
    due: frozenset[str]
    needs: frozenset[str]
    environment: frozenset[str]
    secrets: frozenset[str]
    tables: frozenset[str]
    columns: frozenset[str]


def differences(code: Contents, plan: Contents) -> list[str]:
    """A sentence for each thing that only one of them has."""
    found = []
    for part in fields(Contents):
        wanted, there = getattr(code, part.name), getattr(plan, part.name)
        found += [f"{part.name}: the code has {one}, Terraform has not" for one in sorted(wanted - there)]
        found += [f"{part.name}: Terraform has {one}, the code has not" for one in sorted(there - wanted)]
    return found


# From the code.


def of_code(root: Path) -> Contents:
    """Read from the sources under `root`; `bundle.ROOT` must be the same."""
    functions = frozenset(bundle.functions())
    publishes: set[str] = set()
    needs: set[str] = set()
    collections: set[str] = set()
    due: set[str] = set()
    jobs: set[str] = set()
    taken: set[str] = set()
    secrets: set[str] = set()
    for function in functions:
        modules = {
            path.removesuffix(".py").replace("/", ".").removesuffix(".__init__"): _parsed(data)
            for path, data in bundle.files(function).items()
            if path.endswith(".py")
        }
        constants = {name: _constants(tree) for name, tree in modules.items()}
        taken |= {own[TAKEN] for name, own in constants.items() if name.startswith("shared.runtime.") and TAKEN in own}
        access: dict[str, str] = {}
        reached = _reached(modules)
        secrets |= {f"{function}/{one}" for one in _secrets(root, function, reached)}
        for name, body in reached.items():
            if name != "main" and not name.startswith(SAYING):
                continue
            known = _Known(name, modules[name], body, constants)
            publishes |= {f"{function}/{topic}" for topic in known.first_of("Message")} - REHEARSED
            collections |= set(known.first_of("Key"))
            due |= {f"{one}/{field}" for one, field in known.due()}
            due |= {f"{one}/{field} expires" for one, field in known.expires()}
            jobs |= {*known.first_of("on_tick"), *known.first_of("on_dated_tick"), *known.first_of("Job")}
            for part, kind in known.needs():
                access[part] = max(access.get(part, ""), kind)  # "write" is above "read"
        needs |= {f"{function}/{part}:{kind}" for part, kind in access.items()}
    tables = {path.stem: json.loads(path.read_text()) for path in (root / TABLES).glob("*.json")}
    return Contents(
        functions=functions,
        topics=frozenset({one.split("/")[1] for one in publishes} | taken | ({TICKS} if jobs else set()) | {SET_ASIDE}),
        publishes=frozenset(publishes),
        jobs=frozenset(jobs),
        collections=frozenset(collections),
        due=frozenset(due),
        needs=frozenset(needs),
        environment=frozenset(
            name for name in _environment(root) - NOT_DEPLOYED - OF_OURS if not settings._LOCAL_ONLY.fullmatch(name)
        ),
        secrets=frozenset(secrets),
        tables=frozenset(tables),
        columns=frozenset(one for table, columns in tables.items() for one in _columns(table, columns)),
    )


def _reached(modules: Mapping[str, ast.Module]) -> dict[str, list[ast.stmt]]:
    """The statements that a function can come to: those of `main`, and every definition that they name, on and on.
    A module that is imported for one definition brings that one, and not its neighbours."""
    reached: dict[str, list[ast.stmt]] = {"main": modules["main"].body}
    waiting = [("main", statement) for statement in modules["main"].body]
    seen: set[tuple[str, str]] = set()
    definitions = {name: _definitions(tree) for name, tree in modules.items()}
    while waiting:
        module, statement = waiting.pop()
        for target in _named(statement, module, modules[module]):
            if target in seen or target[1] not in definitions.get(target[0], {}):
                continue
            seen.add(target)
            for found in definitions[target[0]][target[1]]:
                reached.setdefault(target[0], []).append(found)
                waiting.append((target[0], found))
    return reached


@cache
def _within(statement: ast.stmt) -> tuple[ast.AST, ...]:
    """It, and all that it is made of."""
    return tuple(ast.walk(statement))


@cache
def _calls(statement: ast.stmt) -> tuple[ast.Call, ...]:
    return tuple(node for node in _within(statement) if isinstance(node, ast.Call))


@cache
def _named(statement: ast.stmt, module: str, tree: ast.Module) -> frozenset[tuple[str, str]]:
    """Module and name of everything that `statement` of `tree` names."""
    imported = _imported(tree)
    named: set[tuple[str, str]] = set()
    for node in _within(statement):
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in imported:
                named.add((".".join(imported[name]), attribute))
            case ast.Name(id=name):
                named.add(imported.get(name, (module, name)))
            case ast.ImportFrom(module=str(source), names=names):
                # Inside a definition: imported where it is used.
                named |= {(source, alias.name) for alias in names}
    return frozenset(named) if not isinstance(statement, ast.ImportFrom) else frozenset()


@cache
def _imported(tree: ast.Module) -> dict[str, tuple[str, str]]:
    return {
        alias.asname or alias.name: (node.module or "", alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


@cache
def _definitions(tree: ast.Module) -> dict[str, list[ast.stmt]]:
    found: dict[str, list[ast.stmt]] = {}
    for statement in tree.body:
        match statement:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found.setdefault(name, []).append(statement)
            case ast.Assign(targets=targets):
                for target in targets:
                    found.setdefault(_name_of(target), []).append(statement)
            case ast.AnnAssign(target=target):
                found.setdefault(_name_of(target), []).append(statement)
    return found


@cache
def _parsed(source: bytes) -> ast.Module:
    return ast.parse(source)


@cache
def _constants(tree: ast.Module) -> dict[str, str]:
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


class _Known:
    """A module whose names for texts are resolved, also those of other modules."""

    def __init__(
        self, name: str, tree: ast.Module, body: list[ast.stmt], constants: Mapping[str, Mapping[str, str]]
    ) -> None:
        self._name = name
        self._body = body
        self._nodes = [node for statement in body for node in _within(statement)]
        self._constants = constants
        self._imported = _imported(tree)

    def text(self, node: ast.expr) -> str | None:
        match node:
            case ast.Constant(value=str(value)):
                return value
            case ast.Name(id=name) if name in self._constants.get(self._name, {}):
                return self._constants[self._name][name]
            case ast.Name(id=name) if name in self._imported:
                module, original = self._imported[name]
                return self._constants.get(module, {}).get(original)
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in self._imported:
                return self._constants.get(".".join(self._imported[name]), {}).get(attribute)
            case _:
                return None

    def first_of(self, called: str) -> Iterator[str]:
        """The text given first to every call of `called`; where it is a variable, every text in the function around."""
        for scope in self._body:
            for node in _calls(scope):
                if not node.args or _name_of(node.func) != called:
                    continue
                told = self.text(node.args[0])
                if told is not None:
                    yield told
                elif isinstance(node.args[0], ast.Name):
                    listed = [
                        one for outer in _within(scope) if isinstance(outer, ast.Tuple | ast.List) for one in outer.elts
                    ]
                    found = [text for one in listed if (text := self.text(one)) is not None]
                    assert found, f"{self._name}:{node.lineno}: which {called} this makes cannot be read"
                    yield from found

    def due(self) -> Iterator[tuple[str, str]]:
        """Collection and field of every query of documents. Documents that hand a query on to others make none."""
        handed_on = {
            id(inner)
            for outer in self._nodes
            if isinstance(outer, ast.FunctionDef) and outer.name in QUERIES
            for inner in ast.walk(outer)
        }
        for node in self._nodes:
            if id(node) in handed_on:
                continue
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in QUERIES:
                collection, field = (self.text(one) for one in node.args[:2])
                if collection is None or field is None:
                    raise AssertionError(f"{self._name}:{node.lineno}: which query this is cannot be read")
                yield collection, field
                if node.func.attr == "listed":
                    yield from ((collection, f"{text}+{field}") for text in LISTED_BY[field])

    def expires(self) -> Iterator[tuple[str, str]]:
        """What the module's EXPIRES says: the field of each collection by which its documents go."""
        for node in self._body:
            if isinstance(node, ast.Assign) and [_name_of(target) for target in node.targets] == ["EXPIRES"]:
                yield from ast.literal_eval(node.value).items()

    def needs(self) -> Iterator[tuple[str, str]]:
        """Parts of the ports that are used, and whether to write."""
        calls = {
            _name_of(node.func)
            for node in self._nodes
            if isinstance(node, ast.Call)
            # A list has an `append` too.
            and not (
                isinstance(node.func, ast.Attribute)
                and node.func.attr == "append"
                and _name_of(node.func.value) != "warehouse"
            )
        }
        writes = {
            "documents": {"change", "commit"},
            "models": {"store"},
            "evidence": {"store"},
            "warehouse": {"append", "blank", "derive"},
        }
        for node in self._nodes:
            if isinstance(node, ast.Attribute) and node.attr in writes and _name_of(node.value) == "ports":
                yield node.attr, "write" if writes[node.attr] & calls else "read"


def _name_of(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _secrets(root: Path, function: str, reached: Mapping[str, list[ast.stmt]]) -> Iterator[str]:
    """What a function reads by what it can come to: the keys of the providers whose objects it reads back, whose disputes it
    answers or whose lists it reads, where that is not done with our own identity; the word of each webhook; and our keys for what is published."""
    asking = [one for module, body in reached.items() if module not in OFFERING for one in body]
    named = {_name_of(node.func) for one in asking for node in _calls(one)}
    if {"keyring", "pseudonymous_bus"} & named:
        yield PSEUDONYMS
    if "admission" in named:
        yield CONSOLE_KEY
    folder = root / "shared" / "providers"
    if function in bundle.BY_PROVIDER:
        yield from (f"WEBHOOK_{file.parent.name.upper()}" for file in folder.glob("*/webhook.py"))
    # Whoever lists reads the objects that it has listed, and no other.
    loads = {"api": "load_api", "answer": "load_answer", "endpoint": "load_endpoint", "payouts": "load_payouts"}
    loads = {"listing": "load_listing"} if "load_listing" in named else loads
    parts = [part for part, load in loads.items() if load in named]
    for part in parts if "Apis" in named else ():
        for file in folder.glob(f"*/{part}.py"):
            if file.parent.name != "kit" and not _by_our_identity(file):
                yield f"API_{file.parent.name.upper()}"


def _by_our_identity(file: Path) -> bool:
    if b"API_SCOPE as API_SCOPE" in file.read_bytes():
        return True
    body = _parsed(file.read_bytes()).body
    return "API_SCOPE" in {_name_of(one) for told in body if isinstance(told, ast.Assign) for one in told.targets}


def _environment(root: Path) -> set[str]:
    """Variables read in settings.py: texts in capitals given to a call that has the environment."""
    tree = ast.parse((root / "shared" / "settings.py").read_text())
    return {
        one.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and "environment"
        in {
            _name_of(each)
            for each in (node.func.value if isinstance(node.func, ast.Attribute) else node.func, *node.args)
        }
        for one in node.args
        if isinstance(one, ast.Constant) and isinstance(one.value, str) and re.fullmatch(r"[A-Z][A-Z_]+", one.value)
    }


def _columns(table: str, columns: list[dict[str, Any]]) -> Iterator[str]:
    for column in columns:
        name = f"{table}.{column['name']}"
        yield f"{name} {column['type']} {column.get('mode', 'NULLABLE')}"
        yield from _columns(name, column.get("fields", []))


# From a plan.


def of_plan(plan: Mapping[str, Any]) -> Contents:
    """Read from `terraform show -json` of a plan."""
    world = policy.world(plan, prod=False)

    def keys(kind: str, name: str) -> list[str]:
        """The keys of `for_each`, in order."""
        pattern = re.compile(rf'{kind}\.{name}\["(.*)"\]')
        found = [match[1] for one in world.of(kind) if (match := pattern.fullmatch(one.address))]
        # A job has what its function has, which terraform/tests/access.tftest.hcl holds it to.
        return [key for key in found if not key.endswith("-job")]

    def source(key: str) -> str:
        """The function whose code a deployment runs."""
        return re.sub(r"^webhook-\w+", "webhook", key)

    deployed = world.of("google_cloudfunctions2_function")
    services = [one.block("service_config") for one in deployed]
    needs = {f"{source(key)}/documents:write" for key in keys("google_project_iam_member", "documents")}
    for key in keys("google_bigquery_dataset_iam_member", "warehouse"):
        [member] = [one for one in world.of("google_bigquery_dataset_iam_member") if one.address.endswith(f'["{key}"]')]
        access = "write" if member.values["role"] == "roles/bigquery.dataEditor" else "read"
        needs |= {f"{source(key)}/warehouse:{access}"}
    for bucket in ("models", "evidence"):
        writers = keys("google_storage_bucket_iam_member", f"{bucket}_write")
        needs |= {
            f"{source(key)}/{bucket}:{'write' if key in writers else 'read'}"
            for key in keys("google_storage_bucket_iam_member", f"{bucket}_read")
        }
    tables = {
        one.values["table_id"]: json.loads(one.values["schema"])
        for one in world.of("google_bigquery_table")
        if not one.values.get("view")
    }
    return Contents(
        functions=frozenset(one.block("build_config")["entry_point"] for one in deployed),
        # `payment-events/stripe` is a provider's own part of a topic.
        topics=frozenset(key.split("/")[0] for key in keys("google_pubsub_topic", "topic")),
        publishes=frozenset(
            source(key) if "/" not in key else f"{source(key.split('/')[0])}/{key.split('/')[1]}"
            for key in keys("google_pubsub_topic_iam_member", "publisher")
        ),
        jobs=frozenset(
            one.block("pubsub_target")["attributes"]["job"] for one in world.of("google_cloud_scheduler_job")
        ),
        collections=frozenset(
            one.values["collection"]
            for one in world.of("google_firestore_field")
            if one.values["field"] == "*" and not _indexes(one)
        ),
        due=frozenset(_indexed(world)),
        needs=frozenset(needs),
        environment=frozenset(name for service in services for name in service["environment_variables"])
        - OF_THE_PLATFORM,
        secrets=frozenset(
            f"{one.block('build_config')['entry_point']}/{secret['key']}"
            for one in deployed
            for secret in one.block("service_config").get("secret_environment_variables") or ()
        ),
        tables=frozenset(tables),
        columns=frozenset(one for table, columns in tables.items() for one in _columns(table, columns)),
    )


def _indexes(field: policy.Resource) -> list[Mapping[str, Any]]:
    indexes: list[Mapping[str, Any]] = field.block("index_config").get("indexes") or []
    return indexes


def _indexed(world: policy.World) -> Iterator[str]:
    """Ascending within the collection is what `due` and `find` ask for and needs no further word; whatever else there is, is told."""
    for one in world.of("google_firestore_field"):
        name = f"{one.values['collection']}/{one.values['field']}"
        for index in _indexes(one):
            kind = index.get("array_config") or index.get("order"), index.get("query_scope")
            yield name if kind == ("ASCENDING", "COLLECTION") else f"{name} {' '.join(map(str, kind))}"
        if one.values.get("ttl_config"):
            yield f"{name} expires"
    for one in world.of("google_firestore_index"):
        yield f"{one.values['collection']}/{'+'.join(field['field_path'] for field in one.values['fields'])}"
