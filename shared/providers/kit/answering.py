"""What nobody can answer, whatever its status: what a provider's table adds to that stands in its own adapter.

A debit that its payer or the payer's bank takes back is final: such schemes have returns and indemnities, and no process in
which the creditor is heard. Each word below has its source beside it: whose word it is, and who says that it is final.
GoCardless support "Chargebacks / customer claims" lists all eight schemes; "We don't dispute chargebacks" it says of them.
"""

import re

# How the word begins, of its letters alone.
_DEBITS = (
    # SEPA (EPC rulebook: refunds). Stripe support "SEPA Direct Debit payment disputes", Adyen docs "SEPA chargebacks".
    "sepa",  # Stripe sepa_debit, Adyen sepadirectdebit, Checkout.com SEPA, Braintree sepa_debit_account
    "directdebit",  # Mollie directdebit (help "Reversals of SEPA Direct Debit transactions"), Adyen directdebit_GB (Bacs)
    "europebankaccount",  # Braintree, PaymentInstrumentType of its SDK: SEPA's older name there
    # Bacs (United Kingdom). Mollie docs "BACS Direct Debit".
    "bacs",  # Mollie bacs, Stripe bacs_debit, Checkout.com bacs
    # BECS (Australia). Stripe docs "Australia BECS Direct Debit payments": disputed payments.
    "becs",
    "aubecs",  # Stripe au_becs_debit
    # BECS (New Zealand). Stripe docs "New Zealand BECS Direct Debit payments": disputed payments.
    "nzbecs",  # GoCardless "BECS NZ"
    "nzbankaccount",  # Stripe nz_bank_account
    # ACH (United States). Stripe support "Respond to or contest an ACH Direct Debit dispute", Adyen docs "ACH Direct Debit
    # chargebacks".
    "usbankaccount",  # Stripe and Braintree us_bank_account
    "achdirect",  # Adyen ach_directdebit
    "achdebit",  # Stripe ach_debit
    "achplaid",  # Adyen ach_plaid
    # PAD (Canada). Stripe docs "Pre-authorized debit payments in Canada": disputed payments; Adyen docs "Pre-Authorized Debit
    # Canada".
    "acss",  # Stripe acss_debit
    "eftdirectdebit",  # Adyen eftdirectdebit_CA
)
# Too short to begin with, or a scheme's whole name.
_WHOLE = frozenset(
    {
        "ach",  # Adyen ach, Checkout.com ach
        "pad",  # GoCardless pad
        "autogiro",  # Sweden: GoCardless support "Autogiro Chargeback Process"
        "betalingsservice",  # Denmark: GoCardless support "Chargebacks / customer claims"
    }
)
_LETTERS = re.compile("[^a-z]+")


def is_bank_debit(method: str | None) -> bool:
    """Whether `method`, in whatever provider's word, is a debit of a bank account."""
    word = _LETTERS.sub("", (method or "").lower())
    return word in _WHOLE or word.startswith(_DEBITS)
