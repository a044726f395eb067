"""What happened, told to whoever listens: one event type, several listeners.

`events` is what the endpoints tell; `log` writes it down.
"""
