"""`python -m service.http.openapi` writes the OpenAPI document to standard output."""

from __future__ import annotations

import sys

from service.http.document import document

if __name__ == "__main__":
    sys.stdout.buffer.write(document())
