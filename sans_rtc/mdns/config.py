"""How a querier and a responder behave: schedules and limits."""

from __future__ import annotations

import attrs

from sans_rtc.validators import within


@attrs.frozen(slots=True)
class MdnsConfig:
    """How a querier behaves.

    query_count_max         how often a name is asked for
    query_interval_s        seconds from the first query to the second; each further interval is twice as long. RFC 6762
                            section 5.2: at least one second, then increasing by a factor of at least two
    timeout_s               seconds until a name counts as unresolvable
    wants_unicast_response  set the QU bit on the first query for a name (RFC 6762 section 5.4). The candidates draft
                            recommends it (section 3.2.1). Off, because a driver normally shares port 5353 with the
                            system's own responder, and the system hands a unicast answer to one of the two only
                            (RFC 6762 section 15.1); Chromium answers to the group all the same. Turn it on where the
                            port is yours alone
    name_count_max          names that may be asked for at once; `resolve` raises LimitExceeded beyond
    names_per_round_max     names asked for in one round of queries: two messages each from every local address
    query_pace_s            least seconds between two rounds of queries, whatever the names: with the line above the
                            rate limit that the candidates draft asks for (section 6.1)
    local_address_count_max addresses that may be asked from
    cache_name_count_max    names whose answers are kept; the one that expires first gives way
    host_count_max          addresses kept for a name; more are discarded
    ttl_s_max               no answer is kept longer, whatever its TTL
    """

    query_count_max: int = attrs.field(default=3, validator=within(1, 16))
    query_interval_s: float = attrs.field(default=1.0, validator=within(1.0, 60.0))
    timeout_s: float = attrs.field(default=5.0, validator=within(0.1, 600.0))
    wants_unicast_response: bool = False
    name_count_max: int = attrs.field(default=64, validator=within(1, 1024))
    names_per_round_max: int = attrs.field(default=8, validator=within(1, 64))
    query_pace_s: float = attrs.field(default=0.1, validator=within(0.001, 10.0))
    local_address_count_max: int = attrs.field(default=32, validator=within(1, 256))
    cache_name_count_max: int = attrs.field(default=128, validator=within(0, 4096))
    host_count_max: int = attrs.field(default=8, validator=within(1, 64))
    ttl_s_max: float = attrs.field(default=120.0, validator=within(0.0, 86400.0))


@attrs.frozen(slots=True)
class ResponderConfig:
    """How a responder behaves.

    ttl_s                   seconds that others may keep its records; RFC 6762 section 10 recommends 120 for addresses
    name_count_max          names; `publish` raises LimitExceeded beyond
    host_count_max          addresses of one name
    local_address_count_max addresses that may be answered on
    records_per_message_max records told in one message; twelve of usual size are some 800 bytes
    questions_max           questions for names of ours that are answered of one query
    names_per_round_max     names announced at once
    announcement_pace_s     least seconds between two rounds of announcements, whatever the names: with the line above
                            the rate limit that the candidates draft asks for (section 6.1)
    responses_per_s_max     responses, all together; queries beyond are discarded
    """

    ttl_s: int = attrs.field(default=120, validator=within(1, 86400))
    name_count_max: int = attrs.field(default=1024, validator=within(1, 65536))
    host_count_max: int = attrs.field(default=8, validator=within(1, 64))
    local_address_count_max: int = attrs.field(default=32, validator=within(1, 256))
    records_per_message_max: int = attrs.field(default=12, validator=within(1, 12))
    questions_max: int = attrs.field(default=8, validator=within(1, 8))
    names_per_round_max: int = attrs.field(default=32, validator=within(1, 1024))
    announcement_pace_s: float = attrs.field(default=0.1, validator=within(0.001, 10.0))
    responses_per_s_max: float = attrs.field(default=50.0, validator=within(1.0, 10_000.0))
