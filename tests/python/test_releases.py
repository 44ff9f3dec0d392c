"""What GitHub runs and what a release says of itself, compared with what it is made of: none of it runs here."""

import json
import re
import subprocess
import tomllib

import yaml

from program import ROOT


def workflow(name):
    return yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text())


def steps(job):
    """The commands of a job, with the values of its matrix."""
    commands = [step["run"] for step in job["steps"] if "run" in step]
    values = job.get("strategy", {}).get("matrix", {}).get("step", [])
    return [command.replace('"$STEP"', value) for command in commands for value in values or [""]]


def test_every_step_of_make_test_is_a_job():
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    named = re.findall(r"^(?:STEPS|BESIDE) := (.*)$", makefile, re.MULTILINE)
    expected = {step for line in named for step in line.split()}
    assert len(expected) > 10
    commands = [command for job in workflow("ci")["jobs"].values() for command in steps(job)]
    assert sorted(command.removeprefix("make ") for command in commands if command.startswith("make test-")) == sorted(expected)


def test_actions_are_those_that_were_read():
    """An action is named by the hash of its commit: a tag may be moved to another one."""
    files = [*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob(".github/actions/*/action.yml")]
    used = [action for file in files for action in re.findall(r"uses: (\S+)", file.read_text())]
    assert len(used) > 20
    assert not [action for action in used if not re.fullmatch(r"\./.*|[\w./-]+@[0-9a-f]{40}", action)]


def test_licences_are_checked_for_every_target_of_a_release():
    jobs = workflow("release")["jobs"]
    targets = {of["target"] for job in ("archives", "wheels") for of in jobs[job]["strategy"]["matrix"]["include"]}
    assert set(tomllib.loads((ROOT / "deny.toml").read_text())["graph"]["targets"]) == targets


def is_allowed(licence, allowed):
    """Whether a crate with an SPDX expression may be built in."""
    terms = re.split(r"(\(|\)|\bAND\b|\bOR\b|/)", licence)
    joined = {"AND": " and ", "OR": " or ", "/": " or ", "(": "(", ")": ")"}
    words = [joined.get(term) or str(term.strip() in allowed) for term in terms if term.strip()]
    return eval("".join(words), {})


def test_licence_of_alternatives_and_of_parts():
    allowed = {"MIT", "Apache-2.0 WITH LLVM-exception"}
    for licence in ["MIT", "GPL-3.0 OR MIT", "GPL-3.0/MIT", "Apache-2.0 WITH LLVM-exception OR X", "(X OR MIT) AND MIT"]:
        assert is_allowed(licence, allowed), licence
    for licence in ["GPL-3.0", "MIT AND GPL-3.0", "Apache-2.0", "(MIT OR X) AND X"]:
        assert not is_allowed(licence, allowed), licence


def test_crates_may_be_built_in():
    """As cargo-deny checks them, for this machine's target: `make test-licences` does so for every target, and looks
    for known faults."""
    rules = tomllib.loads((ROOT / "deny.toml").read_text())
    host = re.search(r"^host: (.*)$", subprocess.check_output(["rustc", "-vV"], text=True), re.MULTILINE)[1]
    metadata = ["cargo", "metadata", "--locked", "--all-features", "--format-version=1", f"--filter-platform={host}"]
    metadata = json.loads(subprocess.check_output(metadata, cwd=ROOT))
    built = {node["id"] for node in metadata["resolve"]["nodes"]}
    crates = [crate for crate in metadata["packages"] if crate["id"] in built]
    assert len(crates) > 300
    allowed, exceptions = set(rules["licenses"]["allow"]), {}
    for exception in rules["licenses"]["exceptions"]:
        exceptions[exception["crate"]] = set(exception["allow"])
    refused = [
        (crate["name"], crate["license"])
        for crate in crates
        if not is_allowed(crate["license"] or "none", allowed | exceptions.get(crate["name"], set()))
    ]
    assert not refused
    names = {crate["name"] for crate in crates}
    assert not names & {banned["crate"] for banned in rules["bans"]["deny"]}
    assert rules["sources"] == {"unknown-registry": "deny", "unknown-git": "deny"}
    sources = {crate["source"] for crate in crates}
    assert sources == {None, "registry+https://github.com/rust-lang/crates.io-index"}


def test_wheel_and_crates_say_the_same():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    cargo = tomllib.loads((ROOT / "Cargo.toml").read_text())
    package = cargo["workspace"]["package"]
    assert project["urls"]["Repository"] == package["repository"]
    assert project["license"] == package["license"]
    assert project["description"] == cargo["package"]["description"]
    assert project["dynamic"] == ["version"]
    assert set(project["keywords"]) <= {*package["keywords"], "arrow"}
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(rf"^## {re.escape(package['version'])} \((unreleased|\d{{4}}-\d\d-\d\d)\)$", changelog, re.MULTILINE)


def test_largest_wheel_is_the_same_everywhere():
    size = re.search(r"^WHEEL_BYTES := (\d+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    assert f"-lt {size}" in (ROOT / ".github/workflows/release.yml").read_text()


def test_issue_forms_ask_for_the_check_and_never_for_data():
    forms = {file.name: yaml.safe_load(file.read_text()) for file in ROOT.glob(".github/ISSUE_TEMPLATE/[bq]*.yml")}
    assert set(forms) == {"bug.yml", "question.yml"}
    for name, form in forms.items():
        assert "Never attach or paste data" in form["body"][0]["attributes"]["value"], name
        [box] = [part for part in form["body"] if part["type"] == "checkboxes"]
        assert box["attributes"]["options"][0]["required"], name
    [check] = [part for part in forms["bug.yml"]["body"] if part.get("id") == "check"]
    assert "wabalake check" in check["attributes"]["label"] and check["validations"]["required"]
