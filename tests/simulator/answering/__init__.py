"""Desks of providers, a module each; `forms` is what they share."""
