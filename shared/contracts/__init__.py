"""What travels between us and other teams, told so that a machine can read it: generated from the code, never by hand.

topics/<topic>.json       JSON Schema (2020-12) of what a message's data is
functions/<function>.json OpenAPI 3.1 of what people and systems call
asyncapi.json             AsyncAPI 3 of the topics: attributes, copies, order
released/                 the same as of the last release: a promise, to which `make check` holds what stands above

`make contracts` writes them; `make contracts RELEASE=1` makes a promise of what is written.
"""
