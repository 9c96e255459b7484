"""Publishes the log to RabbitMQ: work hints for exchange adapters, and integration events for other services."""

WORK_FOLLOWER = "event_relay_work"
EVENTS_FOLLOWER = "event_relay_events"
"""The followers whose checkpoints say what RabbitMQ has confirmed."""
