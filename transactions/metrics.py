"""What payments count and time in the process that works on them."""

from typing import Final

from prometheus_client import Counter, Histogram

_WAITS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 600, 3600)
_SHORT: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)

PAYMENTS = Counter("ferryman_payments", "Payments that ended.", ["operation", "status", "response_code", "reason"])
PAYMENT_SECONDS = Histogram("ferryman_payment_seconds", "From acceptance to the end.", ["operation"], buckets=_WAITS)
ACCEPT_SECONDS = Histogram("ferryman_accept_seconds", "The database's part of accepting a payment.", buckets=_SHORT)
RECOVERY_RUNS = Counter("ferryman_recovery_runs", "Times the recovery job went through.")
RECOVERED = Counter("ferryman_recovered", "What the recovery job found and did.", ["kind", "result"])

WEBHOOK_DELIVERIES = Counter(
    "ferryman_webhook_deliveries", "Tries to deliver a webhook, by what came of it.", ["result"]
)
WEBHOOK_SECONDS = Histogram("ferryman_webhook_attempt_seconds", "How long one post of a webhook took.", buckets=_WAITS)
