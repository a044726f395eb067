"""Which grants and machine tokens an operator's revocation hits, and what it hits beyond that (RFC 7009 section 2.1).

A grant is hit by what its row says. Machine tokens have no rows: their positions come from blocks, and a block is hit
unless its client and its time rule out that a token in it matches.
"""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from jwtauth.errors import ConfigurationError
from jwtauth.protocol import scopes
from jwtauth.protocol.records import Client, GrantType

BLOCK_USE_IN: Final = 3_600
"""A block gives out positions for at most so many seconds before its `use_until`."""


class Interval(Struct, frozen=True, kw_only=True):
    """Two instants; both belong to it."""

    from_at: int
    until_at: int


class Selection(Struct, frozen=True, kw_only=True):
    """What is to be revoked: whatever matches all criteria that are given."""

    grant_id: int | None = None
    position: int | None = None
    """The status position that a token names: a grant's, or a machine token's own."""
    user_id: int | None = None
    client_id: int | None = None
    """`Client.id`."""
    scope: str | None = None
    """One scope value."""
    issued: Interval | None = None
    """Grants begun or last refreshed then, machine tokens of blocks in use then."""

    @property
    def ends_sessions(self) -> bool:
        """Whether a person's browser sessions end too: only where everything of that person is revoked."""
        return self.user_id is not None and self == Selection(user_id=self.user_id)

    @property
    def hits_blocks(self) -> bool:
        """Whether machine tokens can match: nobody's grant is in a block, and no block has a person."""
        return self.grant_id is None and self.position is None and self.user_id is None

    def hits_machine(self, client: Client) -> bool:
        """Whether the machine tokens of a client may match."""
        return self.hits_blocks and self.client_id in (None, client.id) and self._may_carry_scope(client)

    def _may_carry_scope(self, client: Client) -> bool:
        if self.scope is None:
            return True
        return self.scope in client.scope and GrantType.CLIENT_CREDENTIALS in client.grant_types


class Radius(Struct, frozen=True, kw_only=True):
    """What a revocation hits: grants that had not ended, blocks and positions that were not denied."""

    sessions: int = 0
    grants: int = 0
    blocks: int = 0
    positions: int = 0
    """Status positions: one per grant, which all its access tokens share, and one per machine token at most."""
    machines: tuple[str, ...] = ()
    """The client_ids whose blocks are hit."""
    spared: int = 0
    """Grants begun before the interval that may have been refreshed within it: their rows do not say."""


def check(selection: Selection, *, now: int) -> None:
    """Let a selection pass that means something.

    Raises:
        ConfigurationError: there is no criterion, one that names a single thing stands beside others, the scope is not
            one value, or the interval ends before it begins or begins in the future.
    """
    given = [name for name in Selection.__struct_fields__ if getattr(selection, name) is not None]
    if not given:
        raise ConfigurationError("nothing is selected; name at least one criterion (see --help)")
    if len(given) > 1 and not {"grant_id", "position"}.isdisjoint(given):
        raise ConfigurationError("a token or a grant is one thing; leave the other criteria out")
    if selection.scope is not None and scopes.parse(selection.scope) != (selection.scope,):
        raise ConfigurationError("scope: expected one scope value; revoke several one after another")
    if selection.issued is not None and selection.issued.until_at < selection.issued.from_at:
        raise ConfigurationError("the interval ends before it begins; name the earlier instant first")
    if selection.issued is not None and selection.issued.from_at > now:
        raise ConfigurationError("the interval begins in the future; nothing was issued then")


def surplus(selection: Selection, radius: Radius) -> Iterator[str]:
    """In words what is hit beyond the selection, or spared within it, because nothing more precise is remembered."""
    if selection.scope is not None and radius.blocks:
        yield (
            "more than asked: machine tokens are revoked by client, not by scope;"
            f" all of {' '.join(radius.machines)} end, whatever their scope"
        )
    if selection.issued is not None and radius.blocks:
        yield (
            "more than asked: machine tokens are revoked in blocks, and a block is used for up to an hour;"
            f" those of {' '.join(radius.machines)} issued up to an hour before or after end too"
        )
    if radius.spared:
        yield (
            f"less than you may want: {radius.spared} older grants are spared that may have been refreshed within the"
            " interval, for only the last refresh is remembered; without an interval they are hit too"
        )
