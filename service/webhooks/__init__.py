"""Sends the capacity feed's changes to the front-end, as Standard Webhooks."""

from service.webhooks.receiver import Receiver
from service.webhooks.sender import Pace, Sender, sending

__all__ = ["Pace", "Receiver", "Sender", "sending"]
