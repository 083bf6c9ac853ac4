"""Six made-up reviews of films, for the models that come along: `films.parquet`."""

from typing import Final

FILMS: Final[tuple[tuple[str, str | None], ...]] = (
    (
        "f1",
        "A wonderful film: warm, funny, and over far too soon. The two leads are a joy to watch, "
        "and the ending had me in tears.",
    ),
    (
        "f2",
        "Slow, badly lit and far too long. The dialogue sounds as if nobody had read it aloud, "
        "and by the second hour half of our row had left.",
    ),
    (
        "f3",
        "I expected very little and was wrong. The script is sharp, the music is lovely, and I "
        "would see it again tomorrow.",
    ),
    (
        "f4",
        "What a waste of a good cast. The plot makes no sense, the jokes fall flat, and the "
        "ending is an insult.",
    ),
    ("f5", "It is all right. The first half drags, the second makes up for some of it."),
    ("f6", None),
)
