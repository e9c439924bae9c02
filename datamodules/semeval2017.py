"""SemEval-2017 Task 4, subtask A: sentiment of tweets from five years.

Shapes: ``M`` tweets.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from datamodules._files import check_counts
from datamodules._sentiment import SENTIMENTS, sentiments
from datamodules._texts import chosen, first_of_each, read_files
from lifelong.text import TextDomain, TextEncoding, TextSource

ORIGIN = "https://alt.qcri.org/semeval2017/task4/"
FOLDER = "semeval2017-task4a"
TEST_YEAR = 2017
OFFICIAL = "50334 tweets and 12284 of the official test"
FILES = {
    2013: ("twitter-2013train-A.txt", "twitter-2013dev-A.txt", "twitter-2013test-A.txt"),
    2014: ("twitter-2014test-A.txt", "twitter-2014sarcasm-A.txt"),
    2015: ("twitter-2015train-A.txt", "twitter-2015test-A.txt"),
    2016: ("twitter-2016train-A.txt", "twitter-2016dev-A.txt", "twitter-2016devtest-A.txt", "twitter-2016test-A.txt"),
    TEST_YEAR: ("SemEval2017-task4-test.subtask-A.english.txt",),
}
YEARS = tuple(FILES)
QUOTED = re.compile(r'"((?:[^"]|\\?(?:"")+)*)"')
"""A whole tweet in quotation marks, with quotation marks inside it doubled, as in some of the files."""
DOUBLED = re.compile(r'\\?(?:"")+')
ESCAPED = re.compile(r"(?:\\u[0-9a-fA-F]{4})+")
ENTITY = re.compile(r"&(?:\w+|#\d+|#x[0-9a-fA-F]+);")


@dataclass(frozen=True)
class Tweet:
    """Store a tweet: its Twitter id, year in the task, sentiment, and text without escapes."""

    number: str
    year: int
    label: str
    text: str


class SemEval2017(TextSource):
    r"""Read tweets by their sentiment: one domain with the official test of 2017, or one for each year of the task.

    Escapes in the files (``\u2019``, ``&amp;``, doubled quotation marks) are replaced by the characters. Of tweets with
    the same id or text only one is kept: that of the official test set, else the earliest.

    Args:
        encoding: how tweets are encoded for a network.
        root: folder with ``semeval2017-task4a/`` or its content: ``semeval2017-task4a.tar.xz``, or the archive's folder
            ``dataset``. Default: ``$LIFELONG_DATA``, else ``data``.
        neutral: use three classes: negative, neutral and positive. If False, neutral tweets are left out.
        by: one domain for ``all``, or per ``year``. With ``all``, the tweets of 2017 are the test part; with ``year``,
            the stream draws the test part of each.
        years: years from 2013 to 2017. Default: all. With ``by: year``, all except 2017, which is the official test
            set.

    Raises:
        ValueError: when the files are missing or damaged, or there is no such year.

    Reference:
        Rosenthal, Farra & Nakov, "SemEval-2017 Task 4: Sentiment Analysis in Twitter", SemEval 2017.

    Example:
        >>> from lifelong.text import HashedWords
        >>> SemEval2017(encoding=HashedWords(), by="year").years
        (2013, 2014, 2015, 2016)
    """

    def __init__(
        self,
        *,
        encoding: TextEncoding,
        root: str | None = None,
        neutral: bool = True,
        by: Literal["all", "year"] = "all",
        years: list[int] | None = None,
    ) -> None:
        super().__init__(encoding)
        usual = YEARS if by == "all" else tuple(year for year in YEARS if year != TEST_YEAR)
        self.years = tuple(chosen("SemEval2017", "years", usual if years is None else years, YEARS))
        if by == "all" and self.years == (TEST_YEAR,):
            raise ValueError("SemEval2017 has nothing to train on but the official test: add years, or set by to year")
        self.root, self.by, self.classes = root, by, sentiments(neutral=neutral)

    def text_domains(self) -> list[TextDomain]:
        """Read one domain of all years, or one per year, in the order of ``years``."""
        tweets = [tweet for tweet in read_tweets(self.root) if tweet.label in self.classes]
        if self.by == "year":
            years = [[tweet for tweet in tweets if tweet.year == year] for year in self.years]
            return [self._domain(f"tweets {year}", some) for year, some in zip(self.years, years, strict=True)]
        chosen = [tweet for tweet in tweets if tweet.year in self.years]
        in_test = np.array([tweet.year == TEST_YEAR for tweet in chosen]) if TEST_YEAR in self.years else None
        return [self._domain("tweets", chosen, in_test)]

    def _domain(self, name: str, tweets: Sequence[Tweet], in_test: np.ndarray | None = None) -> TextDomain:
        y = np.array([self.classes.index(tweet.label) for tweet in tweets], dtype=np.int64)
        return TextDomain(name, [tweet.text for tweet in tweets], y, self.classes, in_test=in_test)


def read_tweets(root: str | None) -> list[Tweet]:
    """Read all tweets of all years, each once, in the order of the years.

    All years are read, so that the tweets of a year do not depend on the chosen years.
    """
    folders = {year: "dataset/test" if year == TEST_YEAR else "dataset/train" for year in YEARS}
    names = {f"{folders[year]}/{file}": year for year in YEARS for file in FILES[year]}
    files = read_files(root, FOLDER, list(names), ORIGIN)
    tweets = [tweet for name, year in names.items() for tweet in _tweets(name, year, files[name])]
    n_test = sum(tweet.year == TEST_YEAR for tweet in tweets)
    check_counts("SemEval-2017", f"{len(tweets) - n_test} tweets and {n_test} of the official test", OFFICIAL)
    return _without_copies(_without_copies(tweets, lambda tweet: tweet.number), lambda tweet: tweet.text)


def _without_copies(tweets: list[Tweet], key: Callable[[Tweet], str]) -> list[Tweet]:
    in_test = np.array([tweet.year == TEST_YEAR for tweet in tweets])
    return [tweets[number] for number in first_of_each([key(tweet) for tweet in tweets], in_test)]


def _tweets(name: str, year: int, lines: Sequence[str]) -> Iterator[Tweet]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        fields = line.split("\t")
        if len(fields) < 3 or fields[1] not in SENTIMENTS or not fields[2].strip():
            raise ValueError(
                f"{name}, line {number} is {line[:80]!r}: expected number, one of {', '.join(SENTIMENTS)}, and text, "
                "with tabs between them; get the file anew"
            )
        yield Tweet(fields[0], year, fields[1], without_escapes(fields[2]))


def without_escapes(text: str) -> str:
    r"""Return a tweet without escapes, with runs of white space replaced by one space.

    Example:
        >>> without_escapes(r'"It\u2019s ""fine"" &amp; over"')
        'It’s "fine" & over'
    """
    if whole := QUOTED.fullmatch(text):
        text = DOUBLED.sub('"', whole[1])
    text = ESCAPED.sub(_characters, text)
    return " ".join(ENTITY.sub(lambda entity: html.unescape(entity[0]), text).split())


def _characters(escaped: re.Match[str]) -> str:
    return bytes.fromhex(escaped[0].replace("\\u", "")).decode("utf-16-be", errors="replace")  # pairs make one sign
