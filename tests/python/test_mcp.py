"""Does an assistant's client, the Python SDK of the Model Context Protocol, get answers that name nobody?"""

import asyncio
import csv
import io
import json
import re

import jsonschema
import pytest
from mcp import Client, MCPError, StdioServerParameters

from program import ENVIRONMENT, catalog, command, load, needs, run

NUMBER, OTHER, LINE = "573005550101", "12025550140", "573009999999"
USER_ID = "CO.13491208655302741918"
# Ids of messages, which spell the number of a person.
WAMID, CONTEXT = "wamid.HBgMNTczMDA1NTUwMTAx", "wamid.HBgMNTczMDA1NTUwMTAy"

EXPORTS = {
    "sessions": f"""\
session_id,session_started_timestamp,session_finished_timestamp,session_type,session_status,conversation_id,\
conversation_version,user_country_code,user_cellphone,line_whatsapp_number,first_message_timestamp,first_message,\
last_message_timestamp,last_message,last_node_id,parent_session_id,user_id
s1,2025-06-01 10:00:00,2025-06-01 10:05:00,Inbound,BOT,417,1,57,3005550101,{LINE},2025-06-01 10:00:00,\
the first secret,2025-06-01 10:04:00,the last secret,size,,{USER_ID}
s2,2025-06-01 10:06:00,2025-06-01 10:09:00,Inbound,AGENTS,418,1,57,3005550101,{LINE},2025-06-01 10:07:00,\
another secret,2025-06-01 10:08:00,more secrets,end,s1,
s3,2025-06-02 10:00:00,2025-06-02 10:05:00,Outbound,BOT,417,1,1,2025550140,{LINE},2025-06-02 10:01:00,\
a third secret,2025-06-02 10:02:00,a fourth secret,size,,
""",
    "deployments": """\
conversation_id,conversation_version,user_country_code,user_cellphone,deployment_timestamp,\
deployment_delivered_timestamp,user_responded_timestamp,delivery_status,session_id
417,1,1,2025550140,2025-06-02 09:59:00,2025-06-02 09:59:30,2025-06-02 10:01:00,Delivered,s3
417,1,57,3005550101,2025-06-02 09:59:00,,,Failed,
""",
    "messages": f"""\
whatsapp_id,from,to,message_direction,template_name,message,created_at,sent_at,delivered_at,user_id,context_id,\
button_payload
{WAMID},{NUMBER},{LINE},true,,a secret message,2025-06-01 10:00:00,,,{USER_ID},{CONTEXT},a secret payload
{CONTEXT},{LINE},{NUMBER},false,welcome,a secret answer,2025-06-01 10:01:00,2025-06-01 10:01:01,2025-06-01 10:01:02,,,
""",
    "agent_chats": f"""\
phone,contact,tag,agent,created_at,assigned_at,finished_at,last_transfer_from,agent_first_message,last_message,\
last_message_sender,duration,rating,status,finish_type,labels
{NUMBER},A Secret Contact,sales,Secret Agent,2025-06-01 10:06:00,2025-06-01 10:06:10,2025-06-01 10:09:00,\
Secret Colleague,2025-06-01 10:07:00,2025-06-01 10:08:00,USER,00:03:00,5,finished,MANUAL,
""",
    "variables": """\
session_id,phone,conversation_id,name,value,at
s3,,417,city,a secret value,2025-06-02 10:02:00
""",
    "audience_tags": f"""\
phone,tag,since
{NUMBER},vip,2025-06-01 00:00:00
{OTHER},control,2025-06-01 00:00:00
""",
}

# What no answer may show, and the tools whose answers show it if people may be named.
PEOPLE = [NUMBER, OTHER, USER_ID, WAMID, CONTEXT]
TEXTS = [
    "the first secret", "the last secret", "another secret", "more secrets", "a secret message", "a secret payload",
    "a secret answer", "a secret value", "Secret Agent",
]
TELLING = {
    "message_log": {}, "conversation_users": {}, "answers": {}, "agent_response": {"by": ["agent"]},
    "user_history": {"phone": NUMBER},
}


def lake_with(folder, settings):
    for name, text in EXPORTS.items():
        (folder / f"{name}.csv").write_text(text)
    load(folder / "lake", *folder.glob("*.csv"))
    (folder / "lake/wabalake.toml").write_text(settings)
    return folder / "lake"


class Session:
    """The tools that a server offers, the results of calls, and all bytes that it wrote."""

    def __init__(self, lake, calls, mode, folder):
        self.bytes, self.log = folder / "out.jsonl", folder / "log.txt"
        self.lake = lake
        asyncio.run(self.talk(calls, mode))

    async def talk(self, calls, mode):
        copied = '"$@" 2>"$LOG" | tee "$BYTES"'
        server = StdioServerParameters(
            command="sh", args=["-c", copied, "sh", *command("mcp", "--lake", self.lake)],
            env=ENVIRONMENT | {"BYTES": str(self.bytes), "LOG": str(self.log)},
        )
        async with Client(server, mode=mode) as client:
            self.tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            self.results = {}
            for name, arguments in calls(self.tools):
                self.results[name] = await client.call_tool(name, arguments)
            with pytest.raises(MCPError) as unknown:
                await client.call_tool("no_such_tool", {})
            self.unknown = unknown.value

    def text(self, name):
        return self.results[name].content[0].text

    def written(self):
        return self.bytes.read_bytes() + self.log.read_bytes()


def needed(query, tool):
    """The parameters that a query needs, with the values of its example."""
    words = needs(query)
    given = {}
    for option, value in zip(words[::2], words[1::2], strict=True):
        name = option.removeprefix("--").replace("-", "_")
        given[name] = [value] if tool.input_schema["properties"][name]["type"] == "array" else value
    return given


def every_tool(tools):
    calls = {"tables": {}, "sql": {"query": "SELECT country, COUNT(DISTINCT user_phone) AS n FROM sessions GROUP BY 1"}}
    queries = {query["name"].replace("-", "_"): query for query in catalog()}
    for name, tool in tools.items():
        if name in queries:
            calls[name] = TELLING.get(name) or needed(queries[name], tool)
    for name, arguments in calls.items():
        jsonschema.validate(arguments, tools[name].input_schema)
    refused = [("user_history", {"phone": NUMBER})]
    return [*calls.items(), *refused]


@pytest.fixture(scope="module")
def masked(tmp_path_factory):
    """A session in which every tool is called and nobody may be named."""
    folder = tmp_path_factory.mktemp("mcp")
    lake = lake_with(folder, "timezone = 'America/Bogota'\n[mcp]\nsql = true\nrows = 1000\n")
    return Session(lake, every_tool, "auto", folder)


def test_every_query_but_that_of_one_person_is_a_tool(masked):
    queries = {query["name"].replace("-", "_"): query for query in catalog()}
    assert set(masked.tools) == (set(queries) | {"tables", "sql"}) - {"user_history"}
    for name, tool in masked.tools.items():
        jsonschema.Draft202012Validator.check_schema(tool.input_schema)
        assert tool.annotations.read_only_hint
        if name in queries:
            assert tool.description == queries[name]["question"]


def test_every_call_is_answered_in_both_forms(masked):
    for name, result in masked.results.items():
        if name == "user_history":
            continue
        assert not result.is_error, (name, masked.text(name))
        answer = result.structured_content
        rows = list(csv.reader(io.StringIO(masked.text(name))))
        assert rows[0] == [column["name"] for column in answer["columns"]], name
        assert len(rows) - 1 == len(answer["rows"]) == answer["rows_total"], name
        for cells, values in zip(rows[1:], answer["rows"], strict=True):
            assert [cell == "" for cell in cells] == [value in (None, "") for value in values], name


def test_answer_is_that_of_the_command_line(masked):
    assert masked.text("drop_off") == run("query", "drop-off", "--lake", masked.lake, "-f", "csv")
    answer = masked.results["drop_off"].structured_content
    status = json.loads(run("status", "--lake", masked.lake, "-f", "json"))
    versions = {table["table"]: table["version"] for table in status}
    read = dict(part.split("=") for part in answer["lake_version"].split(","))
    assert {name: int(version) for name, version in read.items()}.items() <= versions.items()
    assert "sessions" in read and "deployments" not in read
    assert (answer["freshest"], answer["truncated"]) == ("2025-06-02", False)
    # In Bogota the sessions of 10:00 start at 5:00.
    assert "2025-06-01T05:00:00-05:00" in masked.text("session_chains")


def test_tables_are_listed(masked):
    tables = {row["table"]: row for row in csv.DictReader(io.StringIO(masked.text("tables")))}
    assert tables["sessions"]["columns"].split(",")[:2] == ["session_id", "parent_session_id"]
    shown = {name: (row["rows"], row["days"], row["last_day"]) for name, row in tables.items()}
    assert shown["sessions"] == ("3", "2", "2025-06-02")
    assert shown["ad_spend"] == ("0", "0", "")


def test_session_names_nobody(masked):
    written = masked.written()
    assert len(masked.results) == len(masked.tools) + 1
    assert b"message_log: 2 rows in " in masked.log.read_bytes()
    # Without the country code, too, and as a part of something longer.
    for secret in [*PEOPLE, *TEXTS, "3005550101", "2025550140", "13491208655302741918", "secret", "Secret"]:
        assert secret.encode() not in written, secret


def test_equal_people_look_equal(masked):
    log = list(csv.DictReader(io.StringIO(masked.text("message_log"))))
    incoming, outgoing = log
    assert re.fullmatch("person-[0-9a-f]{10}", incoming["from"])
    assert incoming["from"] == incoming["user_phone"] == outgoing["to"] == outgoing["user_phone"]
    assert incoming["context_id"] == outgoing["whatsapp_id"]
    assert len({incoming[name] for name in ("from", "to", "user_id", "whatsapp_id", "context_id")}) == 5
    assert (incoming["message"], incoming["button_payload"], outgoing["button_payload"]) == ("(hidden)", "(hidden)", "")
    # The lines of the business are no people.
    assert incoming["line"] == LINE
    windows = {row["user_phone"] for row in csv.DictReader(io.StringIO(masked.text("open_windows")))}
    assert incoming["user_phone"] in windows and len(windows) == 2


def test_query_about_one_person_is_refused(masked):
    assert masked.results["user_history"].is_error
    assert masked.text("user_history").startswith("error: `user_history` names people\n  hint: ")
    assert masked.unknown.error.code == -32602


def test_people_are_named_if_the_settings_say_so(tmp_path):
    lake = lake_with(tmp_path, "[mcp]\nsql = true\npeople = true\nrows = 5\n")

    def calls(_tools):
        statements = {"query": "SELECT user_phone, agent FROM agent_chats"}
        behind = {"people": True, "cell": ["country=US"]}
        return [*TELLING.items(), ("delivery_rate", behind | {"by": ["country"]}), ("sql", statements)]

    named = Session(lake, calls, "legacy", tmp_path)
    written = named.written().decode()
    # So the search among the bytes of the other session finds what is there. These two are in later rows.
    assert [secret for secret in [*PEOPLE, *TEXTS] if secret not in written] == ["another secret", "more secrets"]
    assert "a secret message" not in named.log.read_text()
    assert named.text("sql") == f"user_phone,agent\n{NUMBER},Secret Agent\n"
    assert named.text("delivery_rate").startswith(f"user_phone,rows,first_at,last_at\n{OTHER},1,")
    history = named.results["user_history"]
    answer = history.structured_content
    assert answer["truncated"] and (len(answer["rows"]), answer["rows_total"] > 5) == (5, True)
    assert history.content[1].text.startswith("These are the first 5 of ")


def test_errors_of_a_call_say_what_to_do(tmp_path):
    lake = lake_with(tmp_path, "[mcp]\nsql = true\n")
    wrong = {
        "drop_off": {"from": "2025-02-30"},
        "delivery_rate": {"country": ["CO"], "with_people": True},
        "return_rate": {"day": 3},
        "message_latency": {"direction": [NUMBER]},
        "sql": {"query": "SELECT user_phone FROM sessions"},
        "tables": {"table": "sessions"},
    }
    session = Session(lake, lambda _tools: wrong.items(), "legacy", tmp_path)
    assert all(result.is_error for result in session.results.values())
    assert session.text("drop_off") == "error: `from` `2025-02-30`: not a date\n  hint: did you mean `2025-02-28`?"
    assert session.text("delivery_rate").startswith("error: `with_people` names people\n  hint: ")
    assert session.text("return_rate").startswith(
        "error: `return_rate` has no parameter `day`\n  hint: did you mean `days`? it takes "
    )
    assert session.text("message_latency").startswith("error: `direction` `…`: no such value\n  hint: ")
    assert session.text("sql").startswith("error: line 1, column 8: `user_phone` names people\n  hint: name columns that are about nobody")
    assert session.text("tables") == "error: `tables` has no parameter `table`\n  hint: it takes none"
    assert NUMBER.encode() not in session.written()
