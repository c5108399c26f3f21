"""The bank's pages: links and their workers, and the journal of messages."""

from processor.admin import links, messages

__all__ = ["links", "messages"]
