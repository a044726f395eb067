"""Fuzzing the parsers of foreign bytes, one target each; docs/fuzzing.md says how to run them for long."""
