"""Whether a subscriber's newest payments could be defended by a network's own rule, of every subscriber, in the warehouse.

The rules are those of `shared.disputes.compelling`, and a property test holds them equal. Two tables are derived, day by day:

- `purchases`: of what was told on a day of a payment, a row: what the rules compare, as hashes that mean nothing but that two are
  equal, and whether money came and went. A night reads a year of it, and no year of events.
- `readiness`: as of a midnight, of each subscriber and network through which they paid, whether its rule would be met if their
  newest payment were called fraud, how many earlier payments can be used, what is alike (as one text, `ip, device, login`),
  otherwise the first reason why not in the rule's words, and of which kinds the earlier payments through that network are that cannot be used.

`subscriber` is FARM_FINGERPRINT of the customer's id, or of their address's pseudonym where no provider gives an id.

What `compelling` says of stored payments differs, by nature, in this:

- Of words of money it is kept whether there were such, and not which: whatever was given back once counts as given back,
  also where the refund failed; a capture that failed takes the whole payment away, until a later day's or word's capture; a capture
  of nothing is none, a running total that falls has not fallen, and amounts in two currencies are not told apart.
- What a payment was made with is, of one day, what the best witness of each member told; of two words at one instant either counts.
- An address of IPv6 is the same where its text is, and public within 2000::/3 (what is handed out today).
- A payment is among the earlier ones for LOOKED days, those through other networks never are. A subscriber whose newest payment is older has no flag.
- What is heard more than a month late is not heard; of two newest payments at one instant either counts as the newest.
- Whose dispute it is, is what `dispute_updates` told last: a dispute that came before its payment counts from its next word on.

Most of these make a flag say no where the rule, asked of one subscriber, says yes. A capture that failed before another one came, a
running total that fell, amounts in two currencies and what came too late may make it say yes where the rule says no: who answers a dispute asks the rule.
"""

from datetime import datetime, timedelta

from shared.disputes.compelling import (
    DEVICE,
    DEVICE_CHARACTERS,
    DISPUTED,
    ELEMENTS,
    IP,
    LOGIN,
    NO_CARD,
    OLDEST,
    OTHER_CARD,
    PRIORS,
    REPORTED,
    RULES,
    TOO_FEW_ELEMENTS,
    TOO_OLD,
    TOO_YOUNG,
    UNREFERENCED,
    UNSETTLED,
    YOUNGEST,
    Rule,
    too_few,
    too_little_alike,
    untold,
)
from shared.disputes.reason_codes import list_of_sql

LOOKED = OLDEST + timedelta(days=7)
"""A payment is captured within a week of its first word, or its later words come without the first."""

WHY_UNFIT = {
    "other_card": OTHER_CARD,
    "too_young": TOO_YOUNG,
    "too_old": TOO_OLD,
    "disputed": DISPUTED,
    "reported": REPORTED,
    "unsettled": UNSETTLED,
    "unreferenced": UNREFERENCED,
}
"""Column of `readiness` to the reason for which an earlier payment cannot be used; in the order in which the rule asks."""

# What is this machine's, a private network's or nobody's (RFC 6890 and those after it), and what is many's: in no usual form public.
_OCTET = "(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
_IPV4 = rf"^({_OCTET}\.){{3}}{_OCTET}$"
_NOT_PUBLIC = (
    r"^(0|10|127|22[4-9]|23[0-9]|24[0-9]|25[0-5])\.",
    r"^(169\.254|192\.168)\.",
    r"^172\.(1[6-9]|2[0-9]|3[01])\.",
    r"^100\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\.",
    r"^198\.1[89]\.",
    r"^(192\.0\.0|192\.0\.2|198\.51\.100|203\.0\.113)\.",
)
_IPV6 = r"^[23][0-9a-f]{3}:[0-9a-f:]*/64$"
_TEREDO = r"2001:"  # whose network is an address of IPv4
_NOT_PUBLIC_IPV6 = (r"^2001:(|[0-9a-f]{1,2}|1[0-9a-f]{2}|db8):", r"^(2002|3fff):")

WENT_THROUGH = "('authorized', 'captured')"
GOING_BACK = "('refund_pending', 'refunded', 'refund_failed', 'reversed')"


def public_sql(ip: str, network: str) -> str:
    """`compelling.public` in BigQuery SQL, over the columns `ip` and `network`, of which the second is `addresses.network` of the
    first: a text that is equal where two addresses are; '' for one that is nobody's, null where none is told."""

    def within(*patterns: str, of: str = network) -> str:
        return " OR ".join(f"REGEXP_CONTAINS({of}, r'{one}')" for one in patterns)

    return f"""CASE WHEN {ip} IS NULL THEN NULL
      WHEN {within(_IPV4)} THEN CASE WHEN {within(*_NOT_PUBLIC)} OR {within(_TEREDO, of=ip)} THEN '' ELSE {network} END
      WHEN {within(_IPV6)} AND NOT ({within(*_NOT_PUBLIC_IPV6)}) THEN LOWER({ip})
      ELSE '' END"""


def _first(value: str, went_through: str, at: str) -> str:
    """What was first told of `value` by who knows best what a payment was made with (`shared.domain.payments`): the attempt that went
    through, then any other, then what came back, of which it is null whether it went through."""
    told = [
        f"{value} IS NOT NULL AND {one}" for one in (went_through, f"NOT {went_through}", f"{went_through} IS NULL")
    ]
    return f"COALESCE({', '.join(f'MIN_BY({value}, CASE WHEN {one} THEN {at} END)' for one in told)})"


def _hash(text: str) -> str:
    """0 of a text that is told and means nobody."""
    return f"CASE WHEN {text} = '' THEN 0 ELSE FARM_FINGERPRINT({text}) END"


def _listed(words: object) -> str:
    return ", ".join(f"'{word}'" for word in words)  # type: ignore[attr-defined]


_NETWORKS = _listed(rule.network for rule in RULES)

PURCHASES_SQL = f"""SELECT at, provider, FARM_FINGERPRINT(payment_id) AS payment, FARM_FINGERPRINT(COALESCE(customer, email)) AS subscriber,
  CASE WHEN customer IS NOT NULL THEN TRUE WHEN email IS NOT NULL THEN FALSE END AS login, went_through, network,
  CASE WHEN network IS NOT NULL THEN {_hash("fingerprint")} END AS card, CASE WHEN network IS NOT NULL THEN {_hash("digits")} END AS digits,
  {_hash("ip")} AS ip, {_hash("device")} AS device, referenced, authorized, captured, returned,
  CASE WHEN failed_at >= COALESCE(captured_at, failed_at) THEN failed_at END AS failed_at
FROM (
  SELECT provider, payment_id, MIN(told_at) AS at, LOGICAL_OR(went_through) AS went_through,
    {_first("customer_id", "went_through", "told_at")} AS customer,
    MAX_BY(email_hash, CASE WHEN email_hash IS NOT NULL THEN told_at END) AS email,
    {_first("ip", "went_through", "told_at")} AS ip, {_first("device", "went_through", "told_at")} AS device,
    MAX_BY(network, CASE WHEN network IS NOT NULL THEN told_at END) AS network,
    MAX_BY(fingerprint, CASE WHEN network IS NOT NULL THEN told_at END) AS fingerprint,
    MAX_BY(digits, CASE WHEN network IS NOT NULL THEN told_at END) AS digits,
    LOGICAL_OR(referenced) AS referenced, LOGICAL_OR(CASE WHEN step = 'authorized' AND minor > 0 THEN TRUE END) AS authorized,
    LOGICAL_OR(CASE WHEN step = 'captured' AND COALESCE(minor, 1) > 0 THEN minor IS NOT NULL END) AS captured,
    LOGICAL_OR(CASE WHEN (step IN ('refunded', 'reversed') OR unproved) AND COALESCE(minor, 1) > 0 THEN TRUE END) AS returned,
    MAX(CASE WHEN step = 'captured' THEN told_at END) AS captured_at,
    MAX(CASE WHEN step = 'capture_failed' OR (step = 'declined' AND reference IS NOT NULL) THEN told_at END) AS failed_at
  FROM (
    SELECT provider, payment_id, occurred_at AS told_at, customer_id, email_hash, reference,
      {public_sql("ip", "ip_network")} AS ip,
      CASE WHEN device_id IS NOT NULL THEN CASE WHEN CHAR_LENGTH(TRIM(device_id)) >= {DEVICE_CHARACTERS} THEN TRIM(device_id) ELSE '' END END AS device,
      CASE WHEN card IS NOT NULL THEN {list_of_sql("card.network")} END AS network, COALESCE(card.fingerprint, '') AS fingerprint,
      COALESCE(CONCAT(card.bin, '-', card.last4), '') AS digits, CASE WHEN network_transaction_id IS NOT NULL THEN TRUE END AS referenced,
      'step' IN UNNEST(unsigned) AS unproved, CASE WHEN NOT ('step' IN UNNEST(unsigned)) THEN step END AS step,
      CASE WHEN 'amount' IN UNNEST(unsigned) THEN NULL ELSE amount.minor END AS minor,
      CASE WHEN step IN {WENT_THROUGH} THEN TRUE WHEN NOT (step IN {GOING_BACK}) THEN FALSE END AS went_through
    FROM payment_events
    WHERE occurred_at >= @since AND occurred_at < @until AND kind = 'payment'
  ) AS told
  GROUP BY provider, payment_id
) AS payments
WHERE network IS NULL OR network IN ('', {_NETWORKS})"""  # noqa: S608 - constants of ours
"""What was told on a day, of payments that are not known to be another network's."""

_NEWEST = ("at", "provider", "login", "card", "digits", "ip", "device")
_WINDOW = "OVER (PARTITION BY subscriber, network ORDER BY at DESC, provider DESC, payment DESC)"


def _unfit() -> str:
    """Which of WHY_UNFIT it is; null of an earlier payment that can be used."""
    asked = {
        "other_card": "NOT COALESCE(CASE WHEN provider = newest_provider THEN card = newest_card ELSE digits = newest_digits END, FALSE)",
        "too_young": f"at > TIMESTAMP_SUB(newest_at, INTERVAL {YOUNGEST.days} DAY)",
        "too_old": f"at < TIMESTAMP_SUB(@until, INTERVAL {OLDEST.days} DAY)",
        "disputed": "disputed",
        "reported": "reported",
        "unsettled": "NOT settled",
        "unreferenced": "provider <> newest_provider AND NOT referenced",
    }
    return "CASE " + " ".join(f"WHEN {asked[why]} THEN '{why}'" for why in WHY_UNFIT) + " END"


def _usable(elements: frozenset[str]) -> str:
    """How many earlier payments can be used that have these alike."""
    return f"COUNTIF(fit AND {' AND '.join(f'alike_{one}' for one in ELEMENTS if one in elements)})"


_COUNTED = {
    wanted: "usable_" + "_".join(one for one in ELEMENTS if one in wanted) for wanted in RULES[0].combinations()
}


def _matched(rule: Rule) -> str:
    cases = (
        f"WHEN {_COUNTED[wanted]} >= {PRIORS} THEN '{', '.join(one for one in ELEMENTS if one in wanted)}'"
        for wanted in rule.combinations()
    )
    return f"CASE {' '.join(cases)} END"


def _missing(rule: Rule) -> str:
    """The first reason why not, as `compelling` has it."""
    there = {IP: "has_ip", DEVICE: "has_device", LOGIN: "has_login"}
    groups = " ".join(
        f"WHEN NOT ({' OR '.join(there[one] for one in ELEMENTS if one in group)}) THEN '{untold(group)}'"
        for group in rule.alike
    )
    parts = [f"'{part}'" for part in too_little_alike(*["|"] * (1 + len(ELEMENTS))).split("|")]
    counts = [f"CAST({one} AS STRING)" for one in ("priors", *(f"on_{one}" for one in ELEMENTS))]
    little = ", ".join(text for pair in zip(parts, [*counts, "''"], strict=True) for text in pair)
    few = " ".join(f"WHEN priors = {number} THEN '{too_few(number)}'" for number in range(PRIORS))
    elements = " + ".join(f"CASE WHEN {one} THEN 1 ELSE 0 END" for one in there.values())
    return f"""CASE WHEN NOT has_card THEN '{NO_CARD}' {groups} WHEN {elements} < 2 THEN '{TOO_FEW_ELEMENTS}'
      {few} ELSE CONCAT({little}) END"""


def _by_rule(made: object) -> str:
    cases = " ".join(f"WHEN '{rule.network}' THEN {made(rule)}" for rule in RULES)  # type: ignore[operator]
    return f"CASE network {cases} END"


_LATEST_CARD = "CASE WHEN network IS NOT NULL THEN at END"

# Each of these reads the one before it and nothing else, so that the table is read once.
READINESS_SQL = f"""WITH merged AS (
  SELECT provider, payment, MIN(at) AS at, COALESCE(
      {_first("CASE WHEN login THEN subscriber END", "went_through", "at")},
      MAX_BY(subscriber, CASE WHEN NOT login THEN at END)
    ) AS subscriber, COALESCE(LOGICAL_OR(login), FALSE) AS login,
    MAX_BY(network, {_LATEST_CARD}) AS network, NULLIF(MAX_BY(card, {_LATEST_CARD}), 0) AS card,
    NULLIF(MAX_BY(digits, {_LATEST_CARD}), 0) AS digits,
    NULLIF({_first("ip", "went_through", "at")}, 0) AS ip, NULLIF({_first("device", "went_through", "at")}, 0) AS device,
    COALESCE(LOGICAL_OR(referenced), FALSE) AS referenced, COALESCE(LOGICAL_OR(authorized), FALSE) AS authorized, LOGICAL_OR(captured) AS captured,
    COALESCE(LOGICAL_OR(returned), FALSE) AS returned,
    COALESCE(MAX(failed_at) >= MAX(CASE WHEN captured IS NOT NULL THEN at END), FALSE) AS failed
  FROM purchases
  WHERE at >= @since AND at < @until
  GROUP BY provider, payment
),
wrong AS (
  SELECT provider, FARM_FINGERPRINT(payment_id) AS payment, LOGICAL_OR(alert IS NULL) AS disputed,
    COALESCE(LOGICAL_OR(alert = 'fraud_report'), FALSE) AS reported
  FROM (
    SELECT provider, payment_id, alert FROM dispute_updates
    WHERE occurred_at >= @since AND occurred_at < @until
    QUALIFY ROW_NUMBER() OVER (PARTITION BY provider, dispute_id ORDER BY revision DESC, occurred_at DESC) = 1
  ) AS told
  WHERE payment_id IS NOT NULL
  GROUP BY provider, payment_id
),
paid AS (
  SELECT merged.*, NOT failed AND captured IS NOT NULL AND NOT returned AS settled, COALESCE(wrong.disputed, FALSE) AS disputed,
    COALESCE(wrong.reported, FALSE) AS reported
  FROM merged LEFT JOIN wrong ON wrong.provider = merged.provider AND wrong.payment = merged.payment
  WHERE subscriber IS NOT NULL AND network IN ({_NETWORKS})
    AND CASE WHEN captured IS NULL THEN authorized ELSE (captured OR authorized) AND NOT failed END
),
beside AS (
  SELECT subscriber, network, at, provider, login, card, digits, ip, device, referenced, settled, disputed, reported,
    ROW_NUMBER() {_WINDOW} AS place, {", ".join(f"FIRST_VALUE({one}) {_WINDOW} AS newest_{one}" for one in _NEWEST)}
  FROM paid
),
asked AS (
  SELECT *, place > 1 AND at < newest_at AS earlier, {_unfit()} AS why,
    COALESCE(ip = newest_ip, FALSE) AS alike_ip, COALESCE(device = newest_device, FALSE) AS alike_device,
    login AND newest_login AS alike_login
  FROM beside
),
judged AS (
  SELECT *, earlier AND why IS NULL AS fit FROM asked
),
counted AS (
  SELECT subscriber, network, COUNTIF(fit) AS priors,
    {", ".join(f"{_usable(wanted)} AS {name}" for wanted, name in _COUNTED.items())},
    {", ".join(f"{_usable(frozenset({one}))} AS on_{one}" for one in ELEMENTS)},
    LOGICAL_OR(newest_card IS NOT NULL OR newest_digits IS NOT NULL) AS has_card, LOGICAL_OR(newest_ip IS NOT NULL) AS has_ip,
    LOGICAL_OR(newest_device IS NOT NULL) AS has_device, LOGICAL_OR(newest_login) AS has_login,
    {", ".join(f"COUNTIF(earlier AND why = '{why}') > 0 AS {why}" for why in WHY_UNFIT)}
  FROM judged
  GROUP BY subscriber, network
),
found AS (
  SELECT *, {_by_rule(_matched)} AS matched FROM counted
)
SELECT TIMESTAMP_SUB(@until, INTERVAL 1 DAY) AS day, subscriber, {_by_rule(lambda rule: f"'{rule.name}'")} AS rule,
  matched IS NOT NULL AS ready, priors, matched, CASE WHEN matched IS NULL THEN {_by_rule(_missing)} END AS missing,
  {", ".join(WHY_UNFIT)}
FROM found"""  # noqa: S608 - constants of ours

MEASURED_SQL = f"""SELECT rule, COUNT(*) AS subscribers, COUNTIF(ready) AS ready,
  {", ".join(f"COUNTIF(NOT ready AND {why}) AS {why}" for why in WHY_UNFIT)}
FROM readiness WHERE day >= @since AND day < @until
GROUP BY rule ORDER BY rule"""  # noqa: S608 - constants of ours
"""By rule: how many paid through its network, how many are ready, and how many of the others have an earlier payment of each kind
that cannot be used."""

FLAG_SQL = """SELECT day, rule, ready, priors, matched, missing FROM readiness
WHERE day >= @since AND subscriber = FARM_FINGERPRINT(@customer_id)
QUALIFY ROW_NUMBER() OVER (PARTITION BY rule ORDER BY day DESC) = 1
ORDER BY rule"""
"""How one subscriber stands, by rule, by the newest night."""


def asked_at(midnight: datetime) -> dict[str, datetime]:
    """The parameters of `READINESS_SQL`: as of `midnight`, the end of the day that its rows are of."""
    return {"since": midnight - LOOKED, "until": midnight}
