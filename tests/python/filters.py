"""What queries are filtered by, in questions about the odd lake."""

import itertools

# Values of filters, some of them null, some of nobody.
FILTERS = {
    "--country": ["CO", "none,MX", "XX"],
    "--line": ["573005550100", "none"],
    "--tag": ["menu", "none", "none,it's", "ñandú / 100 %,🌱"],
    "--conversation-id": ["welcome", "none", "order,cita"],
    "--conversation-version": ["1", "2,none"],
    "--session-type": ["inbound", "outbound"],
    "--session-status": ["bot", "agents,none"],
    "--channel": ["organic,outbound", "meta-ad,redirection"],
    "--delivery-status": ["delivered", "failed,sent"],
    "--state": ["frequency_capped,delivered", "none"],
    "--waba": ["1001", "none"],
    "--direction": ["incoming", "outgoing"],
    "--template": ["promo / 50 %", "none"],
    "--campaign": ["junio", "none"],
    "--ref": ["none", "r1"],
    "--ref1": ["none", "r1"],
    "--ref2": ["none", "r1"],
    "--message-source": ["api", "none,campaign"],
    "--message-format": ["text", "template,none"],
    "--phone": ["573005550101", "none"],
    "--status": ["failed,seen", "none"],
    "--stage": ["in-flow", "none,finished"],
    "--event": ["purchase", "none"],
    "--agent": ["menu", "none,it's"],
    "--name": ["menu", "menu!,none"],
}


OF_SESSIONS = ["--line", "--session-type", "--session-status", "--channel"]
OF_MESSAGES = [
    "--line", "--waba", "--direction", "--template", "--campaign", "--ref", "--ref1", "--ref2", "--message-source",
    "--message-format",
]

# Filters that need another option beside them.
BESIDE = {
    "conversation-summary": [(("--of", "sessions"), OF_SESSIONS)],
    "coverage": [(("--windows",), ["--waba"])],
    "maturity": [(("--of", "finishes"), OF_SESSIONS), (("--of", "conversions"), ["--event"])],
    "what-changed": [(("--of", "conversion"), [*OF_SESSIONS, "--event"]), (("--of", "read"), OF_MESSAGES)],
}

# Dimensions that need another option beside them.
SPLITS_BESIDE = {
    "what-changed": [
        (("--of", "conversion"), ["line", "session-type", "session-status", "channel"]),
        (("--of", "read"), ["line", "waba", "template", "campaign", "ref", "message-source", "format"]),
    ],
}


def named_in(pairs):
    """What needs another option, of pairs of options and what needs them."""
    return {name for _, others in pairs for name in others}


def dimensions_of(query):
    """The dimensions of a query that need no other option."""
    others = named_in(SPLITS_BESIDE.get(query["name"], []))
    return [by for by in query["dimensions"] if by not in others]


def filters_of(query):
    """The filters of a query, one after the other, each with its next values; without end."""
    others = named_in(BESIDE.get(query["name"], []))
    values = {name: itertools.cycle(FILTERS[name]) for name in query["filters"] if name not in others}
    if not values:
        yield from itertools.repeat(())
    for name in itertools.cycle(values):
        yield name, next(values[name])


def others_of(query):
    """Each filter and dimension that needs another option, with it."""
    for beside, others in BESIDE.get(query["name"], []):
        yield from ((*beside, name, value) for name in others for value in FILTERS[name])
    for beside, others in SPLITS_BESIDE.get(query["name"], []):
        yield from ((*beside, "--by", by) for by in others)
