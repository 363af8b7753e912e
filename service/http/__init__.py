"""The edge: HTTP comes in, becomes a question to the ledger, and its answer goes back."""

from service.http.access import Tokens, TokensFile, TokensFileError
from service.http.app import create_admin_app, create_app
from service.http.keys import BROADCAST, READINESS, Readiness

__all__ = [
    "BROADCAST",
    "READINESS",
    "Readiness",
    "Tokens",
    "TokensFile",
    "TokensFileError",
    "create_admin_app",
    "create_app",
]
