"""A host to talk to: the other party. Shares codec and framing with our side, and nothing else of it."""
