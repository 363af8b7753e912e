"""A small Open Booking API server that does all its holding and booking through the service."""
