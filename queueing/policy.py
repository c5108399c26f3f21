"""How often this installation tries again, as its settings say; what that means is `retry.py`'s."""

from django.conf import settings

from queueing.retry import RetryPolicy


def retry_policy() -> RetryPolicy:
    """Return the installation's limits and pauses."""
    return RetryPolicy(
        unsent=settings.RETRY_UNSENT,
        host=settings.RETRY_HOST,
        business=settings.RETRY_BUSINESS,
        first_s=settings.RETRY_FIRST_SECONDS,
        longest_s=settings.RETRY_LONGEST_SECONDS,
        owed_longest_s=settings.RETRY_REVERSAL_SECONDS,
        total_s=settings.RETRY_TOTAL_SECONDS,
    )
