"""Write the sample: train.parquet, test.parquet and reviews.parquet, and films.parquet.

Run `python data/generate.py` to rewrite the four files beside this script, or add
`--out FOLDER` to write them elsewhere. The same pyarrow writes the same bytes.
"""

import argparse
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import grammar
import pyarrow as pa
import pyarrow.parquet as pq
from films import FILMS
from grammar import Kind, Polarity, Product

SEED = 20240229
TRAIN_ROWS, TEST_ROWS, REVIEW_ROWS = 3000, 600, 400
FIRST_DATE = date(2024, 1, 1)
DAYS = 366

LABELLED = pa.schema([("text", pa.string()), ("label", pa.int8())])
UNLABELLED = pa.schema(
    [
        ("id", pa.string()),
        ("product", pa.string()),
        ("date", pa.date32()),
        ("text", pa.string()),
    ]
)
FILM_REVIEWS = pa.schema([("id", pa.string()), ("text", pa.string())])


@dataclass(frozen=True)
class Review:
    """One generated text, its label (1 positive, 0 negative) and its product."""

    text: str
    label: int
    product: str


def polarity_slots(rng: random.Random, side: Polarity, prefix: str) -> dict[str, str]:
    """Draw the sentiment words of one side, under slots that start with `prefix`."""
    first, second = rng.sample(side.adjectives, 2)
    verb, past = rng.choice(side.verbs)
    return {
        prefix: first,
        f"{prefix}2": second,
        f"{prefix}_verb": verb,
        f"{prefix}_past": past,
        f"{prefix}_noun": rng.choice(side.nouns),
        f"{prefix}_most": side.most,
    }


def review_slots(rng: random.Random, product: Product, label: int) -> dict[str, str]:
    """Draw the slots that stay the same throughout a review."""
    aspect, aspect2, flaw = rng.sample(product.aspects, 3)
    this = rng.choice(("this", "this one", f"this {product.name}"))
    older = rng.choice(grammar.OLDER)
    chosen, other = (this, older) if label else (older, this)
    return {
        "product": product.name,
        "aspect": aspect,
        "aspect2": aspect2,
        "flaw": flaw,
        "chosen": chosen,
        "other": other,
    }


def sentiment_slots(rng: random.Random, label: int) -> dict[str, str]:
    """Draw the sentiment words, afresh for each sentence."""
    win, lose = grammar.POLARITIES[label], grammar.POLARITIES[1 - label]
    return polarity_slots(rng, win, "win") | polarity_slots(rng, lose, "lose")


def neutral_slots(rng: random.Random, kind: Kind) -> dict[str, str]:
    """Draw the slots that say nothing about the label, afresh for each sentence."""
    return {
        "adverb": rng.choice(grammar.ADVERBS),
        "person": rng.choice(grammar.PEOPLE),
        "critic": rng.choice(grammar.CRITICS),
        "month": rng.choice(grammar.MONTHS),
        "number": rng.choice(grammar.NUMBERS),
        "price": rng.choice(grammar.PRICES),
        "spans": rng.choice(grammar.SPANS),
        "city": rng.choice(grammar.CITIES),
        "colour": rng.choice(grammar.COLOURS),
        "met": rng.choice(kind.met),
        "event": rng.choice(kind.events),
    }


def pick_cores(rng: random.Random, count: int) -> list[str]:
    """Pick `count` sentences that carry the sentiment, each of another family."""
    shares = [family.share for family in grammar.FAMILIES]
    while True:
        families = rng.choices(grammar.FAMILIES, shares, k=count)
        if len(set(families)) == count:
            return [rng.choice(family.templates) for family in families]


def pick_templates(rng: random.Random, kind: Kind) -> list[str]:
    """Pick the templates of one to three sentences, shapes by their share."""
    (shape,) = rng.choices(list(grammar.SHAPES), list(grammar.SHAPES.values()))
    pools = {
        "opener": [rng.choice(kind.openers)],
        "core": pick_cores(rng, shape.count("core")),
        "closer": [rng.choice(kind.closers)],
    }
    return [pools[part].pop() for part in shape]


def fix_articles(text: str) -> str:
    """Turn 'a' into 'an' before a vowel."""
    return re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)


def capitalize(text: str) -> str:
    """Capitalize the first letter of every sentence."""
    return re.sub(r"(^|[.!] )([a-z])", lambda m: m[1] + m[2].upper(), text)


def contract(rng: random.Random, text: str) -> str:
    """Shorten 'is not' to 'isn't' and the like, each with an even chance."""
    for long, short in grammar.CONTRACTIONS:
        if rng.random() < 0.5:
            text = re.sub(rf"\b{long}\b", short, text)
    return text


def restyle(rng: random.Random, text: str) -> str:
    """Vary contractions, the final mark and casing, whatever the label."""
    text = capitalize(contract(rng, fix_articles(text)))
    (mark,) = rng.choices((".", "!", ""), (78, 10, 12))
    text = text.removesuffix(".") + mark
    return text.lower() if rng.random() < 0.15 else text


def write_review(rng: random.Random, label: int) -> Review:
    """Write one review of the given label (1 positive, 0 negative)."""
    product = rng.choice(grammar.PRODUCTS)
    kind = grammar.KINDS[product.kind]
    slots = review_slots(rng, product, label)
    sentences = [
        template.format(**slots, **sentiment_slots(rng, label), **neutral_slots(rng, kind))
        for template in pick_templates(rng, kind)
    ]
    return Review(restyle(rng, " ".join(sentences)), label, product.name)


def unique_reviews(rng: random.Random) -> Iterator[Review]:
    """Write reviews without end, labels in turn, never the same text twice."""
    seen: set[str] = set()
    label = 0
    while True:
        review = write_review(rng, label)
        if review.text.lower() not in seen:
            seen.add(review.text.lower())
            label = 1 - label
            yield review


def take(rng: random.Random, reviews: Iterator[Review], rows: int) -> list[Review]:
    """Take the next `rows` reviews, half of each label, in random order."""
    taken = [next(reviews) for _ in range(rows)]
    rng.shuffle(taken)
    return taken


def labelled_table(reviews: list[Review]) -> pa.Table:
    """Lay reviews out as the columns `text` and `label`."""
    texts = [review.text for review in reviews]
    labels = [review.label for review in reviews]
    return pa.table({"text": texts, "label": labels}, schema=LABELLED)


def unlabelled_table(rng: random.Random, reviews: list[Review]) -> pa.Table:
    """Lay reviews out as `id`, `product`, `date` and `text`, oldest first."""
    dates = sorted(FIRST_DATE + timedelta(rng.randrange(DAYS)) for _ in reviews)
    columns = {
        "id": [f"r{row:04d}" for row in range(1, len(reviews) + 1)],
        "product": [review.product for review in reviews],
        "date": dates,
        "text": [review.text for review in reviews],
    }
    return pa.table(columns, schema=UNLABELLED)


def film_table() -> pa.Table:
    """Lay the reviews of films out as `id` and `text`."""
    ids, texts = zip(*FILMS, strict=True)
    return pa.table({"id": ids, "text": texts}, schema=FILM_REVIEWS)


def build(seed: int = SEED) -> dict[str, pa.Table]:
    """Build the four tables by file name. No text occurs twice among them."""
    rng = random.Random(seed)
    reviews = unique_reviews(rng)
    return {
        "train.parquet": labelled_table(take(rng, reviews, TRAIN_ROWS)),
        "test.parquet": labelled_table(take(rng, reviews, TEST_ROWS)),
        "reviews.parquet": unlabelled_table(rng, take(rng, reviews, REVIEW_ROWS)),
        "films.parquet": film_table(),
    }


def write(folder: Path) -> None:
    """Write the four Parquet files into `folder`, each by rename when complete."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in build().items():
        partial = folder / f"{name}.partial"
        pq.write_table(table, partial, compression="zstd", compression_level=9)
        partial.replace(folder / name)


def main() -> None:
    """Parse the command line and write the files."""
    parser = argparse.ArgumentParser(description="Write the sample Parquet files.")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(__file__).parent,
        help="folder to write to (default: the folder of this script)",
    )
    write(parser.parse_args().out)


if __name__ == "__main__":
    main()
