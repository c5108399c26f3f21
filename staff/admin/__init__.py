"""The pages of the audit, of requests, and of who may sign in."""

from staff.admin import audit, people, requests

__all__ = ["audit", "people", "requests"]
