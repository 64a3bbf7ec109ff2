"""What an oracle is told when it looks for what is not there."""

from __future__ import annotations

import pytest

from webdojo.tasks.view import OracleError, PageView

PAGE = "<form><label>Code</label><input bid=1 name=code><button bid=2>Send  it</button></form>"


def test_elements_are_found_by_tag_text_and_attributes() -> None:
    view = PageView("Send the code.", PAGE, {})
    assert view.bid("button", "Send it") == "2"
    assert view.bid("input", name="code") == "1"
    assert [tag["bid"] for tag in view.all()] == ["1", "2"]


def test_what_is_not_there_is_told_with_what_is() -> None:
    view = PageView("Send the code.", PAGE, {})
    with pytest.raises(OracleError) as missing:
        view.bid("textbox", "Code")
    assert str(missing.value) == (
        "no <textbox> with text 'Code' for goal 'Send the code.';"
        " the page has <input name='code'>, <button> 'Send it'"
    )
    with pytest.raises(OracleError, match="no <input name='user'> for goal"):
        view.bid("input", name="user")
    with pytest.raises(OracleError, match="nothing to act on"):
        PageView("Go.", "<p>Nothing here</p>", {}).find("button")


def test_fields_are_told_with_their_labels() -> None:
    page = (
        "<label><input bid=1 name=on type=checkbox> ham</label>"
        "<label>Size <select bid=2><option>small<option>large</select></label>"
        "<label for=who>Your <b>name</b></label><input bid=3 id=who>"
    )
    with pytest.raises(OracleError) as missing:
        PageView("Order ham.", page, {}).find("input", "ham")
    assert str(missing.value).endswith(
        "the page has <input name='on'> labelled 'ham',"
        " <select> 'smalllarge' labelled 'Size', <input id='who'> labelled 'Your name'"
    )


def test_a_long_page_is_not_told_whole() -> None:
    page = "".join(f"<button bid={n}>{n}</button>" for n in range(100))
    with pytest.raises(OracleError, match="and 88 more"):
        PageView("Go.", page, {}).find("select")
