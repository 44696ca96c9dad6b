"""The body of a message, as plain text and as HTML of the same structure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line: its label, such as `Do`, its sentences, and a link with a label of its own."""

    label: str = ""
    text: str = ""
    link: str | None = None
    link_label: str = ""

    @property
    def plain(self) -> str:
        """The line as plain text; empty where it says nothing."""
        link = f"{self.link_label}: {self.link}" if self.link_label else self.link
        said = " ".join(filter(None, (self.text, link if self.link else "")))
        return f"{self.label}: {said}" if self.label and said else said

    @property
    def html(self) -> str:
        """The line as HTML."""
        link = ""
        if self.link:
            href = escape(self.link)
            link = f'<a href="{href}">{escape(self.link_label) or href}</a>'
        label = f"<strong>{escape(self.label)}:</strong>" if self.label else ""
        return f"<p>{' '.join(filter(None, (label, escape(self.text), link)))}</p>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Lines under a heading, with the id of the incident whose picture belongs to them, if any."""

    lines: Sequence[Line]
    heading: str = ""
    picture: str | None = None
    picture_words: str = ""


def plain(blocks: Sequence[Block]) -> str:
    """The blocks as plain text, an empty line between them."""
    return "\n\n".join(
        "\n".join(filter(None, (block.heading, *(line.plain for line in block.lines))))
        for block in blocks
    )


_PICTURE = '<p><img src="cid:'


def html(subject: str, blocks: Sequence[Block]) -> str:
    """The blocks as a whole document without scripts or remote content, one element a line."""
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        f'<head><meta charset="utf-8"><title>{escape(subject)}</title></head>',
        "<body>",
    ]
    for block in blocks:
        if block.heading:
            lines.append(f"<h2>{escape(block.heading)}</h2>")
        lines += [line.html for line in block.lines if line.plain]
        if block.picture:
            words = escape(block.picture_words)
            lines.append(f'{_PICTURE}{escape(block.picture)}" alt="{words}"></p>')
    return "\n".join([*lines, "</body>", "</html>"])


def with_pictures(document: str, pictures: Collection[str]) -> str:
    """The document with those of its pictures only that there are, by their incidents' ids."""
    known = tuple(f'{_PICTURE}{escape(each)}"' for each in pictures)
    return "\n".join(
        line
        for line in document.split("\n")
        if not line.startswith(_PICTURE) or line.startswith(known)
    )
