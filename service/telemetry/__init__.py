"""What the service tells about itself: log lines, metrics and traces.

It hooks in from outside: the other parts know only the small protocols that they are observed by.
"""

from service.telemetry.logs import configure, is_for_people
from service.telemetry.metrics import Meter, Metrics

__all__ = ["Meter", "Metrics", "configure", "is_for_people"]
