"""The program around the service: its commands, processes, listeners and files."""
