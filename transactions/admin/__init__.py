"""The back office: payments with their story, merchants, keys, staff. Every action calls a service."""

from transactions.admin import merchants, payments, staff

__all__ = ["merchants", "payments", "staff"]
