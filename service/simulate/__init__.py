"""`lease-service simulate`: a load of Customers on a running service, and what they met.

It is an open loop: Customers arrive whether or not earlier calls have been answered, so a latency
is what a Customer would have waited. The service is used through its API alone.
"""
