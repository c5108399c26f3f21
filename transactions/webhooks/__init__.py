"""Telling merchants how their payments ended, by Standard Webhooks: endpoints, deliveries, replays.

What is told is written by `transactions.outbox`, in the commit that makes it true; nothing here ends a payment.
"""
