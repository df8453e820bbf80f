"""What a release says of itself agrees: versions, addresses, extras, workflows, issue forms."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from lossatlas import __version__

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_citation_is_of_this_version_and_address(project: dict[str, Any]) -> None:
    lines = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    citation = dict(line.split(": ", 1) for line in lines if re.match(r"[\w-]+: ", line))
    assert citation["version"] == __version__
    assert citation["repository-code"] == project["urls"]["Source"]
    assert citation["url"] == project["urls"]["Documentation"]
    assert citation["license"] == project["license"]


def test_one_repository_is_named_everywhere(project: dict[str, Any]) -> None:
    source = project["urls"]["Source"]
    places = [ROOT / "CHANGELOG.md", ROOT / "SECURITY.md", ROOT / "docs" / "conf.py", *(ROOT / ".github").rglob("*.yml")]
    named = {match for place in places for match in re.findall(r"https://github\.com/lossatlas/[\w-]+", place.read_text(encoding="utf-8"))}
    assert named == {source}


def test_the_extra_all_holds_every_extra_of_users(project: dict[str, Any]) -> None:
    extras = project["optional-dependencies"]
    (everything,) = extras["all"]
    assert set(re.findall(r"\[(.*)\]", everything)[0].split(",")) == set(extras) - {"all", "dev", "docs"}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_pin_actions_and_grant_nothing_by_default(workflow: Path) -> None:
    text = workflow.read_text(encoding="utf-8")
    used = re.findall(r"uses: (\S+)", text)
    assert used
    assert [action for action in used if not PINNED.fullmatch(action)] == []
    assert re.search(r"^permissions: \{\}$", text, re.MULTILINE)
    assert text.count("persist-credentials: false") == text.count("actions/checkout@")


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_make_targets_of_workflows_exist(workflow: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {word for line in re.findall(r"run: make (.+)", workflow.read_text(encoding="utf-8")) for word in line.split()}
    assert named <= targets


def test_the_pythons_of_the_workflow_are_those_of_the_classifiers(project: dict[str, Any]) -> None:
    checks = (ROOT / ".github" / "workflows" / "checks.yml").read_text(encoding="utf-8")
    (matrix,) = re.findall(r"python: \[(.*)\]", checks)
    classified = {c.rpartition(" :: ")[2] for c in project["classifiers"] if re.search(r"Python :: 3\.\d+$", c)}
    assert set(re.findall(r"[\d.]+", matrix)) == classified


def test_the_form_for_wrong_plots_asks_for_the_archive() -> None:
    form = (ROOT / ".github" / "ISSUE_TEMPLATE" / "wrong_plot.yml").read_text(encoding="utf-8")
    archive = form[form.index("id: archive") :]
    assert "required: true" in archive[: archive.index("id: code")]


def test_the_changelog_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## \[Unreleased\]$", text, re.MULTILINE)
    sections = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert sections <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    releases = re.findall(r"^## \[([^]]+)\]", text, re.MULTILINE)
    assert all(f"[{release}]: https://" in text for release in releases)


def test_the_conda_recipe_asks_for_what_the_wheel_asks_for(project: dict[str, Any]) -> None:
    recipe = (ROOT / ".ci" / "conda-recipe.yaml").read_text(encoding="utf-8")
    run = recipe[recipe.index("  run:") : recipe.index("tests:")]
    listed = {match.replace("pytorch", "torch").replace("matplotlib-base", "matplotlib") for match in re.findall(r"- (\S+ >=[\d.]+)", run)}
    assert listed == {dependency.replace(">=", " >=") for dependency in project["dependencies"]}
    assert f'version: "{__version__}"' in recipe


def test_a_release_is_fetched_from_this_repository_and_no_index_is_named(project: dict[str, Any]) -> None:
    source = project["urls"]["Source"]
    recipe = (ROOT / ".ci" / "conda-recipe.yaml").read_text(encoding="utf-8")
    release = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    assert f"url: {source}/releases/download/v${{{{ version }}}}/${{{{ name }}}}-${{{{ version }}}}.tar.gz" in recipe
    assert f"url: {source}/releases/tag/${{{{ github.ref_name }}}}" in release
    assert 'gh release create "$GITHUB_REF_NAME" dist/*' in release
    hosts = re.compile(r"pypi\.org|pythonhosted|pytorch\.org/whl|anaconda\.org")
    files = [*WORKFLOWS, *(ROOT / ".ci").iterdir(), ROOT / "pyproject.toml", ROOT / "constraints.txt", ROOT / "Makefile"]
    assert [file.name for file in files if hosts.search(file.read_text(encoding="utf-8"))] == []
