"""What nobody can answer, whatever its status: what a provider's table adds to that stands in its own adapter.

A debit that its payer or the payer's bank takes back is final: SEPA, Bacs, BECS, ACH, PAD (ACSS), Autogiro and
Betalingsservice have returns, and no process in which the creditor is heard.

Sources: Stripe support "SEPA Direct Debit payment disputes"; Adyen docs "SEPA chargebacks", "ACH Direct Debit
chargebacks"; Mollie docs "BACS Direct Debit" and help "Reversals of SEPA Direct Debit transactions".
"""

import re

_DEBITS = (
    *("sepa", "bacs", "becs", "aubecs", "nzbecs", "directdebit", "usbankaccount", "nzbankaccount", "acss"),
    *("achdirect", "achdebit", "achplaid"),
)
_LETTERS = re.compile("[^a-z]+")


def is_bank_debit(method: str | None) -> bool:
    """Whether `method`, in whatever provider's word, is a debit of a bank account."""
    word = _LETTERS.sub("", (method or "").lower())
    return word in ("ach", "autogiro", "betalingsservice", "pad") or word.startswith(_DEBITS)
