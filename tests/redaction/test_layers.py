"""A secret is masked in every encoding, each character in its own if need be."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pytest_mdm_health.redaction.encodings import is_word
from pytest_mdm_health.redaction.layers import layers, texts
from pytest_mdm_health.redaction.redactor import Redactor

SECRETS = st.text(st.characters(codec="utf-8"), min_size=5, max_size=24).filter(
    lambda text: text.strip("* ") and not is_word(text)
)


def in_utf_16(text: str) -> str:
    """As JSON escapes each character."""
    units = text.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02X}" for at in range(0, len(units), 2))


def in_percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


ENCODINGS: dict[str, Callable[[str], str]] = {
    "json": in_utf_16,
    "python": lambda text: "".join(f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\U{ord(c):08x}" for c in text),
    "percent": in_percent,
    "percent, lower case": lambda text: in_percent(text).lower(),
    "html": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "html, hexadecimal": lambda text: "".join(f"&#x{ord(c):X};" for c in text),
    "json in json": lambda text: json.dumps(in_utf_16(text))[1:-1],
    "json in html": lambda text: html.escape(json.dumps(in_utf_16(text))[1:-1]),
    "percent twice": lambda text: quote(in_percent(text)),
    "html of percent": lambda text: "".join(f"&#37;{byte:02x}" for byte in text.encode()),
    "percent of json": lambda text: quote(in_utf_16(text), safe=""),
    "mixed": lambda text: "".join(
        (in_utf_16, in_percent, lambda c: f"&#{ord(c)};")[at % 3](c) for at, c in enumerate(text)
    ),
}


@pytest.mark.parametrize("name", ENCODINGS)
@given(secret=SECRETS)
def test_a_secret_is_masked_in_every_encoding_and_found_in_it(name: str, secret: str) -> None:
    # A backslash that is itself escaped, among other escapes, is decoded as the beginning of one of them.
    assume(name != "mixed" or "\\" not in secret)
    encoded = ENCODINGS[name](secret)
    redactor = Redactor([secret])
    assert redactor.leaks.in_content(f"before {encoded} after") is not None
    clean = redactor.text(f"before {encoded} after")
    assert encoded not in clean
    assert redactor.leaks.in_content(clean) is None


@pytest.mark.parametrize("name", ENCODINGS)
def test_what_stands_around_a_masked_secret_stays(name: str) -> None:
    around = "before \\n 100 % &amp; {} \u00e4 %20 after"
    clean = Redactor(["Tr0ub4dor&Zebra é😀"]).text(around.format(ENCODINGS[name]("Tr0ub4dor&Zebra é😀")))
    assert clean == around.format("***")


@given(text=st.text(), other=st.text("\\u0041x&#;%amp25"))
def test_the_texts_with_places_are_the_texts_of_the_search(text: str, other: str) -> None:
    whole = text + other
    found = [*layers(whole)]
    assert [each.text for each in found] == [*texts(whole)][1:]
    for each in found:
        assert len(each.starts) == len(each.ends) == len(each.text)
        assert all(0 <= start < end <= len(whole) for start, end in zip(each.starts, each.ends, strict=True))


@given(secret=SECRETS, before=st.text(), after=st.text())
def test_what_is_clean_is_clean_for_the_search(secret: str, before: str, after: str) -> None:
    redactor = Redactor([secret])
    assert redactor.leaks.in_content(redactor.text(before + secret + after).replace("***", "\n\n")) is None
