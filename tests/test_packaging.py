"""What the files around the package promise agrees with each other and with what is installed."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import yaml
from PIL import Image

import sdlab

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA = {
    "pytorch": "torch",
    "matplotlib-base": "matplotlib",
}  # conda-forge's names of PyPI's packages


def bounds(requirements):
    """{package: its bounds}"""
    return dict(re.fullmatch(r"([\w-]+)(.*)", text).groups() for text in requirements)


def test_environment_yml_has_the_packages_and_bounds_of_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    conda = bounds(item for item in environment["dependencies"] if isinstance(item, str))
    assert conda.pop("python") == PROJECT["requires-python"] and conda.pop("pip") == ""
    assert {CONDA.get(name, name): bound for name, bound in conda.items()} == bounds(
        PROJECT["dependencies"]
    )
    assert environment["dependencies"][-1] == {"pip": ["-e .[dev]"]} and environment[
        "channels"
    ] == ["conda-forge", "nodefaults"]


def test_constraints_pin_every_requirement_inside_its_bounds():
    lines = [
        line
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if not line.startswith("#")
    ]
    pins = dict(line.lower().split("==") for line in lines)
    for name, bound in bounds(
        PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]
    ).items():
        pinned = [int(n) for n in pins[name].split(".")[:2]]
        for sign, limit in re.findall(r"(>=|<)([\d.]+)", bound):
            limit = [int(n) for n in limit.split(".")[:2]]
            assert pinned >= limit if sign == ">=" else pinned[: len(limit)] < limit, (name, bound)


def test_what_is_installed_is_what_constraints_pin():
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line.split("==")[0] in (
            "torch",
            "diffusers",
            "transformers",
            "pandas",
            "pillow",
            "matplotlib",
            "numpy",
        ):
            name, pinned = line.split("==")
            assert version(name).split("+")[0] == pinned


def test_the_readme_names_commands_that_exist_and_the_changelog_this_version():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    assert (
        {"demo", "lab", "test"}
        <= set(re.findall(r"make (\w+)", (ROOT / "README.md").read_text()))
        <= targets
    )
    assert f"## {sdlab.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_ci_runs_the_test_command_of_the_readme():
    assert "make test" in (ROOT / ".ci/run").read_text().splitlines()[-1]


def test_code_in_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (256, 256)).save("picture.png")
    for folder in ("downloads", "dall-e"):
        Path(folder).mkdir()
        Image.new("RGB", (64, 64)).save(f"{folder}/picture.png")
    code = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    exec("\n".join(code), {})
    assert list(tmp_path.glob("reports/*.html"))
