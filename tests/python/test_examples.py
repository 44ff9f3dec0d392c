"""Do the commands in README.md and docs/ print what the documents show?"""

import re

import pytest

import examples
from program import ROOT

LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return examples.demo_lake(tmp_path_factory.mktemp("demo"))


@pytest.mark.parametrize("page", examples.pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_print_what_the_page_shows(page, lake):
    _, differences = examples.rewritten(page, lake)
    assert not differences, "`make docs-write` rewrites:\n" + "\n".join(differences)


def test_examples_are_found():
    assert len(examples.pages()) > 5


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_outside_the_site_lead_somewhere(name):
    broken = [link for link in LINK.findall((ROOT / name).read_text()) if not (ROOT / link).exists()]
    assert not broken
