"""A client of Redis and Valkey that knows no Order: where the servers are, and what is sent."""
