"""The edge: HTTP comes in, becomes a question to the ledger, and its answer goes back."""

from service.http.access import Tokens, TokensFile, TokensFileError
from service.http.app import create_admin_app, create_app
from service.http.routes import STEPS

__all__ = [
    "STEPS",
    "Tokens",
    "TokensFile",
    "TokensFileError",
    "create_admin_app",
    "create_app",
]
