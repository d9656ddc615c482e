"""The RTCP transmission interval (RFC 3550 section 6.3.1 and appendix A.7), as pure functions."""

from __future__ import annotations

import math

# e - 3/2: makes up for reconsideration, which converges below the intended bandwidth (section 6.3.1, step 5).
COMPENSATION = math.e - 1.5


def deterministic_interval_s(
    *,
    members: int,
    senders: int,
    is_sender: bool,
    average_bytes: float,
    bandwidth_bytes_per_s: float,
    sender_fraction: float,
    minimum_s: float,
) -> float:
    """Td: the interval before randomisation (steps 1 to 3).

    members, senders  in the session, oneself included
    is_sender         we_sent
    """
    count = members
    share = 1.0
    if senders <= members * sender_fraction:
        share, count = (sender_fraction, senders) if is_sender else (1.0 - sender_fraction, members - senders)
    # A share of zero turns the reports of that side off (section 6.2).
    if not share:
        return math.inf
    return max(minimum_s, average_bytes * count / (bandwidth_bytes_per_s * share))


def randomised_interval_s(deterministic_s: float, fraction: float) -> float:
    """T: uniform between 0.5 and 1.5 times Td by `fraction` of 0 to 1, compensated (steps 4 and 5)."""
    return deterministic_s * (0.5 + fraction) / COMPENSATION
