"""`lease-service simulate`: Customers by the thousand, for those who want to know their limits.

The Customers come when they come, however late the answers are (an open loop), so that a latency
says what a Customer would have waited. Nothing here touches the service but over its API.
"""
