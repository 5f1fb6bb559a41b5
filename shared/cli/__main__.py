"""`python -m shared.cli`."""

from shared.cli.app import main

main()
