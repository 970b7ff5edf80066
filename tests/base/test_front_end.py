"""The front end is built when its inputs change, and not when they do not."""

import os

import pytest

from assisters_app import front_end
from assisters_app.front_end import BuildError, build


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout whose `reflex` notes what it was asked, and compiles a page to the page's first line."""
    for folder in ("assisters_app/ui", "assets", "reflex.lock", ".web/app"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "rxconfig.py").write_text("config = 1")
    (tmp_path / "assisters_app/ui/page.py").write_text("Hello\n# first")
    asked = []

    def reflex(what, *_):
        asked.append(what)
        if what == "compile":
            first_line = (tmp_path / "assisters_app/ui/page.py").read_text().splitlines()[0]
            (tmp_path / ".web/app/page.jsx").write_text(first_line)
            (tmp_path / "reflex.lock/package.json").write_text("{}")
        else:
            (tmp_path / ".web/build/client").mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(front_end, "ROOT", tmp_path)
    monkeypatch.setattr(front_end, "BUILT", tmp_path / ".web/build/client")
    monkeypatch.setattr(front_end, "STAMP", tmp_path / ".web/built-from.json")
    monkeypatch.setattr(front_end, "_reflex", reflex)
    return tmp_path, asked


def test_it_is_built_once(checkout):
    _, asked = checkout
    assert build()
    assert not build()
    assert asked == ["compile", "export"]


def test_a_change_that_no_browser_sees_bundles_nothing(checkout):
    root, asked = checkout
    build()
    (root / "assisters_app/ui/page.py").write_text("Hello\n# second")
    assert not build()
    assert not build()
    assert asked == ["compile", "export", "compile"]


@pytest.mark.parametrize(
    ("path", "content"),
    [("assisters_app/ui/page.py", "Goodbye"), ("rxconfig.py", "config = 2"), ("reflex.lock/package.json", "[1]")],
)
def test_a_change_that_a_browser_may_see_is_built(checkout, path, content):
    root, asked = checkout
    build()
    (root / path).write_text(content)
    build()
    assert asked[2] == "compile"
    assert ("export" in asked[2:]) == (path != "reflex.lock/package.json")


def test_a_lock_that_was_only_put_into_another_order_is_put_back(checkout, monkeypatch):
    root, _ = checkout
    lock = root / "reflex.lock/package.json"
    lock.write_text('{"a": 1, "b": 2}')
    working = front_end._reflex

    def reordering(what, *rest):
        working(what, *rest)
        lock.write_text('{"b": 2, "a": 1}')

    monkeypatch.setattr(front_end, "_reflex", reordering)
    assert build()
    assert lock.read_text() == '{"a": 1, "b": 2}'
    assert not build()


def test_another_version_of_reflex_builds_anew(checkout, monkeypatch):
    _, asked = checkout
    build()
    monkeypatch.setattr(front_end, "_versions", lambda: "reflex==99")
    assert build()
    assert asked == ["compile", "export"] * 2


def test_a_build_that_was_cut_off_is_begun_again(checkout, monkeypatch):
    root, _ = checkout
    build()
    (root / "assisters_app/ui/page.py").write_text("Goodbye")
    working = front_end._reflex

    def cut_off(what, *rest):
        if what == "export":
            raise BuildError("cut off")
        working(what, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(front_end, "_reflex", cut_off)
        with pytest.raises(BuildError):
            build()
    assert build()


def test_the_build_sees_none_of_our_settings(monkeypatch):
    for name in ("DATABASE_URL", "STRIPE_API_KEY", "ASSISTERS_PEPPER", "REFLEX_API_URL", "PUBLIC_URL"):
        monkeypatch.setenv(name, "canary")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    seen = front_end._environment()
    assert "canary" not in seen.values()
    assert seen["HTTPS_PROXY"] == "http://proxy.example"
    assert seen["PATH"].split(os.pathsep)[0].endswith("bin")
