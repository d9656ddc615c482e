"""Which section's transport all sections share (RFC 9143 section 7.3.1), and which sections cannot share it.

A peer connection has one transport. It is that of the tagged section of one BUNDLE group; a section outside of that
group would need another transport, and is not used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sans_rtc.peer.terms import has_own_transport
from sans_rtc.sdp.description import SessionDescription

NOT_BUNDLED = "it is not bundled with the sections that are used"
DEPENDENT = "it is bundled onto the transport of a section that is not accepted"


def choose_tag(
    description: SessionDescription, usable: Sequence[int], live: int | None
) -> tuple[int | None, dict[int, str]]:
    """The section of an offer whose transport is used, and why some of the usable ones cannot share it.

    usable  sections that could be accepted, by themselves
    live    the data section in use: its group goes before others
    """
    groups = _groups(description)
    reasons: dict[int, str] = {}
    order = sorted(usable, key=lambda index: index != live)
    for index in order:
        if index in reasons:
            continue
        members = _members(description, groups, index, usable)
        tag = next((each for each in members if _can_be_tag(description, groups, each)), None)
        if tag is not None:
            reasons |= {each: NOT_BUNDLED for each in usable if each not in members and each not in reasons}
            return tag, reasons
        reasons |= dict.fromkeys(members, DEPENDENT)
    return None, reasons


def _groups(description: SessionDescription) -> dict[str, tuple[str, ...]]:
    """For each bundled mid the mids of its BUNDLE group; of two groups the first counts."""
    groups: dict[str, tuple[str, ...]] = {}
    for group in description.bundle_groups:
        for mid in group.mids:
            groups.setdefault(mid, group.mids)
    return groups


def _members(
    description: SessionDescription, groups: Mapping[str, tuple[str, ...]], index: int, usable: Sequence[int]
) -> list[int]:
    """The usable sections of the group of a section, in the order of the group; itself alone without one."""
    group = groups.get(description.media[index].mid or "", ())
    by_mid = {mid: each for each in usable if (mid := description.media[each].mid) is not None}
    members = [each for each in dict.fromkeys(group) if each in by_mid and groups[each] is group]
    return [by_mid[each] for each in members] or [index]


def _can_be_tag(description: SessionDescription, groups: Mapping[str, tuple[str, ...]], index: int) -> bool:
    """It says where it is; a bundle-only section does so only where it is the suggested tag itself."""
    media = description.media[index]
    mid = media.mid
    group = groups.get(mid or "", ())
    if group and group[0] != mid:
        return not media.is_bundle_only and has_own_transport(description, media)
    return bool(group) or not media.is_bundle_only


def choose_answered_tag(description: SessionDescription, usable: Sequence[int]) -> tuple[int, list[int]] | None:
    """The section of an answer whose transport is used, and those that share it; None where there is none."""
    if not usable:
        return None
    members = _members(description, _groups(description), usable[0], usable)
    return members[0], members
