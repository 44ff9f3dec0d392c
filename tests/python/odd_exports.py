"""Generates exports in which edge cases are frequent: nulls, ties, rows in several states, timestamps around
DST changes, phones of no country. Equal seeds give equal files.

Values come from the lists below and from the fixtures of the queries, so that ids in golden commands occur.
"""

import csv
import json
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from random import Random
from zoneinfo import ZoneInfo

import pyarrow

from lakes import catalog_columns, data_tables
from program import ROOT

DERIVED = {"user_phone", "country", "state", "line", "message_type"}
PHONES = [  # reserved for fiction, or of no country
    "573005550101", "573005550101.0", "+57 300 555-0101", "5511955550104", "551155550104",
    "5215555550103", "525555550103", "12025550142", "16135550199", "0", "99900011122", "",
]
USER_IDS = ["CO.1", "CO.2", "CO.3", "MX.ENT.4aB", "BR.5", "BR.6", "US.7"]
LINES = ["573005550100", "525555550100", ""]
TEXTS = ["", "menu", "Menu", "ñandú / 100 %", "n\u0303andu\u0301", "🌱", "it's", "a,b", 'a"b', "z\\z"]
IDS = [f"s{number:02}" for number in range(1, 300)]
COUNTRIES = ["Colombia", "United States", "Atlantis", ""]
# DST changes of several zones, and ordinary instants.
CHANGES = [
    datetime.fromisoformat(f"{stamp}+00:00") for stamp in (
        "2025-03-30T01:00:00", "2025-10-26T01:00:00",  # Europe/Madrid
        "2025-03-09T07:00:00", "2025-11-02T06:00:00",  # America/New_York
        "2025-04-05T15:00:00", "2025-10-04T15:30:00",  # Australia/Lord_Howe, half an hour
        "2018-11-04T03:00:00", "2019-02-17T02:00:00",  # America/Sao_Paulo, at midnight
        "2025-06-01T00:00:00", "2025-06-02T05:00:00", "2025-12-31T18:15:00",
    )
]
CATEGORIES = ["marketing", "utility", "authentication", "authentication_international", "service"]
MARKETS = ["Colombia", "north_america", "Brazil", "Rest of the Moon", "Other"]
STEPS = [
    timedelta(), timedelta(microseconds=1), timedelta(seconds=90), timedelta(minutes=30),
    timedelta(hours=1), timedelta(hours=24), timedelta(days=7), timedelta(days=31),
]


def write(folder, schemas_of, rows=500, seed=1):
    """Writes an export for each table of the lake and returns their paths."""
    random = Random(seed)
    paths = []
    for name, table in data_tables(schemas_of).items():
        if name not in ODD and not fixture(name).exists():
            continue
        schema = pyarrow.schema(table.schema().to_arrow())
        columns = [column for column in catalog_columns(table) if column not in DERIVED]
        pools = fixture_values(name)
        path = folder / f"{name}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            lines = csv.writer(file)
            odd = ODD.get(name)
            lines.writerow(odd(random, CHANGES[0]) if odd else columns)
            for _ in range(rows):
                moment = around(random, random.choice(CHANGES + pools["stamps"]))
                if odd:
                    lines.writerow(odd(random, moment).values())
                    continue
                lines.writerow(
                    [cell(random, column, schema.field(column).type, pools, moment) for column in columns]
                )
            if name == "messages":
                added = [*failures(), *reported_twice()]
                lines.writerows([message.get(column, "") for column in columns] for message in added)
            if name == "deployments":
                lines.writerows([sent.get(column, "") for column in columns] for sent in capped())
        paths.append(path)
    return [*paths, identities(folder, random), webhooks(folder, random)]


def failures():
    """Messages that failed and were not delivered later, which is rare among random ones."""
    for number, code in enumerate([131026, 131026, 132015, ""]):
        at = (CHANGES[number] + timedelta(seconds=1)).isoformat()
        yield {
            "whatsapp_id": f"failed-{number}", "created_at": at, "failed_at": at, "message_direction": "outgoing",
            "to": PHONES[number % 2], "error_code": code, "reason_for_failure": TEXTS[number % 2],
        }


def reported_twice():
    """Messages that two sources report, up to five seconds apart or a little more; and a reaction to each."""
    for number, apart in enumerate([0, 5, 5.000001, 4, 5]):
        ends = [PHONES[number % 2 * 4], LINES[0]]
        incoming = {"message_direction": "incoming", "from": ends[0], "to": ends[1]}
        outgoing = {"message_direction": "outgoing", "from": ends[1], "to": ends[0], "delivered_at": CHANGES[number].isoformat()}
        message = incoming if number % 2 else outgoing
        later = CHANGES[number] + timedelta(seconds=apart)
        yield message | {"whatsapp_id": f"wamid.twice{number}", "created_at": CHANGES[number].isoformat()}
        yield message | {"whatsapp_id": f"twice{number}", "created_at": later.isoformat(), "pricing_type": "odd"}
        yield incoming | {
            "whatsapp_id": f"wamid.reaction{number}", "format": "reaction",
            "created_at": (later + timedelta(minutes=1)).isoformat(),
        }


def capped():
    """Deployments that Meta capped, two of them at one instant, and their retries: capped again, then delivered."""
    hours = [timedelta(hours=hours) for hours in (6, 12, 48, 72, 14 * 24)]
    for number, step in enumerate([*STEPS, *hours, hours[-1] + timedelta(microseconds=1)]):
        sent = {"conversation_id": "order", "user_cellphone": f"573005550{120 + number}"}
        failed = sent | {"delivery_status": "Failed", "status_detail": "FAILURE_BY_SPAM_RATE_LIMIT"}
        at = CHANGES[number % len(CHANGES)]
        for version in (2, ""):
            yield failed | {"conversation_version": version, "deployment_timestamp": at.isoformat()}
        yield failed | {"conversation_version": 1, "deployment_timestamp": (at + step).isoformat()}
        responded = at + 2 * step if number % 2 else ""
        yield sent | {
            "conversation_version": 1, "deployment_timestamp": (at + 2 * step).isoformat(),
            "delivery_status": "Delivered", "user_responded_timestamp": responded and responded.isoformat(),
        }


def identities(folder, random):
    """Links of user ids: to numbers, to one another, at the same time, at none."""
    path = folder / "identities.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(["user_id", "linked", "first_seen", "last_seen"])
        seen = ["", *(moment.isoformat() for moment in CHANGES[:3])]
        lines.writerow(["CO.2", "CO.1", "", ""])
        lines.writerow(["CO.1", "573005550101", "", CHANGES[0].isoformat()])
        for _ in range(5):
            linked = random.choice([*USER_IDS[2:6], "573005550101", "525555550103"])
            lines.writerow([random.choice(USER_IDS[2:6]), linked, random.choice(seen), random.choice(seen)])
    return path


def webhooks(folder, random):
    """Webhooks of Meta: messages, their statuses in any order, events; at the times of other rows."""
    path = folder / "webhooks.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for _ in range(300):
            at = int(around(random, random.choice(CHANGES)).timestamp())
            field, value = random.choice([received, received, status, status, preference, change])(random, at)
            value |= {"messaging_product": "whatsapp", "metadata": {"display_phone_number": random.choice(LINES[:2])}}
            changes = [{"field": field, "value": value}]
            entry = {"id": random.choice(["1001", "1002"]), "time": at, "changes": changes}
            file.write(json.dumps({"object": "whatsapp_business_account", "entry": [entry]}) + "\n")
    return path


def shown(random, number, user_id):
    """A person in a webhook: a number or a user id; for two of the ids both, which links them."""
    numbers = ["573005550101", "5511955550104", "5215555550103", "12025550142", "99900011122"]
    ids = {number: random.choice(numbers), user_id: random.choice(USER_IDS)}
    hidden = random.choice([number, user_id])
    return {name: id for name, id in ids.items() if name != hidden or ids[user_id] in USER_IDS[2:4]}


def received(random, at):
    """A message of a person, which may come twice, with other content."""
    kind, content = random.choice([
        ("text", {"body": random.choice(TEXTS)}), ("image", {"caption": random.choice(TEXTS)}),
        ("button", {"text": "Menu", "payload": random.choice(["menu", "ñandú / 100 %"])}),
        ("reaction", {"message_id": f"wamid.{random.randrange(80)}", "emoji": random.choice(["🌱", ""])}),
    ])
    message = {"id": f"wamid.{random.randrange(80)}", "timestamp": str(at), "type": kind, kind: content}
    if kind == "button":
        message["context"] = {"id": f"wamid.{random.randrange(80)}"}
    elif random.random() < 0.3:
        source = random.choice(fixture_values("sessions")["meta_source_id"])
        message["referral"] = {
            "source_type": random.choice(["ad", "post"]), "source_id": source, "headline": random.choice(TEXTS),
            "ctwa_clid": random.choice(["", "A1"]),
        }
    return "messages", {"messages": [message | shown(random, "from", "from_user_id")]}


def status(random, at):
    """A status of a message, rarely one of those that people wrote."""
    word = random.choice(["sent", "delivered", "read", "failed"])
    found = {"id": f"wamid.{random.randrange(70, 200)}", "status": word, "timestamp": str(at)}
    if word == "failed":
        codes = random.choice([[131026], [132015, 131026], []])
        found["errors"] = [{"code": code, "title": random.choice(TEXTS)} for code in codes]
    else:
        found["pricing"] = {
            "pricing_model": random.choice(["PMP", "PMP", "CBP"]), "billable": random.choice([True, False]),
            "category": random.choice([*CATEGORIES, "referral_conversion"]),
        }
        if random.random() < 0.7:
            found["pricing"]["type"] = random.choice(["regular", "free_customer_service", "free_entry_point"])
    return "messages", {"statuses": [found | shown(random, "recipient_id", "recipient_user_id")]}


def preference(random, at):
    """A person stops marketing messages, or resumes them at the same time."""
    wish = {"category": "marketing_messages", "value": random.choice(["stop", "resume"]), "timestamp": at}
    return "user_preferences", {"user_preferences": [wish | shown(random, "wa_id", "user_id")]}


def change(random, at):
    """A change of a template, a line or an account."""
    template = {
        "message_template_id": random.choice([7, 8]), "message_template_language": "es",
        "message_template_name": random.choice(["promo / 50 %", "bienvenida", "it's"]),
    }
    scores = ["GREEN", "YELLOW", "RED", "UNKNOWN"]
    return random.choice([
        ("message_template_status_update", template | {
            "event": random.choice(["APPROVED", "PAUSED", "REJECTED"]), "reason": random.choice(["NONE", "ABUSE"]),
        }),
        ("message_template_quality_update", template | {
            "previous_quality_score": random.choice(scores), "new_quality_score": random.choice(scores),
        }),
        ("template_category_update", template | {
            "previous_category": "UTILITY", "new_category": random.choice(["MARKETING", "UTILITY"]),
        }),
        ("phone_number_quality_update", {
            "display_phone_number": random.choice(LINES[:2]), "event": "UPGRADE", "old_limit": "TIER_1K",
            "current_limit": random.choice(["TIER_10K", "TIER_UNLIMITED"]),
        }),
        ("account_update", {"event": random.choice(["VERIFIED_ACCOUNT", "ñandú"])}),
    ])


def person(random):
    """A number in any form, a user id, or none."""
    return random.choice([*PHONES, *USER_IDS])


def cell(random, column, kind, pools, moment):
    if pyarrow.types.is_timestamp(kind):
        if column in ("session_started_timestamp", "deployment_timestamp", "created_at"):
            return moment.isoformat()
        return "" if random.random() < 0.3 else around(random, moment).isoformat()
    if column == "error_code":
        return random.choice(["", "", 131026, 132015, 131000, 7])
    if pyarrow.types.is_integer(kind):
        return random.choice(["", 1, 2, 3])
    if column in ("user_cellphone", "from", "to"):
        return random.choice(PHONES[:-1] + USER_IDS + pools["user_phone"] + LINES[:-1])
    if column == "user_id":
        return random.choice(["", "", "42", *USER_IDS])
    if column in ("session_id", "whatsapp_id"):
        return random.choice(IDS + pools["session_id"])
    if column == "parent_session_id":
        return "" if random.random() < 0.6 else random.choice(IDS)
    if column.startswith(("meta_source_", "whatsapp_link_")) and random.random() < 0.5:
        return ""
    if column == "user_country_code":
        return random.choice(["", "", "57", "+52", "1"])
    if column == "line_whatsapp_number":
        return random.choice(LINES + pools[column])
    if column == "country_name":
        return random.choice(COUNTRIES)
    known = pools[column]
    if column in ("message_direction", "delivery_status"):
        return random.choice(known)
    return random.choice(known + TEXTS if len(known) < 4 else [*known, "", "odd"])


def conversion(random, moment):
    """A conversion of a session, a person, both or neither, around DST changes."""
    return {
        "conversion_id": f"c{random.randrange(400)}",
        "event": random.choice(["purchase", "Purchase", "LEAD", "Ñandú", ""]),
        "converted_at": moment.isoformat(),
        "session_id": random.choice(["", "", *random.sample(IDS, 2)]),
        "phone": person(random),
        "value": random.choice(["", "0", "0.000001", "10.5", "-3", "99999.99"]),
        "currency": random.choice(["COP", "COP", "USD", ""]),
    }


def audience_tag(random, moment):
    """A tag without a start, or since an instant near other rows."""
    return {
        "phone": random.choice([*PHONES[:-1], *USER_IDS]),
        "tag": random.choice([text for text in TEXTS if text]),
        "since": random.choice(["", moment.isoformat()]),
    }


def agent_chat(random, moment):
    """A chat of a person with an agent, in several states; a few cells of messages are times."""
    later = lambda: random.choice(["", around(random, moment).isoformat()])
    return {
        "phone": random.choice([*PHONES[:-1], *USER_IDS]),
        "agent": random.choice([*TEXTS, "-"]),
        "created_at": moment.isoformat(),
        "assigned_at": later(), "finished_at": later(),
        "last_transfer_from": random.choice(["-", "Alba"]),
        "agent_first_message": later(), "last_message": random.choice(["", "hola", "3005550101"]),
        "last_message_sender": random.choice(["AGENT", "USER", "IA", "odd", ""]),
        "rating": random.choice(["-", "5", "4.5", ""]),
        "status": random.choice(["finished", "open", ""]),
        "finish_type": random.choice(["AUTO", "manual", "-"]),
        "tag": random.choice(["", "ventas"]),
        "labels": random.choice(["", "b,a", "ñ;x, b"]),
    }


def closure(random, moment):
    """A closure of an existing, missing or no session; some event ids repeat or are missing."""
    return {
        "event_id": random.choice(["", *(f"e{number}" for number in range(400))]),
        "event_type": random.choice(["session.close", "session.close", "conversation-closed", ""]),
        "session_id": random.choice(["", "s00", *random.sample(IDS, 4)]),
        "closed_at": around(random, moment).isoformat(),
        "user_country_code": random.choice(["", "57"]),
        "user_cellphone": person(random),
        "hsm_name": random.choice(TEXTS),
        "received_at": random.choice(["", "1970-01-01 00:00:00", moment.isoformat()]),
    }


def ad_spend(random, moment):
    """Spend of ads that sessions name, and of one that none names."""
    return {
        "ad_id": random.choice([*fixture_values("sessions")["meta_source_id"], "menu", "Menu", "120226305854819999"]),
        "day": moment.date().isoformat(),
        "currency": random.choice(["USD", "USD", "USD", "COP", ""]),
        "spend": random.choice(["0", "1", "2.5", "10.000001"]),
        "exported_on": random.choice(["", "2025-06-03", "2025-06-09"]),
    }


def rate(random, moment):
    """A price for one country, market or any, with or without tiers, from days around DST changes."""
    country = random.choice(["", "*", "CO", "BR", "MX", "US", *[""] * 6])
    return {
        "effective_from": random.choice([moment.date(), "2018-01-01", "2025-01-01", "2025-06-01"]),
        "country": country,
        "market": "" if country else random.choice(["", *MARKETS]),
        "category": random.choice([*CATEGORIES, "business_initiated", "user_initiated", "referral", "odd"]),
        "tier_from": random.choice(["", 0, 0, 2, 3, 5]),
        "price": random.choice(["0", "0.000001", "0.0125", "1.5"]),
        "currency": random.choice(["USD", "USD", "USD", "BRL", ""]),
        "revision": random.choice(["", 1, 2]),
    }


def market(random, moment):
    """The market of a country, also of one whose market is built in, from a day around DST changes."""
    return {
        "country": random.choice(["CO", "BR", "MX", "US", "CA"]),
        "market": random.choice(MARKETS),
        "valid_from": random.choice([moment.date(), "2010-01-01", "2025-06-02"]),
        "revision": random.choice(["", 1, 2]),
    }


def node(random, moment):
    """A node of some or all versions of a flow; the same node in several revisions."""
    return {
        "conversation_id": random.choice(["welcome", "order", "cita"]),
        "conversation_version": random.choice(["", 1, 2, 3]),
        "node_id": random.choice(["menu", "Menu", "ñandú / 100 %", "end"]),
        "label": random.choice(TEXTS),
        "position": random.choice(["", 1, 2, 3]),
        "is_final": random.choice(["", "yes", "no"]),
        "question": random.choice(TEXTS),
        "revision": random.choice(["", 1, 2]),
    }


def variable(random, moment):
    """A variable of a session, a person in a flow, or only one of both; names repeat, times may be missing."""
    return {
        "session_id": random.choice(["", "", *random.sample(IDS, 2)]),
        "phone": person(random),
        "conversation_id": random.choice(["", "welcome", "order", "cita"]),
        "name": random.choice([text for text in TEXTS if text] + ["menu!", "{}", "\t"]),
        "value": random.choice([*TEXTS, "1\n2\r\n", "\x01\x08\x0b\x1f", "{}:,"]),
        "at": random.choice(["", "2025-06-01T00:00:00Z", moment.isoformat()]),
    }


def meta_point(random, moment):
    """A point of several zones, bucket lengths and breakdowns; some measures are missing."""
    field = random.choice([*BREAKDOWNS, "analytics"])
    length = random.choice(["HALF_HOUR", "DAY", "DAY", "DAY", "MONTH"])
    zone = ZoneInfo(random.choice(["UTC", "UTC", "Europe/Madrid", "America/Sao_Paulo"]))
    local = moment.astimezone(zone)
    start = local.replace(minute=local.minute // 30 * 30, second=0, microsecond=0, fold=0)
    end = start + timedelta(minutes=30)
    if length != "HALF_HOUR":
        start = start.replace(hour=0, minute=0, day=1 if length == "MONTH" else start.day)
        end = start + timedelta(days=32 if length == "MONTH" else 1)
        end = end.replace(day=1) if length == "MONTH" else end
    point = dict.fromkeys(META_COLUMNS, "")
    point |= {
        "waba_id": random.choice(["", "1001", "1002"]), "field": field, "granularity": length,
        "start": int(start.timestamp()), "end": int(end.timestamp()),
    }
    if field == "analytics":
        point["phone_numbers"] = random.choice(["", LINES[0], LINES[1], ",".join(LINES[:2])])
        point["country_codes"] = random.choice(["", "CO", "MX", "BR,CO"])
        measures = ["sent", "delivered"]
    elif field == "template_analytics":
        point["template_id"] = random.choice(["promo / 50 %", "bienvenida", "it's"])
        point["product_type"] = random.choice(["", "", "CLOUD_API", "marketing-messages-lite-api"])
        measures = ["sent", "delivered", "read", "clicked", "unique_clicked", "cost"]
    else:
        words, count = BREAKDOWNS[field]
        dimensions = random.choice(words)
        point["dimensions"] = ",".join(dimensions)
        for word in dimensions:
            column, values = META_WORDS[word]
            point[column] = random.choice([*values, ""])
        measures = [count, "cost"]
    for measure in measures:
        point[measure] = random.choice(["", 0, 1, 2, 5])
    return point


META_COLUMNS = """
    waba_id field granularity start end dimensions phone_numbers country_codes phone_number country
    conversation_category conversation_type conversation_direction pricing_category pricing_type tier
    template_id sent delivered read clicked conversation volume cost product_type unique_clicked
""".split()
META_WORDS = {
    "COUNTRY": ("country", ["CO", "MX", "BR"]),
    "PHONE": ("phone_number", LINES[:2]),
    "CONVERSATION_CATEGORY": ("conversation_category", ["MARKETING", "SERVICE", "UNKNOWN"]),
    "CONVERSATION_TYPE": ("conversation_type", ["REGULAR", "FREE_TIER", "FREE_ENTRY_POINT"]),
    "CONVERSATION_DIRECTION": ("conversation_direction", ["BUSINESS_INITIATED", "USER_INITIATED"]),
    "PRICING_CATEGORY": ("pricing_category", ["UTILITY", "SERVICE"]),
    "PRICING_TYPE": ("pricing_type", ["REGULAR", "FREE_CUSTOMER_SERVICE"]),
    "TIER": ("tier", ["0:25", "26:MAX"]),
}
BREAKDOWNS = {
    "conversation_analytics": (
        [[], ["COUNTRY"], ["COUNTRY", "PHONE"], ["CONVERSATION_TYPE", "COUNTRY"],
         ["CONVERSATION_CATEGORY", "CONVERSATION_DIRECTION"]], "conversation",
    ),
    "pricing_analytics": (
        [[], ["COUNTRY"], ["PRICING_CATEGORY", "PRICING_TYPE"], ["COUNTRY", "PRICING_TYPE", "TIER"]], "volume",
    ),
    "template_analytics": ([[]], "sent"),
}


def summary(random, moment):
    """The columns that both summaries of the vendor share."""
    zone = ZoneInfo(random.choice(["UTC", "America/Sao_Paulo"]))
    return {
        "date": moment.astimezone(zone).date(),
        "waba_id": random.choice(["1001", "1002", "-"]),
        "wa_phone_number": random.choice([*LINES, PHONES[0], "-"]),
        "display_name": random.choice(["-", "Tienda", "Ñandú 🌱", "tienda"]),
        "campaign_name": random.choice(["-", "junio"]),
        "country": random.choice(["Colombia", "Mexico", "Atlantis", "-"]),
    }


def message_summary(random, moment):
    """Counts that differ from those of the messages, or are missing."""
    counts = ["created", "failed", "sent", "delivered", "read", "received"]
    kind = {"message_type": random.choice(["Incoming session message", "Template message", "Outgoing message"])}
    return summary(random, moment) | kind | {count: random.choice(["-", 0, 1, 2]) for count in counts}


def session_summary(random, moment):
    """Sessions by type or category, in several currencies."""
    return summary(random, moment) | {
        "session_type": random.choice([*CATEGORIES, "User-initiated", "referral", "odd", "-"]),
        "free_tier": random.choice(["Yes", "No", "No", "-"]),
        "number_of_sessions": random.choice([0, 1, 2]),
        "amount": random.choice(["-", "0", "0.0125", "1.5"]),
        "currency": random.choice(["USD", "BRL", ""]),
    }


# Row generators of tables whose cells depend on each other.
ODD = {
    "ad_spend": ad_spend, "agent_chats": agent_chat, "audience_tags": audience_tag, "closures": closure,
    "conversions": conversion,
    "markets": market, "message_summaries": message_summary, "meta_points": meta_point, "nodes": node, "rates": rate,
    "session_summaries": session_summary, "variables": variable,
}


def around(random, moment):
    return moment + random.choice([-1, 1, 1, 1]) * random.choice(STEPS)


def fixture(table):
    return ROOT / "queries/fixtures" / f"{table}.csv"


def fixture_values(table):
    """The distinct values of each column of a fixture, and all its timestamps as `stamps`."""
    pools = defaultdict(list)
    path = fixture(table)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for row in csv.DictReader(line for line in lines if not line.startswith("#")):
        for column, value in row.items():
            if value and value not in pools[column]:
                pools[column].append(value)
    pools["message_direction"] = ["incoming", "outgoing"]
    if table == "messages":
        pools["conversation_id"] += [f"k{number}" for number in range(100)]
        pools["conversation_type"] += [*CATEGORIES, "referral", "referral_conversion"]
        pools["pricing_type"] = ["regular", "free_customer_service", "free_entry_point", *[""] * 6]
        pools["pricing_category"] = [*CATEGORIES, "marketing_lite", "referral_conversion", *[""] * 9]
    stamps = [column for column in pools if column.endswith(("_timestamp", "_at"))]
    pools["stamps"] = [
        datetime.fromisoformat(value).astimezone(timezone.utc) for column in stamps for value in pools[column]
    ]
    return pools
