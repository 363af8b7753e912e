"""Leases and bookings for the OpenActive Open Booking API, as a sidecar on Redis or Valkey."""

from __future__ import annotations

__version__ = "0.1.0"
