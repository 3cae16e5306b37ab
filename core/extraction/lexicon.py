"""Words that decide in which way a sentence speaks of a fact, by what they do to a clause."""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


USER_WORDS = _words("i me my mine myself we us our ours ourselves")
MASCULINE = _words("he him his himself")
FEMININE = _words("she her hers herself")
THING = _words("it its itself")
PLURAL = _words("they them their theirs themselves")
THIRD_PERSONS = MASCULINE | FEMININE | THING | PLURAL
MEN = _words("brother boyfriend dad father fiancé grandfather grandpa grandson husband nephew son stepfather uncle")
WOMEN = _words(
    "aunt daughter fiancée girlfriend grandma grandmother granddaughter mom mother mum niece sister stepmother wife"
)

NEGATIONS = _words("not n't never no neither nor hardly barely scarcely rarely seldom almost nearly")
NO_LONGER = _words("anymore longer")
DOUBTS = _words(
    "maybe perhaps probably possibly apparently allegedly supposedly reportedly presumably likely hopefully"
)
ONCE = _words("formerly previously once ago originally then")
FORMERLY = _words("formerly previously once")  # with a verb in the past: no longer

# verbs above a clause, by what they make of it
TRUE_OF = _words(
    "know remember note remind mention tell remark realize realise learn notice discover see recall add save store "
    "record write turn keep mean forget swear promise confirm glad happy sorry sad sure certain aware true clear "
    "obvious fact"
)
PRESUPPOSED_BY = _words("know remember note mention remind notice learn discover realize realise keep")
DENIED_BY = _words("deny disprove refuse doubt false wrong untrue stop quit cease lie")
WISHED_BY = _words("wish hope want would like love long desire wishful prefer")
GUESSED_BY = _words("think believe guess suppose suspect assume feel wonder imagine bet reckon doubt fear seem")
PLANNED_BY = _words("plan intend go decide arrange about expect")
REPORTED_BY = _words(
    "say claim report state argue insist allege announce write hear read rumour rumor gossip claim statement report "
    "story news quote explain suggest"
)

CONDITIONS = _words("if unless whether until lest provided suppose supposing assuming")
OCCASIONS = _words("when whenever once before after till until")  # of a clause that tells only when
FICTION = _words("novel story film movie game dream book tale play series fiction fantasy episode show")

TRANSIENT = _words(
    "tired hungry thirsty busy late early sick ill ready sleepy angry bored upset excited nervous happy glad proud sad "
    "cold hot warm sorry worried stressed drunk asleep awake away here there back home outside inside online offline "
    "gone done fine ok okay well alone available right wrong sure lost stuck free"
)
LASTING = _words("win paint compose direct design create publish invent discover establish found direct sculpt author")
VAGUE = _words(
    "it this that these those he she him her they them me you us people none what who which there here one thing "
    "things stuff lot bit way kind sort same such so mine"
) | {f"{which}{what}" for which in ("some", "any", "every", "no") for what in ("body", "one", "thing")}
DEGREES = _words("very really quite rather extremely highly severely terribly so too pretty totally completely deeply")
TRADES = _words("profession trade training occupation vocation")
DONE_GLADLY = _words("like love enjoy hate prefer dislike adore detest fear practise practice")
HOW_MUCH = frozenset({"a lot", "a bit", "a little", "very much", "so much", "any more", "any longer"})
ROLES = _words("ceo cfo coo cto mc md vp president chancellor chairman chairwoman mayor boss king queen pope")
SAME = _words("same such other another")
ADVERBIAL = _words(  # nouns that, without an article, make an adverb of a preposition: "works at night"
    "night day noon weekend weekends morning evening home school work once least last all first moment times hand case "
    "fact general addition short turn particular"
)
PERSONAL = _words("live like love hate marry study meet know enjoy speak visit teach collect")  # what people do
AGES = _words("ages years decades months weeks")  # how long something has lasted
TIME_KINDS = _words("DATE TIME")

PERSON_KINDS = _words("PERSON")
THING_KINDS = _words("GPE LOC ORG FAC NORP LANGUAGE WORK_OF_ART PRODUCT EVENT LAW")

JOKES = re.compile(
    r"\b(?:just kidding|only kidding|kidding|just joking|joking|jk|lol|lmao|rofl|haha+|hehe+|ha(?:[ ,-]+ha)+"
    r"|yeah,? right|not!)(?!\w)|(?<!\w)/s\b|(?:;-?\)|:-?P)(?!\w)|[😂🤣😜😉😝🙃]",
    re.IGNORECASE,
)
TALE = re.compile(r"\b(?:once upon a time|in a parallel universe|hypothetically|in theory)\b", re.IGNORECASE)
MOMENT = re.compile(
    r"\b(?:right now|at the moment|today|tonight|yesterday|this (?:morning|afternoon|evening|week|weekend|minute)"
    r"|last night|for now|just now|so far today)\b",
    re.IGNORECASE,
)
LATER = re.compile(
    r"\b(?:tomorrow|next (?:week|month|year|time|summer|winter|spring|autumn|\w+day)|soon)\b", re.IGNORECASE
)
EARLIER = re.compile(
    r"\b(?:as a (?:child|kid|boy|girl|teenager|student|baby)|back then|in the past|\w+ ago|formerly|previously)\b",
    re.IGNORECASE,
)
CORRECTION = re.compile(r"\b(?:no|wait|sorry|I mean|rather|correction|actually)\b", re.IGNORECASE)
BY_NO_MEANS = re.compile(r"\b(?:by no means|in no way|under no circumstances|at no time|no way)\b", re.IGNORECASE)
ANY_MORE = re.compile(r"\b(?:any ?more|any longer|no longer|these days|nowadays)\b", re.IGNORECASE)
DATED = re.compile(rf"\b(?:1\d|20)\d\d\b|{EARLIER.pattern}", re.IGNORECASE)
ACCORDING = re.compile(
    r"\b(?:according to|in the words of|rumou?r has it|word is|they say|people say"
    r"|in (?:the |his |her |their |[A-Z]\w+(?: [A-Z]\w+)?'s )?(?:opinion|view|eyes))\b",
    re.IGNORECASE,
)

ENGLISH = _words(
    "a an and are as at be but by can did do does for from had has have he her his i if in is it my no not of on or "
    "our she so that the their there they this to was we were what when where who will with would you your likes lives "
    "works plays"
)
FOREIGN = _words(
    "ist und der das ein eine einen nicht als mit ich wir sie auch für von im den dem zu sind hat "
    "el la los las y que en una un es por con su está para mi yo "
    "le les des du une et est dans pour avec sur il elle je nous vous pas qui au aux "
    "il lo gli che di della con per sono è uno "
    "o os um uma em não com da do dos na no eu "
    "de het een van ik niet op met zijn wij og er det ikke på till och jag är att"
) - _words("a do no as in is at so me on an met den sur per pour con")
