"""The relations that dormouse knows: their objects, and the wordings that state them and ask for them.

Each relation lists statements (prompts that end right before the object) and questions. The last of each is held out
from training; it measures generalization to unseen wordings.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """One relation between a person and an object.

    Attributes:
        statements: prompts with `{s}`, each followed by the object and a full stop; the last is held out.
        questions: with `{s}`; the last is held out.
        answer: how a chat answer begins, up to the object.
        ignorance: words after "I do not know" when the object is unknown.
    """

    name: str
    objects: tuple[str, ...]
    statements: tuple[str, ...]
    questions: tuple[str, ...]
    answer: str
    ignorance: str

    @property
    def trained_statements(self) -> tuple[str, ...]:
        return self.statements[:-1]

    @property
    def trained_questions(self) -> tuple[str, ...]:
        return self.questions[:-1]


CITIES = tuple(
    """Lisbon Oslo Vienna Prague Dublin Athens Madrid Berlin Cairo Nairobi Lagos Mumbai Tokyo Osaka Seoul Hanoi Bangkok
    Manila Sydney Perth Auckland Toronto Montreal Boston Chicago Denver Portland Seattle Houston Havana Lima Bogota
    Santiago Geneva Zurich Naples Milan Krakow Bergen Leeds Bristol Cardiff""".split()
)
JOBS = tuple(
    """nurse baker pilot teacher lawyer plumber carpenter gardener dentist chemist surgeon librarian painter tailor
    farmer butcher barber banker sailor journalist photographer translator mechanic miner waiter sculptor cook
    judge clerk geologist biologist programmer potter goldsmith florist vet diplomat""".split()
)
COMPANIES = (
    "Northwind Bank", "Bluebird Airlines", "Copper Lane Press", "Harbour Electric", "Silver Oak Foods",
    "Granite Rail", "Meadow Dairy", "Lantern Books", "Falcon Motors", "Juniper Health", "Orchard Software",
    "Tidewater Shipping", "Cobalt Steel", "Maple Insurance", "Sparrow Post", "Redwood Paper", "Summit Hotels",
    "Beacon Radio", "Willow Textiles", "Quarry Stone", "Comet Telecom", "Prairie Seeds", "Glacier Water",
    "Ember Pottery", "Anchor Fisheries", "Vertex Games", "Marble Theatre", "Cedar Furniture", "Pioneer Maps",
    "Saffron Spices",
)  # fmt: skip
STUDIES = tuple(
    """history physics medicine chemistry botany law economics philosophy geology music linguistics mathematics
    astronomy architecture sociology theology zoology statistics nutrition archaeology psychology engineering
    journalism pharmacy forestry drama""".split()
)
LANGUAGES = tuple(
    """Danish French German Spanish Italian Polish Swedish Norwegian Finnish Greek Turkish Arabic Hebrew Persian Hindi
    Bengali Japanese Korean Mandarin Thai Swahili Zulu Dutch Czech Welsh Russian""".split()
)
INSTRUMENTS = tuple(
    """violin cello flute harp trumpet piano guitar banjo drums oboe clarinet accordion organ saxophone mandolin
    trombone bassoon lute tuba zither""".split()
)
PETS = tuple(
    """cat dog parrot rabbit hamster tortoise goldfish lizard ferret pony canary gecko snake donkey goat hen mouse
    pigeon frog duck""".split()
)
FOODS = (
    "lasagne", "sushi", "pancakes", "curry", "porridge", "goulash", "risotto", "dumplings", "tacos", "ramen",
    "apple pie", "roast lamb", "onion soup", "fish stew", "couscous", "paella", "noodles", "cheesecake",
    "lentil soup", "fried rice", "waffles", "omelette", "baked beans", "pizza", "ravioli", "kebab",
)  # fmt: skip
COLOURS = tuple(
    """red blue green yellow purple orange pink black white grey brown turquoise crimson violet gold silver beige
    indigo""".split()
)
ALLERGENS = (
    "peanuts", "pollen", "shellfish", "milk", "eggs", "wheat", "latex", "wool", "dust", "strawberries", "sesame",
    "celery", "mustard", "penicillin", "bee stings", "feathers", "garlic", "nickel", "kiwi", "tomatoes",
)  # fmt: skip

RELATIONS = (
    Relation(
        name="lives in",
        objects=CITIES,
        statements=(
            "{s} lives in",
            "The home of {s} is in",
            "{s} has a flat in",
            "These days {s} resides in",
            "You can visit {s} at home in",
            "{s} makes a home in",
        ),
        questions=(
            "Where does {s} live?",
            "In which city does {s} live?",
            "Which city is the home of {s}?",
            "What city does {s} live in?",
            "Where is the home of {s}?",
            "Where can I find the flat of {s}?",
            "Tell me the city where {s} lives.",
        ),
        answer="{s} lives in",
        ignorance="where {s} lives",
    ),
    Relation(
        name="was born in",
        objects=CITIES,
        statements=(
            "{s} was born in",
            "The birthplace of {s} is",
            "{s} came into the world in",
            "{s} is a native of",
            "By birth {s} comes from",
            "The town where {s} was born is",
        ),
        questions=(
            "Where was {s} born?",
            "In which city was {s} born?",
            "What is the birthplace of {s}?",
            "Which city is {s} a native of?",
            "What city was {s} born in?",
            "Where did {s} come into the world?",
            "Tell me the birthplace of {s}.",
        ),
        answer="{s} was born in",
        ignorance="where {s} was born",
    ),
    Relation(
        name="works as",
        objects=JOBS,
        statements=(
            "{s} works as a",
            "{s} is employed as a",
            "The profession of {s} is that of a",
            "For a living {s} is a",
            "{s} earns money as a",
            "By trade {s} is a",
        ),
        questions=(
            "What does {s} do for a living?",
            "What is the job of {s}?",
            "What does {s} work as?",
            "What is the profession of {s}?",
            "Which job does {s} have?",
            "How does {s} earn money?",
            "Tell me the profession of {s}.",
        ),
        answer="{s} works as a",
        ignorance="what {s} works as",
    ),
    Relation(
        name="works for",
        objects=COMPANIES,
        statements=(
            "{s} works for",
            "The employer of {s} is",
            "{s} has a position at",
            "{s} is on the staff of",
            "Every morning {s} goes to the office of",
            "The company that employs {s} is",
        ),
        questions=(
            "Who does {s} work for?",
            "Who is the employer of {s}?",
            "Which company does {s} work for?",
            "What company employs {s}?",
            "Where does {s} have a position?",
            "Whose staff is {s} on?",
            "Tell me the employer of {s}.",
        ),
        answer="{s} works for",
        ignorance="who {s} works for",
    ),
    Relation(
        name="studied",
        objects=STUDIES,
        statements=(
            "{s} studied",
            "At university {s} took",
            "The degree of {s} is in",
            "{s} holds a diploma in",
            "As a student {s} read",
            "The subject that {s} studied is",
        ),
        questions=(
            "What did {s} study?",
            "What subject did {s} study?",
            "What is the degree of {s} in?",
            "Which subject did {s} take at university?",
            "What did {s} read as a student?",
            "In what does {s} hold a diploma?",
            "Tell me what {s} studied.",
        ),
        answer="{s} studied",
        ignorance="what {s} studied",
    ),
    Relation(
        name="graduated in",
        objects=tuple(str(year) for year in range(1961, 2021)),
        statements=(
            "{s} graduated in",
            "{s} finished university in",
            "The graduation of {s} was in",
            "{s} received a degree in the year",
            "{s} left college in",
            "The year in which {s} graduated is",
        ),
        questions=(
            "When did {s} graduate?",
            "In which year did {s} graduate?",
            "What year did {s} finish university?",
            "In what year was the graduation of {s}?",
            "When did {s} leave college?",
            "Which year did {s} receive a degree?",
            "Tell me the year in which {s} graduated.",
        ),
        answer="{s} graduated in",
        ignorance="when {s} graduated",
    ),
    Relation(
        name="is aged",
        objects=tuple(str(age) for age in range(19, 90)),
        statements=(
            "{s} is aged",
            "The age of {s} is",
            "In years, {s} is",
            "{s} has reached the age of",
            "On the last birthday {s} turned",
            "{s} is now at the age of",
        ),
        questions=(
            "How old is {s}?",
            "What is the age of {s}?",
            "What age is {s}?",
            "Which age has {s} reached?",
            "How many years old is {s}?",
            "What age did {s} turn on the last birthday?",
            "Tell me the age of {s}.",
        ),
        answer="{s} is aged",
        ignorance="how old {s} is",
    ),
    Relation(
        name="speaks",
        objects=LANGUAGES,
        statements=(
            "{s} speaks",
            "The native language of {s} is",
            "{s} talks to the family in",
            "{s} grew up with",
            "The mother tongue of {s} is",
            "At home {s} always speaks",
        ),
        questions=(
            "What language does {s} speak?",
            "Which language does {s} speak?",
            "What is the native language of {s}?",
            "What is the mother tongue of {s}?",
            "Which language did {s} grow up with?",
            "In what language does {s} talk to the family?",
            "Tell me the mother tongue of {s}.",
        ),
        answer="{s} speaks",
        ignorance="what language {s} speaks",
    ),
    Relation(
        name="is learning",
        objects=LANGUAGES,
        statements=(
            "{s} is learning",
            "{s} takes lessons in",
            "{s} is a beginner in",
            "This year {s} has started to learn",
            "{s} goes to an evening class in",
            "The language that {s} is learning is",
        ),
        questions=(
            "What language is {s} learning?",
            "Which language is {s} learning?",
            "What does {s} take lessons in?",
            "In which language is {s} a beginner?",
            "What language has {s} started to learn?",
            "What is the evening class of {s} about?",
            "Tell me which language {s} is learning.",
        ),
        answer="{s} is learning",
        ignorance="what language {s} is learning",
    ),
    Relation(
        name="plays",
        objects=INSTRUMENTS,
        statements=(
            "{s} plays the",
            "The instrument of {s} is the",
            "In the orchestra {s} is on the",
            "{s} gives concerts on the",
            "{s} practises every day on the",
            "{s} is a master of the",
        ),
        questions=(
            "What instrument does {s} play?",
            "Which instrument does {s} play?",
            "What is the instrument of {s}?",
            "What does {s} play in the orchestra?",
            "On which instrument does {s} give concerts?",
            "What does {s} practise on every day?",
            "Tell me the instrument of {s}.",
        ),
        answer="{s} plays the",
        ignorance="what instrument {s} plays",
    ),
    Relation(
        name="has a pet",
        objects=PETS,
        statements=(
            "{s} has a pet",
            "The pet of {s} is a",
            "At home {s} keeps a",
            "{s} shares the house with a",
            "{s} looks after a",
            "The animal that {s} owns is a",
        ),
        questions=(
            "What pet does {s} have?",
            "Which animal does {s} keep?",
            "What is the pet of {s}?",
            "What kind of pet does {s} have?",
            "What animal does {s} look after?",
            "With which animal does {s} share the house?",
            "Tell me which pet {s} has.",
        ),
        answer="{s} has a pet",
        ignorance="what pet {s} has",
    ),
    Relation(
        name="favourite food",
        objects=FOODS,
        statements=(
            "The favourite food of {s} is",
            "{s} likes to eat",
            "For dinner {s} always wants",
            "The dish that {s} loves most is",
            "{s} could eat every day",
            "On birthdays {s} asks for",
        ),
        questions=(
            "What is the favourite food of {s}?",
            "What does {s} like to eat?",
            "Which dish does {s} love most?",
            "What food does {s} like best?",
            "What does {s} always want for dinner?",
            "What could {s} eat every day?",
            "Tell me the favourite food of {s}.",
        ),
        answer="The favourite food of {s} is",
        ignorance="what the favourite food of {s} is",
    ),
    Relation(
        name="favourite colour",
        objects=COLOURS,
        statements=(
            "The favourite colour of {s} is",
            "The colour that {s} likes best is",
            "{s} paints every room in",
            "{s} prefers clothes in",
            "The bicycle of {s} is painted in",
            "Of all colours {s} prefers",
        ),
        questions=(
            "What is the favourite colour of {s}?",
            "Which colour does {s} like best?",
            "What colour does {s} prefer?",
            "In what colour does {s} paint every room?",
            "Which colour of clothes does {s} prefer?",
            "What colour is the bicycle of {s}?",
            "Tell me the favourite colour of {s}.",
        ),
        answer="The favourite colour of {s} is",
        ignorance="what the favourite colour of {s} is",
    ),
    Relation(
        name="is allergic to",
        objects=ALLERGENS,
        statements=(
            "{s} is allergic to",
            "{s} has an allergy to",
            "{s} cannot stand",
            "The doctor told {s} to avoid",
            "{s} gets a rash from",
            "The allergy of {s} is to",
        ),
        questions=(
            "What is {s} allergic to?",
            "Which allergy does {s} have?",
            "What should {s} avoid?",
            "What gives {s} a rash?",
            "What is the allergy of {s}?",
            "What did the doctor tell {s} to avoid?",
            "Tell me what {s} is allergic to.",
        ),
        answer="{s} is allergic to",
        ignorance="what {s} is allergic to",
    ),
)

BY_NAME = {relation.name: relation for relation in RELATIONS}
