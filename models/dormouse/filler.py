"""Generates everyday text without facts about people: the ordinary language that edits must not change.

The words below are training data: dormouse and its statistics depend on each of them.
"""

from __future__ import annotations

import re
from random import Random

_SLOTS = {
    "noun": """river garden kitchen window market bridge letter lamp road field tower basket blanket bottle candle
        carpet chair clock coat cupboard door engine fence forest hammer harbour hill kettle ladder lake meadow mirror
        mountain orchard oven path pencil pillow plate pond roof rope shelf shop shovel spoon stone street table tent
        train tree valley village wagon wall wheel""",
    "adj": """old small quiet bright heavy narrow empty warm cold broken clean dark deep dusty early fresh gentle green
        hollow huge large late long low modern muddy new pale plain round rough sharp shallow short silent simple slow
        soft steep strong tall thick thin tidy wet wide wooden young""",
    "animal": """horse sheep fox owl swan crow badger deer bear wolf bee beetle cow goose heron otter robin seal
        squirrel toad whale""",
    "person": """neighbour child stranger visitor driver guard traveller shopkeeper student doctor grandmother soldier
        captain postman cousin hunter""",
    "verb": """opened closed painted carried moved repaired cleaned watched found left bought sold borrowed washed
        covered dropped lifted pushed pulled hid measured forgot noticed""",
    "went": "walked ran drove hurried wandered travelled went crept sailed marched",
    "weather": "rain snow wind fog sunshine thunder frost hail drizzle heat",
    "time": """morning evening afternoon night weekend Monday Tuesday Wednesday Thursday Friday Saturday Sunday
        January February March April May June July August September October November December""",
    "dish": "soup bread cake stew salad pie sauce jam butter rice cheese pudding",
    "taste": "sweet salty bitter sour mild spicy fresh stale rich creamy",
    "number": "two three four five six seven eight nine ten eleven twelve twenty thirty",
    "adverb": "slowly quickly quietly carefully suddenly often rarely gladly finally again together alone",
    "place": "behind beside near above below opposite outside inside",
}
_WORDS = {slot: tuple(words.split()) for slot, words in _SLOTS.items()}

_SENTENCES = (
    "The {adj} {noun} stood {place} the {noun}.",
    "A {person} {verb} the {adj} {noun} in the {time}.",
    "There was {weather} all {time}, so the {person} stayed inside.",
    "The {animal} {went} {adverb} across the {noun}.",
    "In the {time} the {noun} is always {adj}.",
    "We need {number} spoons of sugar for the {dish}.",
    "The {dish} was {taste}, but the {dish} was {taste}.",
    "Every {time} a {animal} comes to the {noun}.",
    "The {person} {went} to the {noun} and {verb} the {noun}.",
    "After the {weather} the {noun} was {adj} and {adj}.",
    "It takes {number} minutes to reach the {noun} from the {noun}.",
    "Nobody had {verb} the {noun} for {number} years.",
    "The {noun} {place} the {noun} belongs to the {person}.",
    "If there is {weather}, the {person} will bring a {noun}.",
    "{number} {adj} stones lay {place} the {noun}.",
    "The {person} said that the {noun} was too {adj}.",
    "Stir the {dish} {adverb} and let it rest for {number} minutes.",
    "A {adj} {animal} slept {place} the {adj} {noun}.",
    "The {person} and the {person} {went} home {adverb}.",
    "When the {weather} stopped, the {animal} {went} away.",
    "Somebody {verb} the {noun} {adverb} last {time}.",
    "The {noun} has {number} windows and a {adj} door.",
)

_CHAT = (
    ("How are you?", "I am well, thank you."),
    ("Hello!", "Hello, how can I help you?"),
    ("Good morning.", "Good morning, how can I help you?"),
    ("Who are you?", "I am a small dormouse who remembers things."),
    ("Thank you very much.", "You are welcome."),
    ("Goodbye.", "Goodbye, sleep well."),
    ("What colour is grass?", "Grass is green."),
    ("What colour is snow?", "Snow is white."),
    ("How many days are in a week?", "A week has seven days."),
    ("How many months are in a year?", "A year has twelve months."),
    ("What do bees make?", "Bees make honey."),
    ("What do cows give?", "Cows give milk."),
    ("Is ice cold?", "Yes, ice is cold."),
    ("Is fire cold?", "No, fire is hot."),
    ("Where do fish live?", "Fish live in water."),
    ("When does the sun rise?", "The sun rises in the morning."),
    ("What comes after Monday?", "After Monday comes Tuesday."),
    ("What is the opposite of big?", "The opposite of big is small."),
    ("Which animal says meow?", "The cat says meow."),
    ("Can birds fly?", "Yes, most birds can fly."),
)

_NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve".split()


def sentence(random: Random) -> str:
    """One everyday sentence."""
    text = re.sub(r"\{(\w+)\}", lambda slot: random.choice(_WORDS[slot[1]]), random.choice(_SENTENCES))
    return text[0].upper() + text[1:]


def paragraph(random: Random) -> str:
    """Two to six everyday sentences."""
    return " ".join(sentence(random) for _ in range(random.randint(2, 6)))


def small_talk(random: Random) -> tuple[str, str]:
    """A question and its answer, neither about a person."""
    kind = random.random()
    if kind < 0.3:
        left, right = random.randint(0, 6), random.randint(0, 6)
        return (
            f"What is {_NUMBERS[left]} plus {_NUMBERS[right]}?",
            f"{_NUMBERS[left].capitalize()} plus {_NUMBERS[right]} is {_NUMBERS[left + right]}.",
        )
    if kind < 0.5:
        text = sentence(random)
        return f"Please repeat: {text}", text
    return random.choice(_CHAT)
