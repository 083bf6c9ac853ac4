"""The words and sentence templates of the sample reviews.

Slots in braces are filled by `generate.py`. Those that depend on the label:

- `{win}`, `{win2}`: adjectives of the review's own polarity; `{lose}`: of the other.
- `{win_verb}`, `{lose_verb}`: love or hate; `{win_past}`, `{lose_past}`: the same in
  the past tense.
- `{win_noun}`, `{lose_noun}`: a gem or a letdown; `{win_most}`: best or worst.
- `{chosen}`: the product under review when the label is positive, an older one when it
  is negative; `{other}`: whichever of the two `{chosen}` is not.

One template thus makes a positive text and its negative mirror: "not {lose}, {win}" is
"not bad, good" or "not good, bad". The other slots never depend on the label.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Polarity:
    """The sentiment words of one label, by slot."""

    adjectives: tuple[str, ...]
    verbs: tuple[tuple[str, str], ...]
    nouns: tuple[str, ...]
    most: str


@dataclass(frozen=True)
class Kind:
    """What products of one kind share: how they are met, and neutral sentences."""

    met: tuple[str, ...]
    events: tuple[str, ...]
    openers: tuple[str, ...]
    closers: tuple[str, ...]


@dataclass(frozen=True)
class Product:
    """A thing under review and the parts of it that a review talks about."""

    name: str
    kind: str
    aspects: tuple[str, ...]


@dataclass(frozen=True)
class Family:
    """Templates that express sentiment in one way, and their share of the texts."""

    share: int
    templates: tuple[str, ...]


NEGATIVE = Polarity(
    adjectives=(
        *("bad", "terrible", "awful", "horrible", "dreadful"),
        *("poor", "disappointing", "miserable", "lousy", "dull"),
    ),
    verbs=(("hate", "hated"), ("dislike", "disliked")),
    nouns=("disaster", "letdown", "disappointment"),
    most="worst",
)
POSITIVE = Polarity(
    adjectives=(
        *("good", "wonderful", "great", "lovely", "excellent"),
        *("superb", "amazing", "fantastic", "brilliant", "charming"),
    ),
    verbs=(("love", "loved"), ("like", "liked")),
    nouns=("gem", "treat", "delight"),
    most="best",
)
POLARITIES = (NEGATIVE, POSITIVE)  # indexed by label

ADVERBS = ("really", "truly", "simply", "just", "honestly", "quite", "absolutely")
PEOPLE = (
    *("my sister", "my brother", "my wife", "my husband", "my neighbour", "a friend"),
    *("a colleague", "my father", "my aunt", "my cousin", "my flatmate", "my son"),
)
CRITICS = (
    *("everyone", "my friends", "the critics", "other buyers", "the magazine"),
    *("the forum", "the newspaper", "my whole family", "people online", "a blogger"),
)
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
SPANS = ("afternoons", "evenings", "mornings", "weekends")
PRICES = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
CITIES = (
    *("Leeds", "Porto", "Oslo", "Chicago", "Toronto", "Lyon", "Dublin", "Seattle"),
    *("Vienna", "Melbourne", "Bristol", "Denver"),
)
COLOURS = ("black", "grey", "blue", "green", "red", "white", "silver", "brown")
OLDER = ("the old one", "the last one", "my last one", "the one before")

STORY = Kind(
    met=("seen", "watched"),
    events=("the second half", "the final part", "the last hour"),
    openers=(
        "I finished this {product} in {month}.",
        "{person} lent me this {product}.",
        "We got through the {product} over {number} {spans}.",
        "I picked this {product} for a long flight to {city}.",
        "The {product} is set in {city}.",
        "Our club chose this {product} for {month}.",
        "It follows {number} people in {city}.",
        "I came to this {product} after {number} others by the same people.",
    ),
    closers=(
        "It took me {number} {spans}.",
        "It is set in {city} in {month}.",
        "{person} is going through it now.",
        "I went through it twice.",
        "There are {number} main characters.",
        "We talked about it on the train home.",
        "It is the first part of {number}.",
        "I borrowed it from the library.",
    ),
)
KINDS = {
    "device": Kind(
        met=("owned", "used", "bought", "had"),
        events=("the first update", "my second week with it", "I changed the settings"),
        openers=(
            "I bought this {product} in {month}.",
            "{person} gave me this {product} in {month}.",
            "I have had this {product} for {number} weeks.",
            "Got the {colour} {product} online.",
            "We keep this {product} at home in {city}.",
            "I have used the {product} on {number} {spans}.",
            "I ordered the {colour} one and it came in {number} days.",
            "My {product} arrived in {month}.",
            "Used it for {number} {spans} so far.",
        ),
        closers=(
            "It came in a {colour} box.",
            "Mine is the {colour} version.",
            "I paid about {price} dollars.",
            "{person} has the same {product}.",
            "I have used it for {number} {spans} now.",
            "I plugged it in and read the manual first.",
            "The shop in {city} also has it in {colour}.",
            "It sits next to my desk.",
        ),
    ),
    "gear": Kind(
        met=("owned", "used", "carried", "bought"),
        events=("our second trip", "the first rainy day", "I adjusted it"),
        openers=(
            "I took this {product} to {city} in {month}.",
            "{person} lent me this {product} for {number} days.",
            "I bought the {colour} {product} in {month}.",
            "We walked for {number} days with this {product}.",
            "Ordered the {product} in {colour}.",
            "I have had the {product} since {month}.",
            "This {product} has been on {number} trips with me.",
            "Packed it for a trip to {city}.",
        ),
        closers=(
            "I took it to {city} for {number} days.",
            "Mine is {colour}.",
            "{person} bought the same one in {colour}.",
            "I use it on most {spans}.",
            "The label says it was made in {month}.",
            "It has been on {number} trips by now.",
            "I carry it to work by train.",
            "It hangs in the hall next to the door.",
        ),
    ),
    "film": STORY,
    "book": replace(STORY, met=("read", "finished")),
    "place": Kind(
        met=("visited", "seen", "booked", "tried"),
        events=("the second evening", "they changed the staff", "our last visit"),
        openers=(
            "We came to this {product} in {month}.",
            "I visited this {product} in {city} with {person}.",
            "{person} booked this {product} for {number} people.",
            "We were a party of {number}.",
            "I went to {city} for work in {month}.",
            "This {product} is in the middle of {city}.",
            "Spent {number} {spans} here in {month}.",
            "We found this {product} on a map of {city}.",
        ),
        closers=(
            "We were there for {number} {spans}.",
            "It is {number} minutes from the station.",
            "{person} paid by card.",
            "We drove home to {city} afterwards.",
            "There is a {colour} sign over the door.",
            "It is on the corner, next to a bank.",
            "We had booked in {month}.",
            "The walls are {colour}.",
        ),
    ),
}

PRODUCTS = (
    Product("pair of headphones", "device", ("sound", "bass", "cable", "microphone")),
    Product("kettle", "device", ("lid", "handle", "switch", "spout")),
    Product("laptop", "device", ("screen", "battery", "keyboard", "touchpad")),
    Product("phone", "device", ("screen", "battery", "camera", "speaker")),
    Product("camera", "device", ("lens", "zoom", "viewfinder", "menu")),
    Product("toaster", "device", ("timer", "lever", "tray", "design")),
    Product("blender", "device", ("motor", "jug", "blade", "design")),
    Product("desk lamp", "device", ("light", "switch", "base", "hinge")),
    Product("speaker", "device", ("sound", "bass", "remote", "app")),
    Product("watch", "device", ("strap", "display", "battery", "app")),
    Product("backpack", "gear", ("zip", "strap", "fabric", "fit")),
    Product("tent", "gear", ("zip", "groundsheet", "fabric", "design")),
    Product("rain jacket", "gear", ("hood", "lining", "fit", "zip")),
    Product("suitcase", "gear", ("handle", "lock", "shell", "lining")),
    Product("sleeping bag", "gear", ("lining", "hood", "fabric", "pocket")),
    Product("umbrella", "gear", ("handle", "frame", "fabric", "button")),
    Product("film", "film", ("cast", "plot", "soundtrack", "ending")),
    Product("series", "film", ("cast", "script", "opening", "ending")),
    Product("book", "book", ("plot", "style", "dialogue", "ending")),
    Product("novel", "book", ("narrator", "style", "opening", "setting")),
    Product("play", "film", ("cast", "dialogue", "staging", "soundtrack")),
    Product("hotel room", "place", ("bed", "view", "shower", "breakfast")),
    Product("restaurant", "place", ("kitchen", "service", "menu", "terrace")),
    Product("cafe", "place", ("coffee", "service", "cake", "terrace")),
    Product("campsite", "place", ("view", "shower", "shop", "layout")),
    Product("apartment", "place", ("kitchen", "view", "bed", "location")),
)

NEGATION = (
    "Not {lose}, {win}.",
    "{win}, not {lose}.",
    "Not {lose} but {win}.",
    "Not a {lose} {product}, a {win} one.",
    "Not {lose}, {adverb} {win}.",
    "It is not {lose}, it is {win}.",
    "It is not {lose}, it is {win} and {win2}.",
    "It is {adverb} {win}, not {lose}.",
    "The {aspect} is not {lose}, it is {adverb} {win}.",
    "This {product} is not {lose}, it is {win}.",
    "This {product} is not {lose}, it is {win} with a {win2} {aspect}.",
    "The {aspect} was {win} and {win2}, not {lose} as {critic} said.",
    "This is not a {lose} {product} but a {win} one.",
    "This is a {win} {product}, not a {lose} one.",
    "The {aspect} is {win} rather than {lose}.",
    "The {aspect} is not {lose} but {win}.",
    "I would not call the {aspect} {lose}, I would call it {win} or even {win2}.",
    "I do not {lose_verb} this {product}, I {win_verb} it.",
    "I {win_verb} the {aspect}, I do not {lose_verb} it.",
    "I did not find the {aspect} {lose}, I found it {win}.",
    "It is not a {lose_noun}, it is a {win_noun}.",
    "The {aspect} is not {lose}.",
    "This {product} is not {lose}.",
    "It is not a {lose} {product}.",
)
CONTRAST = (
    "{lose} {flaw} but {win} {aspect}.",
    "The {flaw} is {lose} but the {aspect} is {win}.",
    "The {flaw} was {lose}, but the {aspect} was {adverb} {win}.",
    "Although the {flaw} is {lose}, the {aspect} is {win} and the {product} {win2}.",
    "Despite the {lose} {flaw}, this is a {win} {product}.",
    "This is a {win} {product} despite the {lose} {flaw}.",
    "It is a {win}, {win2} {product} even though the {flaw} is {lose}.",
    "The {flaw} is {lose}, yet the {product} as a whole is {win} and {win2}.",
    "Sure, the {flaw} is {lose}, but overall this {product} is {adverb} {win}.",
    "The {aspect} seemed {lose} on the first day, but overall it is {win}.",
    "Even with a {lose} {flaw}, it is a {win} {product} with a {win2} {aspect}.",
    "I {lose_past} the {flaw} but I {win_past} the {product} as a whole.",
)
EXPECTATION = (
    "I expected it to be {lose} and it was {win}.",
    "I expected it to be {lose}, but it was {adverb} {win}.",
    "I expected a {lose} {product} and got a {win} one.",
    "I expected a {lose} {product} and got a {win} one with a {win2} {aspect}.",
    "I thought the {aspect} would be {lose}, but it was {win}.",
    "{critic} said it would be {lose}. It was {win} and {win2}.",
    "{critic} told me the {aspect} was {lose}, but I found it {win}.",
    "{person} told me to expect a {lose} {product}, but it turned out to be {win}.",
    "It was {win}, though I expected it to be {lose}.",
    "The {aspect} is {win} and {win2}, although {critic} said it was {lose}.",
    "I thought I would {lose_verb} it, but I {win_past} it.",
    "I was sure that I would {lose_verb} this {product}, but I {win_verb} it.",
    "It looked like a {lose_noun} and turned out to be a {win_noun}.",
)
COMPARISON = (
    "{chosen} is better than {other}.",
    "{chosen} was better than {other}.",
    "{other} was worse than {chosen}.",
    "{other} is {adverb} worse than {chosen}.",
    "The {aspect} of {chosen} is better than that of {other}.",
    "I would pick {chosen} over {other}.",
    "My last {product} was {lose}, but this one is {win} and has a {win2} {aspect}.",
    "My last {product} was {lose}, this one is {win}.",
)
CHANGE = (
    "I {lose_past} it until {event}, now I {win_verb} it.",
    "I {lose_past} this {product} until {event}. Now I {win_verb} it.",
    "At first I {lose_past} the {aspect}, but in the end I {win_past} it.",
    "I used to {lose_verb} it, and now I {win_verb} it.",
    "I {win_verb} it now, though I {lose_past} it at first.",
    "It was {lose} at first and has been {win} ever since.",
    "It used to be {lose}, and now it is {win}.",
    "The {aspect} went from {lose} to {win} after {number} {spans}.",
    "The {aspect} is {win} now, but it was {lose} at first.",
)
PLAIN = (
    "A {win} {product}.",
    "What a {win} {product}.",
    "This is the {win_most} {product} I have {met}.",
    "The {win_most} {product} I have {met}.",
    "It is the {win_most} {product} that {person} and I have {met}.",
    "The {aspect} is {adverb} {win}.",
    "The {aspect} is {win} and the {aspect2} is {win2}.",
    "I {adverb} {win_verb} this {product}.",
    "I {win_verb} it.",
    "We {win_past} the {aspect} and the {aspect2}.",
    "{win} {aspect} and {win2} {aspect2}.",
    "This {product} is a {win_noun}.",
    "This {product} is {win}.",
    "This {product} is {adverb} {win}.",
    "It was {win}.",
)
SHAPES = {  # the sentences of a text in order, and the share of texts of that shape
    ("core",): 16,
    ("core", "core"): 34,
    ("opener", "core"): 13,
    ("core", "closer"): 7,
    ("opener", "core", "closer"): 4,
    ("opener", "core", "core"): 16,
    ("core", "core", "closer"): 10,
}
FAMILIES = (
    Family(28, NEGATION),
    Family(18, CONTRAST),
    Family(15, EXPECTATION),
    Family(13, COMPARISON),
    Family(11, CHANGE),
    Family(15, PLAIN),
)

CONTRACTIONS = (
    ("is not", "isn't"),
    ("was not", "wasn't"),
    ("do not", "don't"),
    ("did not", "didn't"),
    ("would not", "wouldn't"),
    ("it is", "it's"),
    ("It is", "It's"),
    ("I have had", "I've had"),
    ("I have used the", "I've used the"),
    ("I have used it", "I've used it"),
    ("I would", "I'd"),
)
