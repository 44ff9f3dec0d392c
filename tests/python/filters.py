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
}


# Filters that need another option beside them.
BESIDE = {
    "conversation-summary": (("--of", "sessions"), ["--line", "--session-type", "--session-status", "--channel"]),
    "coverage": (("--windows",), ["--waba"]),
}


def filters_of(query):
    """The filters of a query, one after the other, each with its next values; without end."""
    _, others = BESIDE.get(query["name"], ((), []))
    values = {name: itertools.cycle(FILTERS[name]) for name in query["filters"] if name not in others}
    if not values:
        yield from itertools.repeat(())
    for name in itertools.cycle(values):
        yield name, next(values[name])


def others_of(query):
    """Each filter that needs another option, with it."""
    beside, others = BESIDE.get(query["name"], ((), []))
    return [(*beside, name, value) for name in others for value in FILTERS[name]]
