"""Packs a page's blocks into chunks of a size that the model reads whole.

The sentence model looks at 256 tokens, some 170 words of this text; what
follows adds nothing to a vector. Chunks follow sections where they can, and
grow on long pages so that a page stays within MOST.
"""
import dataclasses
import re

FEWEST, MOST = 2, 12
WORDS = (170, 230, 300)     # tried in this order until a page fits
SMALL = 50                  # a section smaller than this shares a chunk


@dataclasses.dataclass
class Chunk:
    section: str
    anchor: str
    text: str


def count(text):
    return len(text.split())


def _parts(text, words):
    """Cuts one block that is longer than a chunk at lines, sentences, words."""
    for pattern in (r"(?<=\n)", r"(?<=[.!?:;])\s+", r"\s+"):
        pieces = [p for p in re.split(pattern, text) if p.strip()]
        if max(map(count, pieces)) <= words:
            break
    joint = "" if pattern == r"(?<=\n)" else " "
    part = ""
    for piece in pieces:
        if part and count(part) + count(piece) > words:
            yield part.strip("\n")
            part = ""
        part = part + joint + piece if part else piece
    yield part.strip("\n")


def _pieces(blocks, words):
    for block in blocks:
        if count(block.text) <= words:
            yield block.section, block.anchor, block.text
        else:
            for part in _parts(block.text, words):
                yield block.section, block.anchor, part


def _pack(page, words):
    done, now, section = [], None, None
    for name, anchor, text in _pieces(page.blocks, words):
        fresh = name != section
        section = name
        if now is not None:
            held = count(now.text)
            if held + count(text) > words or (fresh and held >= SMALL):
                done.append(now)
                now = None
        if fresh and name != page.title:
            text = name + "\n\n" + text
        if now is None:
            now = Chunk(name, anchor, text)
        else:
            now.text += "\n\n" + text
    done.append(now)
    if len(done) > 1 and count(done[-1].text) < SMALL:
        done[-2].text += "\n\n" + done.pop().text
    return done


def split(page):
    """The page's chunks, or None when it is too short or too long."""
    for words in WORDS:
        chunks = _pack(page, words)
        if len(chunks) <= MOST:
            return chunks if len(chunks) >= FEWEST else None
    return None
