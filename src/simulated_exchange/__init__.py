"""A venue in its own process: matches orders, remembers every one, and streams execution reports.

Nobody imports it but the command that starts it; clients speak to its socket (docs/reference/simulated-exchange.md).
"""
