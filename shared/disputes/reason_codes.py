"""The networks' reason codes: what each claims, and which of our reasons that is.

Used where a provider gives only the network's code. Sources: the networks' published code lists (Visa Claims
Resolution since 2018, Mastercard's 2016 consolidation, American Express, Discover and Diners Club) and, for JCB,
docs.antom.com/ac/dispute/jcb.
"""

from typing import NamedTuple

from shared.domain.events import DisputeReason

_FRAUD, _NOT_RECEIVED, _NOT_AS_DESCRIBED = (
    DisputeReason.FRAUD,
    DisputeReason.NOT_RECEIVED,
    DisputeReason.NOT_AS_DESCRIBED,
)
_DUPLICATE, _CANCELED, _CREDIT, _OTHER = (
    DisputeReason.DUPLICATE,
    DisputeReason.CANCELED,
    DisputeReason.CREDIT_NOT_PROCESSED,
    DisputeReason.OTHER,
)


class ReasonCode(NamedTuple):
    """A network's claim. `name` is for people. Whether it alleges fraud is `reason is DisputeReason.FRAUD`."""

    reason: DisputeReason
    name: str


def look_up(network: str | None, code: str | None) -> ReasonCode | None:
    """The claim that `code` makes in `network`'s list; None where we do not know it. Case and spaces do not matter."""
    if not network or not code:
        return None
    return _CODES.get(list_of(network), {}).get(code.strip().upper())


def is_network_code(network: str | None, code: str) -> bool:
    """Whether `code` is a network's, listed here or not, and no provider's own word. Those have no digits."""
    if any(letter.isdigit() for letter in code):
        return True
    # Some providers tell of no network.
    networks = (network,) if network else _CODES
    return any(look_up(one, code) for one in networks)


def list_of(network: str) -> str:
    """The name under which `network`'s codes are listed here: `visa` of Visa Electron."""
    network = network.strip().lower()
    return _SAME_LIST.get(network, network)


def list_of_sql(network: str) -> str:
    """`list_of` in BigQuery SQL, over the column `network`; '' where that is null."""
    cases = " ".join(f"WHEN '{told}' THEN '{name}'" for told, name in _SAME_LIST.items())
    told = f"LOWER(TRIM(COALESCE({network}, '')))"
    return f"CASE {told} {cases} ELSE {told} END"


def _of(reason: DisputeReason, **named: str) -> dict[str, ReasonCode]:
    return {code.lstrip("_").replace("_", "."): ReasonCode(reason, name) for code, name in named.items()}


# Names under which providers file the same list.
_SAME_LIST = {
    "mc": "mastercard",
    "maestro": "mastercard",
    "american_express": "amex",
    "americanexpress": "amex",
    "diners": "discover",
    "diners_club": "discover",
    "electron": "visa",
    "visadankort": "visa",
}

_CODES: dict[str, dict[str, ReasonCode]] = {
    "visa": {
        **_of(
            _FRAUD,
            _10_1="EMV liability shift, counterfeit",
            _10_2="EMV liability shift, not counterfeit",
            _10_3="Other fraud, card present",
            _10_4="Other fraud, card absent",
            _10_5="Visa Fraud Monitoring Program",
        ),
        **_of(
            _OTHER,
            _11_1="Card recovery bulletin",
            _11_2="Declined authorization",
            _11_3="No authorization",
            _12_1="Late presentment",
            _12_2="Incorrect transaction code",
            _12_3="Incorrect currency",
            _12_4="Incorrect account number",
            _12_5="Incorrect amount",
            _12_7="Invalid data",
            _13_8="Original credit not accepted",
        ),
        # Older messages say 12.6 for both of its halves.
        **_of(_DUPLICATE, _12_6="Duplicate or paid by other means", _12_6_1="Duplicate processing"),
        **_of(_DUPLICATE, _12_6_2="Paid by other means"),
        **_of(_NOT_RECEIVED, _13_1="Merchandise or services not received", _13_9="Cash not received"),
        **_of(_CANCELED, _13_2="Canceled recurring", _13_7="Canceled merchandise or services"),
        **_of(
            _NOT_AS_DESCRIBED,
            _13_3="Not as described or defective",
            _13_4="Counterfeit merchandise",
            _13_5="Misrepresentation",
        ),
        **_of(_CREDIT, _13_6="Credit not processed"),
    },
    "mastercard": {
        **_of(
            _FRAUD,
            _4837="No cardholder authorization",
            _4840="Fraudulent processing of transactions",
            _4849="Questionable merchant activity",
            _4863="Cardholder does not recognize",
            _4870="Chip liability shift",
            _4871="Chip and PIN liability shift",
        ),
        **_of(
            _OTHER,
            _4807="Warning bulletin",
            _4808="Authorization-related",
            _4812="Account number not on file",
            _4831="Amount differs",
            _4842="Late presentment",
            _4846="Wrong currency code",
            # The whole family in one code since 2016: the claim itself is in the issuer's documents.
            _4853="Cardholder dispute",
            _4854="Cardholder dispute not classified elsewhere",
        ),
        **_of(_DUPLICATE, _4834="Point-of-interaction error"),
        **_of(_CANCELED, _4841="Canceled recurring or digital goods"),
        **_of(_NOT_RECEIVED, _4855="Goods or services not provided", _4859="Addendum, no-show or cash not received"),
        **_of(_CREDIT, _4860="Credit not processed"),
    },
    "amex": {
        **_of(
            _OTHER,
            A01="Amount exceeds authorization",
            A02="No valid authorization",
            A08="Authorization expired",
            FR4="Immediate chargeback programme",
            FR6="Partial immediate chargeback programme",
            M01="Chargeback authorization",
            M10="Vehicle rental damage",
            M49="Vehicle rental theft or loss of use",
            P01="Unassigned card number",
            P03="Credit processed as charge",
            P04="Charge processed as credit",
            P05="Incorrect charge amount",
            P07="Late submission",
            P22="Card number does not match",
            P23="Currency discrepancy",
            R03="Insufficient reply",
            R13="No reply",
        ),
        **_of(_DUPLICATE, P08="Duplicate charge", C14="Paid by other means"),
        **_of(_CREDIT, C02="Credit not processed", C04="Goods returned or refused"),
        **_of(_CANCELED, C05="Goods or services canceled", C18="No-show or deposit canceled", C28="Canceled recurring"),
        **_of(_NOT_RECEIVED, C08="Goods or services not received"),
        **_of(_NOT_AS_DESCRIBED, C31="Not as described", C32="Damaged or defective"),
        **_of(
            _FRAUD,
            F10="Missing imprint",
            F14="Missing signature",
            F24="No cardholder authorization",
            F29="Card not present",
            F30="EMV counterfeit",
            F31="EMV lost, stolen or not received",
            FR2="Fraud full recourse",
        ),
    },
    "discover": {
        **_of(
            _FRAUD,
            UA01="Fraud, card present",
            UA02="Fraud, card not present",
            UA05="Fraud, chip counterfeit",
            UA06="Fraud, chip and PIN",
            UA10="Receipt requested, swiped",
            UA11="Fraud claimed, swiped without signature",
            UA12="Receipt requested, fraud claimed",
            AA="Does not recognize",
        ),
        **_of(
            _OTHER,
            AT="Authorization noncompliance",
            AW="Altered amount",
            CD="Credit posted as sale",
            DA="Declined authorization",
            EX="Expired card",
            IN="Invalid card number",
            LP="Late presentation",
            NA="No authorization",
        ),
        **_of(_DUPLICATE, DP="Duplicate processing", PM="Paid by other means"),
        **_of(_CANCELED, AP="Canceled recurring"),
        **_of(_NOT_RECEIVED, RG="Goods or services not received", NF="Cash not received"),
        **_of(_NOT_AS_DESCRIBED, RM="Not as described"),
        **_of(_CREDIT, RN="Credit not received"),
    },
    "jcb": {
        **_of(
            _FRAUD,
            _526="Missing signature",
            _527="Missing imprint",
            _534="Unauthorized multiple transactions",
            _546="Unauthorized purchase",
            _548="Chip liability shift",
        ),
        **_of(
            _OTHER,
            _501="Not a JCB card",
            _503="Expired card",
            _507="Incorrect amount",
            _510="Posted with the wrong code",
            _516="Requested item not received",
            _517="Requested copy illegible",
            _521="Exceeds floor limit",
            _522="Authorization declined",
            _524="Addition error",
            _525="Altered amount",
            _536="Late presentment",
            _537="No-show",
            _541="Illegible item",
            _545="Wrong e-commerce indicator",
            _547="Card on stop list",
            _581="Split sale",
            _582="Domestic transaction",
        ),
        **_of(_DUPLICATE, _512="Duplicate processing", _583="Paid by other means"),
        **_of(_CREDIT, _513="Credit not processed"),
        **_of(_CANCELED, _538="Advance deposit", _544="Canceled recurring"),
        **_of(_NOT_AS_DESCRIBED, _502="Cardholder dispute"),
        **_of(_NOT_RECEIVED, _554="Goods or services not received", _555="Cash not received"),
    },
}
