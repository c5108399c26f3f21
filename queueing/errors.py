"""What can go wrong with the queue."""


class QueueError(Exception):
    """The queue could not do what was asked."""


class EntryMoved(QueueError):
    """The entry is no longer in the state that this verb starts from; nothing was changed."""
