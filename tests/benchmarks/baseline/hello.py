"""The bare functions-framework hello-world that cold starts are compared with."""

import functions_framework
from flask import Request


@functions_framework.http
def hello(request: Request) -> str:
    return "hello"
