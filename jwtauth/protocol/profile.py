"""The standard claims about a person (OpenID Connect Core 1.0 section 5.1)."""

from typing import Final

from msgspec import UNSET, Struct, UnsetType


class Address(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """OpenID Connect Core 1.0 section 5.1.1; every member is text, `formatted` and `street_address` may have lines."""

    formatted: str | UnsetType = UNSET
    street_address: str | UnsetType = UNSET
    locality: str | UnsetType = UNSET
    region: str | UnsetType = UNSET
    postal_code: str | UnsetType = UNSET
    country: str | UnsetType = UNSET


class Profile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of a person; a claim that is not known is absent, never null (section 5.3.2)."""

    name: str | UnsetType = UNSET
    given_name: str | UnsetType = UNSET
    family_name: str | UnsetType = UNSET
    middle_name: str | UnsetType = UNSET
    nickname: str | UnsetType = UNSET
    profile: str | UnsetType = UNSET
    """URL of a page about the person."""
    picture: str | UnsetType = UNSET
    """URL of a picture of the person."""
    website: str | UnsetType = UNSET
    gender: str | UnsetType = UNSET
    birthdate: str | UnsetType = UNSET
    """YYYY-MM-DD, 0000-MM-DD or YYYY."""
    zoneinfo: str | UnsetType = UNSET
    """As in Europe/Paris."""
    locale: str | UnsetType = UNSET
    """A BCP 47 language tag, as in en-GB."""
    email: str | UnsetType = UNSET
    email_verified: bool | UnsetType = UNSET
    phone_number: str | UnsetType = UNSET
    """E.164, as in +1 (425) 555-1212."""
    phone_number_verified: bool | UnsetType = UNSET
    address: Address | UnsetType = UNSET


BY_SCOPE: Final = {
    "profile": (
        "name",
        "family_name",
        "given_name",
        "middle_name",
        "nickname",
        "preferred_username",
        "profile",
        "picture",
        "website",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
        "updated_at",
    ),
    "email": ("email", "email_verified"),
    "address": ("address",),
    "phone": ("phone_number", "phone_number_verified"),
}
"""Which claims each scope value asks for (section 5.4). preferred_username and updated_at come from the user record."""

CLAIMS: Final = tuple(claim for claims in BY_SCOPE.values() for claim in claims)
"""Every claim about a person that can be asked for by name."""
