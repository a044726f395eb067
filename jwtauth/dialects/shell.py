"""What the commands have in common that demonstrations print: they work in any POSIX shell, zsh and fish."""


def member(name: str, file: str = "demo.json") -> str:
    """A shell expression for one member of an answer that was kept in a file."""
    return f""""$(sed -E 's/.*"{name}":"([^"]+)".*/\\1/' {file})\""""
