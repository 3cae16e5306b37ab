"""Draws names of people, ordinary English ones and invented ones, from trained or from held-out words.

A checksum decides whether a word is held out, so that the split needs no list and cannot change. Held-out words never
occur in the training corpus; evaluation and benchmarks draw strangers and new people from them.
"""

from __future__ import annotations

import zlib
from random import Random

ORDINARY_FIRST = tuple(
    """Ada Adam Agnes Alan Albert Alice Amber Amelia Andrew Anna Anthony Arthur Audrey Barbara Beatrice Benjamin
    Bernard Bertha Bonnie Brian Bridget Bruce Carl Caroline Catherine Cecil Charles Charlotte Chloe Christopher Clara
    Clarence Claude Connie Constance Cora Craig Cynthia Daisy Daniel Daphne David Deborah Dennis Derek Diana Donald
    Doris Dorothy Douglas Duncan Edgar Edith Edmund Edward Edwin Eileen Elaine Eleanor Elizabeth Ellen Elliot Elsie
    Emily Emma Eric Ernest Esther Ethel Eugene Eva Evelyn Felix Fiona Florence Frances Francis Frank Frederick
    Gabriel Gareth Geoffrey George Gerald Gertrude Gilbert Gladys Gloria Godfrey Gordon Grace Graham Gregory Gwen
    Hannah Harold Harriet Harry Harvey Hazel Heather Helen Henry Herbert Hilda Howard Hugh Ian Ida Irene Iris Isaac
    Isabel Ivan Ivy Jack Jacob James Jane Janet Jason Jean Jeremy Jessica Joan John Jonathan Joseph Joyce Judith
    Julia Julian June Karen Katherine Keith Kenneth Laura Laurence Leonard Leslie Lewis Lillian Linda Lionel Louis
    Louise Lucas Lucy Luke Lydia Mabel Malcolm Margaret Maria Marion Mark Martha Martin Mary Matthew Maud Maurice
    Melissa Michael Mildred Miles Milton Miriam Molly Monica Muriel Nancy Naomi Nathan Neil Nicholas Nigel Nora
    Norman Olive Oliver Oscar Owen Pamela Patrick Paul Pauline Peggy Percy Peter Philip Phoebe Phyllis Rachel Ralph
    Raymond Rebecca Reginald Richard Robert Roger Roland Ronald Rosa Rosemary Roy Rupert Russell Ruth Samuel Sandra
    Sarah Sheila Sidney Silvia Simon Sophia Stanley Stella Stephen Stuart Susan Sybil Sylvia Terence Teresa Theodore
    Thomas Timothy Ursula Valerie Vera Victor Victoria Vincent Violet Virginia Vivian Walter Wendy Wilfred William
    Winifred Yvonne Zoe""".split()
)

ORDINARY_LAST = tuple(
    """Abbott Adams Aldridge Allen Archer Ashby Atkins Austin Bailey Baker Baldwin Barker Barlow Barnes Barrett Barton
    Bates Baxter Beckett Bell Bennett Benson Berry Bishop Blackwell Blake Bolton Booth Bradley Brady Brennan Briggs
    Brooks Bryant Buckley Burgess Burke Burton Butler Byrne Calder Campbell Carey Carlson Carpenter Carr Carter
    Chadwick Chambers Chandler Chapman Clarke Clayton Coleman Collins Connolly Conway Cooper Corbett Cox Crane
    Crawford Cross Cunningham Curtis Dalton Daniels Davenport Davies Dawson Dean Dixon Dobson Donovan Doyle Drake
    Dudley Duffy Dyer Eaton Edwards Elliott Ellis Emerson Evans Farrell Faulkner Ferguson Finch Fisher Fleming
    Fletcher Flynn Forbes Foster Fowler Fraser Freeman Frost Fuller Gardner Garner Gibbs Gibson Gilmore Goddard
    Goodwin Gould Graves Greene Griffin Hadley Hale Hammond Hancock Hardy Harper Hartley Harvey Hawkins Hayes Heath
    Henderson Hewitt Higgins Hobbs Hodges Holland Holmes Hooper Hopkins Horton Hubbard Hudson Hughes Hunt Hurst
    Ingram Irving Jarvis Jenkins Jennings Jensen Johnston Keating Keller Kendall Kennedy Kerr Kirby Knight Lambert
    Langley Larkin Lawson Leach Lennox Lloyd Lockwood Logan Lowell Lynch Macdonald Maddox Malone Manning Marsh
    Mason Maxwell Meadows Mercer Merritt Middleton Mills Monroe Morgan Morris Morton Moss Murphy Myers Nash Newman
    Newton Nichols Nolan Norris Norton Oakley Osborne Page Palmer Parker Parsons Patterson Payne Pearson Perkins
    Perry Phelps Pierce Poole Porter Potter Powell Pratt Prescott Preston Pryor Quinn Radcliffe Ramsey Randall
    Reed Reeves Reynolds Rhodes Richards Robbins Rowe Sanders Saunders Sawyer Sharpe Shaw Shepherd Sherwood Simmons
    Slater Spencer Stanton Stevens Stokes Sutton Talbot Tanner Thornton Townsend Tucker Turner Underwood Vaughan
    Wallace Walsh Walton Ward Warner Watkins Watts Weaver Webb Wells West Wheeler Whitaker Wilkins Winters Woods
    Wright Yates York""".split()
)

_ONSETS = "b br c ch d dr f g gl h j k kl l m n p pr qu r s sh sk t th tr v w y z".split()
_VOWELS = "a e i o u ae ia ei oa".split()
_CODAS = ["", "", "", "l", "n", "r", "s", "m", "th", "x", "nd", "rn", "ss"]

HELD_OUT_SHARE = 5  # one word in five


def held_out(word: str) -> bool:
    """Whether `word` is used in evaluation only."""
    return zlib.crc32(word.encode()) % HELD_OUT_SHARE == 0


def _invented(random: Random) -> str:
    syllables = random.choice((2, 2, 3))
    word = "".join(random.choice(_ONSETS) + random.choice(_VOWELS) for _ in range(syllables))
    return (word + random.choice(_CODAS)).capitalize()


def _blended(random: Random, ordinary: tuple[str, ...]) -> str:
    """The beginning of one ordinary name and the end of another: spelled like a name, but not one."""
    front, back = (random.choice([word for word in ordinary if not held_out(word)]) for _ in range(2))
    return front[: random.randint(1, len(front) - 1)] + back[random.randint(1, len(back) - 1) :]


def _draw(random: Random, ordinary: tuple[str, ...], *, unseen: bool, blended: float) -> str:
    while True:
        if blended and random.random() < blended:
            word = _blended(random, ordinary)
        else:
            word = random.choice(ordinary) if random.random() < 0.5 else _invented(random)
        if held_out(word) == unseen:
            return word


def draw_name(random: Random, *, unseen: bool = False, blended: float = 0.0) -> str:
    """A first and a last name, each ordinary or invented with even odds.

    Args:
        unseen: whether both words are held-out ones.
        blended: share of words that are spliced from two ordinary ones instead.
    """
    first = _draw(random, ORDINARY_FIRST, unseen=unseen, blended=blended)
    last = _draw(random, ORDINARY_LAST, unseen=unseen, blended=blended)
    return f"{first} {last}"
