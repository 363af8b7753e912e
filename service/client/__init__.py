"""A typed client for booking front-ends: each call of the contract as a method.

Answers are the Structs of `service.model`, refusals the errors of `service.errors`: a front-end
passes them on as they are. Every call may be repeated as it was (by Seller, Booking Partner and
Order UUID), so the client does repeat what may have got lost, for as long as its caller's patience
lasts; after that it raises what the service itself answers while Redis is away (rule 25).
"""

from service.client.catalogue import Changes, FreeSpaces
from service.client.client import LeaseService, OrderName, Quoted

__all__ = ["Changes", "FreeSpaces", "LeaseService", "OrderName", "Quoted"]
