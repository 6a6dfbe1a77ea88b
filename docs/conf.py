"""How Sphinx builds the documentation."""

from __future__ import annotations

from concutil import __version__

project = "concutil"
author = "concutil contributors"
copyright = author  # noqa: A001 - Sphinx reads this name
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "locales"]
html_theme = "furo"
html_title = f"concutil {version}"
highlight_language = "text"  # what is Python says so

# Another language: `sphinx-build -b gettext docs docs/_build/gettext` writes a
# catalogue per page; translated, it becomes
# docs/locales/<language>/LC_MESSAGES/<page>.po, and
# `sphinx-build -D language=<language>` uses it.
language = "en"
locale_dirs = ["locales"]
gettext_compact = False

# The heads that our docstrings have beside those of Google's style.
napoleon_custom_sections = ["Cancellation", "Threads", "Cost", "Source"]
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes are a list, not entries of their own

autodoc_member_order = "bysource"
# A text in single backticks is a link if it names something, and just code if not.
default_role = "py:obj"
nitpick_ignore_regex = [
    ("py:obj", ".*"),
    # The standard library's own reference isn't looked up: builds need no network.
    ("py:class", r"(collections|datetime|types|typing|typing_extensions)\..+"),
    ("py:class", r"(concutil\._.+\.)?[A-Z]"),  # type variables
]

myst_heading_anchors = 3  # so that pages can link to a heading
suppress_warnings = ["myst.header"]  # the README's introduction has no title here
