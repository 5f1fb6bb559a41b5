"""What it takes to know that a key of pseudonyms is gone by which somebody is listed."""

from shared.domain.decisions import Action
from shared.domain.pseudonyms import MAIL, Keyring, unkeyed
from shared.flows.entries_by_key import named_entries, watch_entries
from shared.flows.listing import list_entity
from shared.flows.ports import Documents, Ports, Snapshot
from shared.fraud.lists import Entry
from tests.builders import DAY, HOUR, NOON
from tests.flows.counting import Counting

BOTH = Keyring({"1": b"a" * 32, "2": b"b" * 32}, "2")
SECOND = Keyring({"2": b"b" * 32}, "2")


class Scanned(Counting):
    def __init__(self, inner: Documents) -> None:
        super().__init__(inner)
        self._scanned = inner

    def scan(self, collection: str, limit: int, after: str = "") -> list[Snapshot]:
        found = self._scanned.scan(collection, limit, after)
        self.documents += max(len(found), 1)
        return found


def looked_at(ports: Ports, keyring: Keyring) -> int:
    counting = Scanned(ports.documents)
    watch_entries(counting, keyring, NOON + HOUR)
    return counting.documents


def test_what_goes_by_a_key_that_is_held_is_passed_over(ports: Ports) -> None:
    assert looked_at(ports, BOTH) == 1 + 4
    for number in range(20):
        marked = unkeyed(MAIL, f"{number}@music.example")
        for name in BOTH.every(marked):
            said = Entry(
                action=Action.BLOCK, kind="customer", value=name, until=NOON + DAY, owner="risk", reason="a mule"
            )
            list_entity(ports, said, NOON, author="ana")
    # The book, the first by each key, and that there is no other, of each of the four kinds of names.
    assert looked_at(ports, BOTH) == 1 + 2 + 4
    assert looked_at(ports, SECOND) <= 1 + 40 + 2 + 4
    assert [one.holds for one in named_entries(ports.documents, SECOND, NOON)] == [False] * 20 + [True] * 20
