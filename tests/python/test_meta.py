"""Round trip: points written in the format of Meta's API and loaded again give the same answers.

The expressions are written as in Meta's documentation; the lake holds a few weeks of generated exports.
"""

import json

import pytest

from program import load, run

DAYS = "start(1746057600).end(1748736000)"  # May 2025, UTC
WABA = "100000000000052"
EXPRESSIONS = [
    f"analytics.{DAYS}.granularity(DAY)",
    f"analytics\n.{DAYS}\n.granularity(MONTH)\n.country_codes([\"MX\", \"CO\"])\n&access_token=x",
    f"?fields=analytics.{DAYS}.granularity(HALF_HOUR).phone_numbers([]).product_types([100])",
    # Neither bound is the bound of a bucket.
    "analytics.start(1746800001).end(1747000002).granularity(DAY)",
    f"conversation_analytics.{DAYS}.granularity(MONTHLY).phone_numbers([])"
    '.dimensions(["CONVERSATION_CATEGORY","CONVERSATION_TYPE","COUNTRY,PHONE"])',
    f"conversation_analytics.{DAYS}.granularity(HALF_HOUR)"
    '.conversation_categories(["MARKETING","AUTHENTICATION"]).dimensions(["CONVERSATION_CATEGORY"])',
    f"conversation_analytics.{DAYS}.granularity(DAILY).dimensions([CONVERSATION_TYPE])"
    ".conversation_types([FREE_ENTRY,REGULAR]).metric_types([COST])",
    f"conversation_analytics.{DAYS}.granularity(DAILY)",
    f"pricing_analytics.{DAYS}.granularity(DAILY).dimensions([PRICING_CATEGORY,PRICING_TYPE,TIER])",
    f"pricing_analytics.{DAYS}.granularity(MONTHLY).dimensions([COUNTRY,PHONE]).metric_types([VOLUME])",
    "template_analytics.start(2025-05-01).end(2025-06-01).granularity(DAILY)",
]


@pytest.mark.parametrize("zone", ["UTC", "America/Sao_Paulo", "Asia/Kathmandu"])
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_response_can_be_loaded_again(demo_lake, expression, zone, tmp_path):
    name = expression.removeprefix("?fields=").split(".")[0].strip().replace("_", "-")
    ask = ("query", name, "--fields", expression, "--waba", WABA, "--timezone", zone, "--lake")
    expected = run(*ask, demo_lake, "-f", "csv")
    assert len(expected.splitlines()) > 1
    response = json.loads(run(*ask, demo_lake, "-f", "meta-json"))
    assert response["id"] == WABA
    assert list(response) == [name.replace("-", "_"), "id"]

    (tmp_path / "response.json").write_text(json.dumps(response))
    lake = tmp_path / "lake"
    load(lake, tmp_path / "response.json")
    assert run(*ask, lake, "-f", "csv", "--source", "meta") == expected


@pytest.mark.parametrize("name", ["analytics", "conversation-analytics", "pricing-analytics"])
def test_response_without_points(name, demo_lake):
    response = json.loads(run("query", name, "--to", "1999-01-01", "--lake", demo_lake, "-f", "meta-json"))
    assert response["id"] is None
    assert "data_points" in json.dumps(response)
