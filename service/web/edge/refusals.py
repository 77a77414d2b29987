"""What of a request does not count, as a warning of its answer.

Source: Edge Network API, warnings and ``report.eventIndex``; service/decisions/0017-error-codes.md.
"""

from service.core.json import JsonObject
from service.flows.sources import DatastreamSource
from service.profiles import live_activities, push_tokens
from service.profiles.incoming import Part, Refusal
from service.web.edge import errors
from service.web.edge.parsed import ParsedRequest


def refusal_warning(
    refusal: Refusal, parsed: ParsedRequest, source: DatastreamSource
) -> JsonObject:
    """Return the warning for one refusal; what would be taken is named where that is fixed."""
    place = None if refusal.event is None else parsed.places[refusal.event]
    if refusal.part is Part.IDENTITY:
        return errors.identity_not_counted(refusal.subject, refusal.reason, place)
    taken = _taken_instead(refusal.reason, source)
    return errors.token_not_taken(refusal.reason, place, taken)


def _taken_instead(reason: str, source: DatastreamSource) -> str:
    if reason == "tokenPlatformNotOnDatastream":
        taken = sorted(push_tokens.platforms_of(source))
        return f"a {source.platform} datastream takes {', '.join(taken)}"
    if reason == "platformWithoutLiveActivities":
        return f"only {' and '.join(sorted(live_activities.PLATFORMS))} have live activities"
    return ""
