"""`lease-service verify`: recomputes what is stored twice, and says where it differs."""

from service.verify.checking import Verifier
from service.verify.report import Report

__all__ = ["Report", "Verifier"]
