"""The back office: payments with their story, merchants, keys, webhooks. Every action calls a service."""

from transactions.admin import merchants, payments, reconciliation, replays, routes, webhooks

__all__ = ["merchants", "payments", "reconciliation", "replays", "routes", "webhooks"]
