"""The tags of compact HTML: what each means for how its content is written."""

INLINE_TAGS = frozenset(
    (
        *("a", "abbr", "area", "b", "bdi", "bdo", "big", "button", "cite", "code", "data"),
        *("del", "dfn", "em", "font", "i", "img", "input", "ins", "kbd", "label", "mark"),
        *("meter", "output", "progress", "q", "s", "samp", "select", "small", "span"),
        *("strike", "strong", "sub", "summary", "sup", "svg", "textarea", "time", "tt"),
        *("u", "var"),
    )
)
"""Tags whose content goes on in the same line."""
STRUCTURE_TAGS = frozenset(
    (
        *("h1", "h2", "h3", "h4", "h5", "h6", "nav", "main", "aside", "footer", "form"),
        *("dialog", "fieldset", "legend", "caption"),
    )
)
"""Tags that tell something of their content, and are kept without being actionable."""
NO_CONTENT = frozenset(("area", "input", "img", "br", "hr"))
NO_END = frozenset(("li", "tr", "td", "th", "option"))
OUTSTANDING_ROLES = frozenset(("alert", "alertdialog", "dialog"))
"""Roles for which a wrapper is kept."""
