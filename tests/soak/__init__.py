"""Faults and fuzzing: seconds in an ordinary run, as long as one likes with `--soak N`."""
