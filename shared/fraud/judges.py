"""Which models judge a payment: who decides, and who is asked beside."""

from dataclasses import dataclass
from hashlib import sha256

from shared.fraud.features import Attempt, Entity
from shared.fraud.model import Model


@dataclass(frozen=True, slots=True)
class Judges:
    """champion: decides; None: rules alone do. challenger: is asked beside it. share: of the customers, 0 to 1, those for
    whom the challenger decides and the champion is asked."""

    champion: Model | None
    challenger: Model | None = None
    share: float = 0.0

    def of(self, attempt: Attempt) -> tuple[Model | None, Model | None]:
        """Who decides on `attempt`, and who is asked beside."""
        if self.champion is None or self.challenger is None or not self._draws(self.challenger, attempt):
            return self.champion, self.challenger if self.champion else None
        return self.challenger, self.champion

    def _draws(self, challenger: Model, attempt: Attempt) -> bool:
        """Whether the canary has drawn whoever pays: by a hash, so that a repeat, the other door and the next payment of the
        same customer draw the same, and the next challenger draws others."""
        names = (attempt.entities.get(entity) for entity in (Entity.CUSTOMER, Entity.CARD, Entity.DEVICE))
        who = next((name for name in names if name), f"{attempt.event.provider}:{attempt.event.payment_id}")
        drawn = sha256(f"canary:{challenger.digest}:{who}".encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(drawn[:8]) / 2**64 < self.share
