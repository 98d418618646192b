"""How text names one of a question's options: by its number, its letter or its text."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

Options = tuple[str, ...]

# Stands for a number that is no option: the answer is read, and it is invalid.
OUT = 0
DECORATION = " \t\r\n\f\v\"'“”‘’«»「」『』`*_#$()[]{}<>.,:;!?。．，、：；！،؛？؟۔।॥။។።፡፦|\\"

# One number, not the 5 of 2.5 (two runs of digits).
_ONE_NUMBER = re.compile(r"(\D*)(\d+)(\D*)")
_CLOSING_REACH = 60
# What may follow an option's number: "number", "option", "is", a polite ending. Counters
# (3人, 3개, 3个) are left out: they follow an amount.
_CLOSING = re.compile(
    "|".join(
        (
            r"번?(?: ?(?:보기|선택지))? ?(?:입니다|이?에요|예요|이?야|이?다|이?요|임)?",  # ko
            r"[番号]?(?:の選択肢)?(?:です|だ|である|になります)?[よね]?",  # ja
            r"[号號项項]?(?:[个個]?(?:选项|選項))?",  # zh_cn, yue, nan
            r"(?:नंबर|नम्बर|क्रमांक)?(?: ?(?:विकल्प|पर्याय))? ?(?:है|हैं|आहे)?",  # hi, mr
            r"(?:নম্বর|নং)?(?: ?(?:বিকল্প|অপশন))?",  # bn
            r"ኛ?ው? ?(?:ነው)?",  # am
            r"(?:වන|වෙනි)?(?: ?විකල්පය)? ?(?:වේ|යි)?",  # si
            r"(?:นะ)?(?:ครับ|ค่ะ|คะ)?",  # th
            r"(?:-?[йяе])?(?: ?вариант)?",  # ru
            r"(?:-?[cç][ıiuü])?(?: ?(?:(?:nömrəli )?variant|nömrə))?(?:-?[dt][ıiuü]r)?",  # az
            r"(?:-?(?:ти|та|то)(?:ят|та|то)?)?(?: ?(?:вариант|опция))?",  # bg
            r"(?:-?р)?(?: ?(?:дугаар|дүгээр|дахь|дэх))?(?: ?(?:сонголт|хувилбар))?(?: ?юм)?",  # mn
            r"(?:-?(?:ஆம்|ஆவது|வது))?(?: ?(?:விருப்பம்|தெரிவு))?(?: ?(?:ஆகும்|தான்))?",  # ta
            r"(?:వ|వది)?(?: ?(?:ఎంపిక|ఐచ్ఛికం))?(?: ?అవుతుంది)?",  # te
            r"(?:نمبر)?(?: ?(?:آپشن|انتخاب))?(?: ?ہے)?",  # ur
            r"(?:ffaa)?(?: ?filannoo)?(?: ?dha)?",  # om
            r"an freagra(?: ceart)?",  # ga
            r"ni ìdáhùn(?: náà| tó tọ́| tí ó tọ́)?",  # yo
        )
    )
)
# "The answer is not 3" states no option; negations that follow the number are no `_CLOSING`. "lain"
# negates in Sundanese, but not in the Malay "nama lain" (other name); Hindi is a language as well.
_NEGATION = (
    r"\b(?:not|cannot|no (?:es|est)|non|est pas|não|nu (?:este|e|i)|ikk(?:e|je)|не|není"
    r"|bukan(?:lah|nyo)?|indak|san[eéè]s|dudu|(?<!nama )(?<!kata )(?<!antara )(?<!tidak )lain|(?<!in )(?<!the )hindi"
    r"|ket|níl|ní (?:h[éí]|uimhir)|siyo|sio|ntabwo|kì ?í|a?b[uụ]gh[iị]|m̄[ -]sī|مش)\b"
    r"|n['’]t\b|不是|並非|并非|唔係|毋是|ไม่ใช่|ليس"
)
# Swahili and Kinyarwanda "si" is another word elsewhere: only right before the number.
_NUMBER_NEGATED = re.compile(rf"{_NEGATION}|\bsi(?: (?:nambari|namba|nimero|numero|chaguo))?[\s(*\"]*$")
# "not teff", "no es el teff": before the text only short words, such as articles.
_TEXT_NEGATED = re.compile(rf"(?:{_NEGATION})(?: ?\w{{1,3}}(?:['’]| )){{0,2}} ?(?:\bال)?[\"'“‘«「*_(]*$")
_ENCLOSING = " \"'”’»」』*_)"
# What negates the text before it. Not Japanese "ではないでしょうか", which asks for assent.
_NEGATES_TEXT = re.compile(
    "|".join(
        (
            r"नहीं|नही|नाही|नव्हे|নয়|அல்ல|இல்லை|కాదు|نہیں|نہيں|биш|miti\b|dey?il\b|değil\b|አይደለም|kọ́",
            r"නොවේ|නෙවෙයි|නෙමෙයි",
            r"(?:では|じゃ)(?:ない|ありません)(?!か|です ?か|でしょう|だろう)",
            r"[이가은는]? ?아(?:니(?:다|야|에요|예요|고|라)|닙니다|님)",
        )
    )
)


@dataclass(frozen=True)
class Parsed:
    """What was read: the option's number from 1, or None, and the step that decided."""

    choice: int | None
    rule: str


INVALID = Parsed(None, "invalid")


def parsed_as(choice: int | None, rule: str) -> Parsed:
    """The choice with its rule; neither None nor `OUT` is a choice."""
    return Parsed(choice, rule) if choice else INVALID


def in_range(digits: str, options: Options) -> int:
    """The number in any script's digits when it is an option's, else `OUT`."""
    try:
        number = int(digits)
    except ValueError:  # Python refuses numbers of more than 4,300 digits.
        return OUT
    return number if 1 <= number <= len(options) else OUT


def letter_choice(letter: str, options: Options) -> int | None:
    """The letter's position, unless it is no option's or is itself an option's text."""
    position = ord(letter.upper()) - ord("A") + 1
    taken = normal(letter) in normals(options)
    return position if 1 <= position <= len(options) and not taken else None


def whole(text: str, options: Options) -> int | None:
    """The only option whose text is the whole text."""
    norm = normal(text)
    hits = [number for number, other in enumerate(normals(options), 1) if norm and other == norm]
    return hits[0] if len(hits) == 1 else None


def contained(text: str, options: Options) -> int | None:
    """The only option whose text occurs in the text, unless it is negated there ("It is not teff")."""
    found = occurring(text, options)
    return found[0] if len(found) == 1 and not _negated(text, options[found[0] - 1]) else None


def _negated(text: str, option: str) -> bool:
    """Whether the text directly negates the option wherever it occurs."""
    plain = normal(text)
    return all(
        _TEXT_NEGATED.search(plain[max(0, place.start() - _CLOSING_REACH) : place.start()])
        or _NEGATES_TEXT.match(plain[place.end() : place.end() + _CLOSING_REACH].lstrip(_ENCLOSING))
        for place in _bounded(normal(option)).finditer(plain)
    )


def occurring(text: str, options: Options) -> list[int]:
    """Every option whose text occurs in the text; "rice" within "fried rice" is no second one.

    Single letters and numbers are left out: in running text they are articles and amounts.
    """
    left, norms = normal(text), normals(options)
    found: list[int] = []
    for norm in sorted({n for n in norms if n}, key=len, reverse=True):
        if norm.isdecimal() or (len(norm) == 1 and is_cased(norm)):
            continue
        masked = _bounded(norm).sub("\0", left)
        if masked != left:
            found += [number for number, other in enumerate(norms, 1) if other == norm]
        left = masked
    return found


def closing_number(line: str, options: Options) -> int | None:
    """The option's number that a short line ends with, or ends with but for `_CLOSING` words.

    Only where it is the line's one number, no option's text occurs, and no other
    option's text holds the same number, which may then be an amount.
    """
    match = _ONE_NUMBER.fullmatch(line) if len(line) <= _CLOSING_REACH and len(line.splitlines()) == 1 else None
    if not match:
        return None
    before, digits, after = match.groups()
    choice = in_range(digits, options)
    if not choice or not _CLOSING.fullmatch(normal(after)):
        return None
    if not _sets_apart(before) or occurring(line, options):
        return None
    if _NUMBER_NEGATED.search(unicodedata.normalize("NFKC", before).casefold()):
        return None
    others = " ".join(other for number, other in enumerate(options, 1) if number != choice)
    amounts = [in_range(run, options) for run in re.findall(r"\d+", others)]
    return None if choice in amounts else choice


def _sets_apart(before: str) -> bool:
    """Whether an option's number may follow directly: not in "B3", "-3", "$3" or ".3"."""
    if not before:
        return True
    joined = is_cased(before[-1]) or unicodedata.category(before[-1]) in ("Sc", "Sm")
    return not (joined or before[-1] in "-‐‑" or re.search(r"(?:^|\s)[.,٫]$", before))


def _bounded(norm: str) -> re.Pattern[str]:
    """Pattern of an option's text that does not start or end inside a word ("ox" in "box").

    Only for scripts with upper and lower case and for digits: others write words
    together (Chinese, Thai) or join articles and particles to them (Arabic, Korean).
    """
    before, after = (r"[^\W_]" if is_cased(end) or end.isdecimal() else r"[^\s\S]" for end in (norm[0], norm[-1]))
    return re.compile(f"(?<!{before}){re.escape(norm)}(?!{after})")


def is_cased(char: str) -> bool:
    """Whether the character's script has upper and lower case."""
    return char.lower() != char.upper()


def normal(text: str) -> str:
    """Text for comparison: NFKC, case folded, format characters dropped, spaces and edges tidied."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    # "İ" folds to i with a dot above, which no Turkish or Azerbaijani lower case has.
    kept = "".join(char for char in folded.replace("i\u0307", "i") if unicodedata.category(char) != "Cf")
    return " ".join(kept.split()).strip(DECORATION)


@lru_cache(maxsize=1024)
def normals(options: Options) -> Options:
    """The options' texts for comparison."""
    return tuple(map(normal, options))
