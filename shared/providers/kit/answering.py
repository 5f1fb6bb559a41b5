"""What nobody can answer, whatever its status: what a provider's table adds to that stands in its own adapter.

A debit that its payer or the payer's bank takes back is final: SEPA, Bacs, BECS, ACH, PAD (ACSS), Autogiro and
Betalingsservice have returns, and no process in which the creditor is heard.

Sources: Stripe support "SEPA Direct Debit payment disputes"; Adyen docs "SEPA chargebacks", "ACH Direct Debit
chargebacks"; Mollie docs "BACS Direct Debit" and help "Reversals of SEPA Direct Debit transactions". The words are those of
Stripe's payment method types (`acss_debit`, `au_becs_debit`, `bacs_debit`, `nz_bank_account`, `sepa_debit`,
`us_bank_account`), GoCardless' schemes (`ach`, `autogiro`, `becs_nz`, `betalingsservice`, `pad`, `sepa_core`), Adyen's payment
methods (`directdebit_GB`, `eft_directdebit_CA`, `sepadirectdebit`) and Braintree's instruments (`us_bank_account`,
`sepa_debit_account`).
"""

import re

_DEBITS = (
    *("sepa", "bacs", "becs", "aubecs", "directdebit", "eftdirectdebit", "usbankaccount", "nzbankaccount", "acss"),
    *("achdirect", "achdebit", "achplaid"),
)
_LETTERS = re.compile("[^a-z]+")


def is_bank_debit(method: str | None) -> bool:
    """Whether `method`, in whatever provider's word, is a debit of a bank account."""
    word = _LETTERS.sub("", (method or "").lower())
    return word in ("ach", "autogiro", "betalingsservice", "pad") or word.startswith(_DEBITS)
