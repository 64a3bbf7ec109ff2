import pytest

from webdojo.envs.origins import Origins


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8000/a?b#c",
        "http://LOCALHOST:8000/",
        "ws://localhost:8000/socket",
        "https://shop.test/",
        "https://shop.test:443/x",
        "file:///srv/site/",
        "file:///srv/site",
        "file:///srv/site/deep/page.html",
        "file:///srv/site/a%20b.html",
        "file:///srv/one.html",
        "about:blank",
        "data:text/html,x",
        "blob:http://localhost:8000/1",
    ],
)
def test_what_the_task_names_is_allowed(url: str) -> None:
    named = ("http://localhost:8000", "https://shop.test/start", "file:///srv/site/")
    assert Origins((*named, "file:///srv/one.html")).allows(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8001/",
        "https://localhost:8000/",
        "http://localhost/",
        "http://127.0.0.1:8000/",
        "http://localhost:8000@evil.test/",
        "http://evil.test/localhost:8000",
        "http://shop.test/",
        "https://shop.test.evil.test/",
        "file:///srv/site2/x",
        "file:///srv/site/../secret",
        "file:///srv/site/%2e%2e/secret",
        "file:///srv/site/%2E%2E%2Fsecret",
        "file://host/srv/site/x",
        "file:///etc/passwd",
        "chrome://version",
        "view-source:http://localhost:8000/",
        "javascript:alert(1)",
        "ftp://localhost:8000/",
        "http://localhost:99999/",
        "http://[::1/",
        "",
    ],
)
def test_nothing_else_is(url: str) -> None:
    origins = Origins(("http://localhost:8000", "https://shop.test", "file:///srv/site/"))
    assert not origins.allows(url)


def test_nothing_is_allowed_by_default_but_what_stays_inside() -> None:
    assert not Origins().allows("http://localhost/")
    assert Origins().allows("about:blank")


def test_a_page_brings_its_origin_or_folder() -> None:
    origins = Origins()
    origins.add_page("http://localhost:1234/deep/page?x=1")
    origins.add_page("file:///srv/site/page.html")
    assert origins.allows("http://localhost:1234/")
    assert origins.allows("file:///srv/site/other.html")
    assert not origins.allows("file:///srv/other.html")
    assert str(origins) == "http://localhost:1234, file:///srv/site/"
