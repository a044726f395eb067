"""The command line, run against real files in an empty folder."""
