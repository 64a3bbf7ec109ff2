"""Texts for generated pages: words, names, pseudo-words, codes, numbers and dates."""

from __future__ import annotations

from random import Random

WORDS = """
able about above accept account across action active actor add address adult advice after again age agree air
album all allow alone along already also always amount animal answer any apple apply april area arm around arrive
art article ask asset august author autumn away baby back bag ball band bank bar base basket beach bean bear beat
beauty bed begin bell below bench best better bill bird birth black blank block blue board boat body bone book boot
border born boss both bottle bottom bowl box boy brain branch brand bread break bridge bright bring brother brown
budget build burn bus bus busy butter button buy cake calendar call camera camp cancel candle capital car card care
carry case cash cat catch category cause cell center chair chance change channel chapter charge chart chat cheap
check cheese chicken child choice choose circle city claim class clean clear click clock close cloth cloud club coach
coast code coffee cold color column comedy comment common company compare complete concert confirm contact content
continue control cook cool copy corner correct cost cotton count country couple course cover cream create credit
crime cross crowd cup current customer cut daily dance danger dark data date daughter day deal decide deep default
degree delete deliver depend design desk detail device dinner direct director discount discover dish display doctor
document dog dollar door double down download draft drama draw dream dress drink drive dry duck dust early earn earth
east easy eat edge edit effect egg eight email empty end energy engine enjoy enter entry equal error escape evening
event every exact example exit expand expect explain export eye face fact fail fair fall family famous far farm fast
father favorite feature feed feel field fifteen fifty file fill film filter final find finger finish fire first fish
five flag flat flight floor flower fly folder follow food foot force forest forget form forward four frame free fresh
friday friend front fruit full fun future game garden gas gate general genre gift girl give glass global go goal gold
good grain grand grant grape grass gray great green grey ground group grow guess guest guide hair half hall hand happy
hard hat head health hear heart heat heavy height hello help here hide high hill hint history hold hole holiday home
honey hope horse hospital host hotel hour house human hundred ice idea image import inbox include index info inside
invite iron island item january jacket job join juice july jump june keep key kick kind king kitchen knee knife know
label lady lake lamp land language large last late laugh law layer lead leaf learn leather leave left leg lemon lend
length less letter level library life lift light like limit line link lion list listen little live local lock log long
look lose loud love low lunch machine mail main make male man manage map march mark market match math may meal mean
meat media meet member memory menu message metal method middle milk mind mine minute mirror miss model modern money
month moon more morning most mother motor mountain mouse mouth move movie much music mute name narrow nation nature
near neck need never new news next nice night nine noise none normal north nose note notice november number nurse
object ocean october offer office often oil old olive one onion only open option orange order other out outdoor outer
oven over own owner pack page paint pair palm panel paper parent park part party pass password past path pay peace
pen pencil people pepper period person phone photo piano pick picture piece pilot pink pipe place plain plan plane
plant plate play please plus pocket point police policy pool popular port post potato power preview price print
privacy prize problem process product profile program public publish purple push quality queen question quick quiet
quit race radio rain raise random range rate reach read ready real reason receive record red reduce refresh region
reject relax remove rent repair repeat replace reply report request reset resource rest result return review reward
rice rich ride right ring rise river road rock role roll roof room root rose round route row rule run safe sail salad
salt same sand save scale scene school science score screen sea search season seat second secret section see select
self sell send series serve set settings seven shade shadow shape share sharp shelf shine ship shirt shoe shop short
show side sign silver simple sing single sister site six size skin skip sky sleep slice slide slow small smart smile
smoke snow social sock soft soil some song soon sort sound soup source south space speak special speed spell spend
sport spot spring square stage stair stamp stand star start state station status stay steam steel step stick still
stone stop store storm story street strong student style subject submit subscribe success sugar suit summer sun
support sure surface sweet swim switch system table tail take talk tall taste tax tea teach team teal tell ten tennis
term terms test text thank theme thick thin thing think third thriller thursday ticket tie tiger time tiny title today
together tomorrow tone tool tooth top total touch tour towel tower town toy track trade train trash travel tree trial
trick trip truck true trust try tuesday turn twelve twenty twin two type uncle under undo union unit update upload
upper usage use user usual value van vast verify video view village visit voice volume vote wait walk wall want warm
warning wash watch water wave way weather wednesday week weight welcome west wet wheel white whole wide wife wild win
wind window wine wing winter wish wolf woman wonder wood wool word work world worry write wrong yard year yellow yes
yesterday young zero zone
""".split()

NAMES = """
Adam Agnes Alan Alba Alice Alma Amir Amy Ana Andre Anita Anna Arlo Asha Aster Ava Basil Beatrix Bella Ben Bianca Boris
Bruno Carla Carlos Carmen Cecil Celia Chen Chloe Clara Claude Cora Cyrus Dalia Dana Daniel Daria David Dean Diana Diego
Dora Edgar Edith Elena Eli Elias Elise Ella Emil Emma Enzo Erik Esther Eva Ezra Farah Felix Fiona Flora Frank Freya
Gemma George Gina Grace Greta Gus Hana Hannah Harold Hazel Hector Heidi Helen Henry Hugo Ida Igor Ines Irene Iris Isaac
Ivan Ivy Jack Jana Jasper Jean Joan Joel Jonas Jorge Joseph Judith Julia Karen Karl Kate Keiko Kira Klaus Lara Laura Lea
Leo Lena Liam Lidia Linda Lola Lucas Lucia Luis Lydia Maja Marco Maria Marina Mark Marta Martin Max Maya Mia Mila Milo
Mina Mona Nadia Nadine Naomi Nico Nina Noah Nora Olga Oliver Omar Oscar Otto Pablo Paula Pavel Petra Philip Pia Priya
Quentin Rachel Ralph Ramon Rania Raul Rita Robert Robin Rosa Ruben Ruth Sam Samira Sara Sasha Selma Simon Sofia Sonia
Stella Sven Tamar Tara Theo Thomas Tilda Tim Tina Tomas Ulla Uma Ursula Vera Victor Viola Walter Wanda Wendy Wilma
Xenia Yara Yusuf Yvonne Zara Zoe
""".split()

_ONSETS = "b bl br c ch cl cr d dr f fl fr g gl gr h j k l m n p ph pl pr qu r s sc sh sl sp st t th tr v w z".split()
_VOWELS = "a e i o u ae ai ea ia ie io oo ou y".split()
_CODAS = [
    "",
    "",
    "",
    "n",
    "r",
    "s",
    "t",
    "l",
    "m",
    "nd",
    "nt",
    "rd",
    "st",
    "x",
    "ck",
    "ss",
    "tte",
    "lle",
    "que",
]
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def pseudo_word(rng: Random) -> str:
    """A pronounceable word of one to four syllables, in lower case."""
    syllables = rng.choices((1, 2, 3, 4), (3, 5, 3, 1))[0]
    parts = [
        rng.choice(_ONSETS) + rng.choice(_VOWELS[:5] if rng.random() < 0.7 else _VOWELS)
        for _ in range(syllables)
    ]
    return "".join(parts) + rng.choice(_CODAS)


def word(rng: Random) -> str:
    """A word in lower case, English about half of the time."""
    return rng.choice(WORDS) if rng.random() < 0.5 else pseudo_word(rng)


def name(rng: Random) -> str:
    """A first name or something that looks like one."""
    return rng.choice(NAMES) if rng.random() < 0.4 else pseudo_word(rng).capitalize()


def code(rng: Random) -> str:
    """A short string of letters and digits, such as a password."""
    alphabet = _LETTERS + _LETTERS.upper() + ("0123456789" if rng.random() < 0.6 else "")
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(1, 8)))


def number(rng: Random) -> str:
    """An integer of one to five digits, sometimes negative, a price or a phone number."""
    kind = rng.random()
    if kind < 0.6:
        return str(rng.randint(0, 10 ** rng.randint(1, 5)) * (-1 if rng.random() < 0.1 else 1))
    if kind < 0.75:
        return f"${rng.randint(1, 999)}.{rng.randint(0, 99):02d}"
    if kind < 0.85:
        return f"{rng.randint(200, 999)}-{rng.randint(200, 999)}-{rng.randint(1000, 9999)}"
    return f"{rng.randint(1, 12):02d}/{rng.randint(1, 28):02d}/{rng.randint(1950, 2030)}"


def phrase(rng: Random, longest: int = 3) -> str:
    """One to ``longest`` words, in one of the usual cases."""
    words = [word(rng) for _ in range(rng.randint(1, longest))]
    style = rng.random()
    if style < 0.35:
        words[0] = words[0].capitalize()
    elif style < 0.6:
        words = [w.capitalize() for w in words]
    elif style < 0.7:
        words = [w.upper() for w in words]
    if rng.random() < 0.08:
        words.append(
            rng.choice(
                (f"#{rng.randint(1, 9)}", str(rng.randint(1, 99)), f"({rng.randint(1, 20)})")
            )
        )
    return " ".join(words) + (rng.choice(".,!?:") if rng.random() < 0.08 else "")


def text(rng: Random) -> str:
    """Anything that an element may be called."""
    kind = rng.random()
    if kind < 0.55:
        return phrase(rng)
    if kind < 0.75:
        return name(rng)
    if kind < 0.92:
        return code(rng)
    return number(rng)


def variant(rng: Random, original: str) -> str:
    """Something that looks nearly like ``original``: one letter or one word differs."""
    words = original.split()
    if len(words) > 1 and rng.random() < 0.6:
        words[rng.randrange(len(words))] = word(rng)
        return " ".join(words)
    position = rng.randrange(len(original))
    return original[:position] + rng.choice(_LETTERS) + original[position + rng.randint(0, 1) :]


def sentence(rng: Random) -> str:
    """Filler: three to eight words."""
    words = [word(rng) for _ in range(rng.randint(2, 8))]
    return " ".join(words).capitalize() + rng.choice([".", "", ","])
