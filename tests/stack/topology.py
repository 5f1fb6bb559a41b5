"""`functions/topology.json`, as the local stack reads it."""

from shared.runtime.topology import ROOT, TRIES, Subscription, dead_letters, pulled, pushed, read, stored, topics
from terraform.tools import vocabulary

__all__ = [
    "ROOT",
    "TRIES",
    "Subscription",
    "dead_letters",
    "environment",
    "function_of",
    "functions",
    "pulled",
    "pushed",
    "settings",
    "stored",
    "topics",
    "unheard_of",
]


def unheard_of() -> list[str]:
    """A sentence for each word of a filter that no message has: what it was to let pass reaches nobody, and nobody misses
    it."""
    return vocabulary.of_topology(read())


def functions() -> list[str]:
    """Those that serve systems; `tests.stack.console` serves people's."""
    return [name for name, declared in read()["functions"].items() if declared["trigger"] != "pages"]


def function_of(job: str) -> str:
    """Whose job it is: that of the function of its name, or one of several."""
    return next((name for name, one in read()["functions"].items() if job in one.get("schedules", ())), job)


def settings(function: str) -> list[str]:
    """The names of those that a function asks for."""
    found: list[str] = read()["functions"][function].get("settings", [])
    return found


def environment(function: str) -> dict[str, str]:
    """What is set for this function and not for others."""
    transport = read()["functions"][function].get("firestore")
    return {"PAYIN_FIRESTORE_TRANSPORT": transport} if transport else {}
