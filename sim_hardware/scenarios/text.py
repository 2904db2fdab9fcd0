"""From a scenario's text to a `Scenario`, or to every mistake in it with its line and the fix."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from sim_hardware.faults.kinds import KINDS
from sim_hardware.scenarios import words as w
from sim_hardware.scenarios.checks import COMPARE, FORMS, Form
from sim_hardware.scenarios.deeds import DEEDS, DeedForm
from sim_hardware.scenarios.model import (
    RUN_S_MAX,
    STEPS_MAX,
    Action,
    Deed,
    Expect,
    FaultOff,
    FaultOn,
    Mistake,
    Scan,
    Scenario,
    ScenarioError,
    Setting,
    SiteSpec,
    Step,
    refusal,
)
from sim_hardware.wording import instead, near, number_text, shortened, time_text

DAY_S_DEFAULT: Final = 600.0
SPEED_MAX: Final = 100.0
PERCENT_MAX: Final = 100.0
TEXT_BYTES_MAX: Final = 1_000_000
LINE_CHARS_MAX: Final = 4_000
"""Of a line that says something: the time to find out what grows with its square."""
_WORD: Final = re.compile(r'"[^"]*"?|\S+')
_RAW_BYTES_MAX: Final = 512
_TURNED: Final = {"=>": ">=", "=<": "<="}
"""Signs as some write them, and those that are meant."""


class _LineError(Exception):
    """What is wrong with one line."""


@dataclass(slots=True)
class _Draft:
    """What the lines read so far say."""

    title: str = ""
    about: list[str] = field(default_factory=list)
    site: SiteSpec | None = None
    settings: list[Setting] = field(default_factory=list)
    day_s: float = DAY_S_DEFAULT
    speed: float = 1.0
    run_s: float = 0.0
    steps: list[Step] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)
    describes: bool = False
    unread: list[str] = field(default_factory=list)
    """Lines with a mistake."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says, as far as it can be read."""

    scenario: Scenario
    """Of the lines that can be read."""
    mistakes: tuple[Mistake, ...]
    has_site: bool
    """Whether it is known where the scenario happens, so that names can be looked up there."""


def parse_scenario(text: str, file: str) -> Scenario:
    """Return the scenario in `text`; `file` stands in errors. Raises ScenarioError.

    Names of bins, devices ... are not looked up here: see `names.wrong_names`.
    """
    reading = read_text(text, file)
    if reading.mistakes:
        raise refusal(file, reading.mistakes)
    return reading.scenario


def read_text(text: str, file: str) -> Reading:
    """Return what can be read of `text`, and what is wrong with the other lines."""
    if len(text) > TEXT_BYTES_MAX:
        raise ScenarioError(
            f"{file}: over {number_text(TEXT_BYTES_MAX)} characters: expected a shorter scenario"
        )
    draft = _Draft()
    mistakes: list[Mistake] = []
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            _read_line(draft, number, line)
        except _LineError as error:
            mistakes.append(Mistake(number, shortened(str(error))))
            draft.unread.append(line)
    mistakes += [Mistake(*wrong) for wrong in (*_whole(draft), *_ends_without_begin(draft))]
    options = {name: option.default for name, option in w.SITE_OPTIONS.items()}
    scenario = Scenario(
        file=file, title=draft.title, about=" ".join(draft.about),
        site=draft.site or SiteSpec(options=options), settings=tuple(draft.settings),
        day_s=draft.day_s, speed=draft.speed, run_s=draft.run_s, steps=tuple(draft.steps),
        text=text,
    )  # fmt: skip
    has_site = draft.site is not None or "SITE" not in draft.seen
    return Reading(scenario, tuple(mistakes), has_site)


def _whole(draft: _Draft) -> Iterable[tuple[int, str]]:
    """Yield (line, what is wrong) that only the whole text shows."""
    if "SCENARIO" not in draft.seen:
        yield 1, "expected a line `SCENARIO title`"
    if "RUN" not in draft.seen:
        yield 1, "expected a line `RUN 10 min`: how long the world runs"
    for step in draft.steps:
        if draft.run_s and step.at_s is not None and step.at_s > draft.run_s:
            yield (
                step.line,
                (
                    f"AT {time_text(step.at_s)} is after the end: the run is over at"
                    f" {time_text(draft.run_s)} (RUN in line {draft.seen['RUN']}); expected an"
                    " earlier time, or a longer RUN"
                ),
            )
        elif draft.run_s and step.over_s > draft.run_s:
            over = time_text(step.over_s)
            yield (
                step.line,
                (
                    f"WITHIN would last until {over}, and the run is over at"
                    f" {time_text(draft.run_s)} (RUN in line {draft.seen['RUN']}); expected a"
                    f" shorter WITHIN, or a longer RUN; write: RUN {over}"
                ),
            )
    if len(draft.steps) > STEPS_MAX:
        yield draft.steps[STEPS_MAX].line, f"over {number_text(STEPS_MAX)} steps"


def _ends_without_begin(draft: _Draft) -> Iterable[tuple[int, str]]:
    """Yield each END without a fault that lasts then.

    Not where a line that cannot be read names the kind or the target: that may be the fault.
    """
    lasting: Counter[tuple[str, str]] = Counter()
    timed = [step for step in draft.steps if step.at_s is not None]
    for step in sorted(timed, key=lambda s: (s.at_s or 0.0, s.line)):
        match step.action:
            case FaultOn(kind=kind, target=target):
                lasting[kind, target] += 1
            case FaultOff(kind=kind, target=target):
                if not lasting[kind, target] and not any(
                    name in line.split() for line in draft.unread for name in (kind, target)
                ):
                    yield step.line, f"END {kind} {target}: expected an earlier FAULT of that name"
                lasting[kind, target] -= 1


def _read_line(draft: _Draft, number: int, line: str) -> None:
    stripped = line.strip()
    if len(stripped) > LINE_CHARS_MAX and not stripped.startswith("#"):
        most = number_text(LINE_CHARS_MAX)
        raise _LineError(f"over {most} characters: expected a shorter line")
    words = _split(line)
    if not words:
        if draft.describes and stripped.startswith("#"):
            draft.about.append(stripped.lstrip("# ").strip())
        draft.describes = draft.describes and stripped.startswith("#")
        return
    draft.describes = False
    word = words[0]
    read = _DIRECTIVES.get(word)
    if read is None:
        if word in _ACTIONS:
            raise _LineError(f"{word}: expected when before it; write: AT 0:30 {' '.join(words)}")
        raise _LineError(_unknown("word", word, _DIRECTIVES))
    if word not in ("AT", "EXPECT", "WITH"):
        if word in draft.seen:
            raise _LineError(f"a second {word}; the first is in line {draft.seen[word]}")
        draft.seen[word] = number
    read(draft, number, words[1:], _without_comment(line))


def _split(line: str) -> list[str]:
    """Return the words of a line; what stands in quotes is one word, after # comes a comment."""
    found = []
    for match in _WORD.finditer(line):
        word = match[0]
        if word.startswith("#"):
            break
        if word.startswith('"') and (len(word) == 1 or not word.endswith('"')):
            raise _LineError(f'{word}: expected a closing "')
        found.append(word)
    return found


def _without_comment(line: str) -> str:
    for match in _WORD.finditer(line):
        if match[0].startswith("#"):
            return line[: match.start()].strip()
    return line.strip()


def _unknown(what: str, came: str, known: Iterable[str]) -> str:
    names = list(known)
    return f'unknown {what} "{came}"{instead(came, names, text=", ".join(names))}'


# --- directives -----------------------------------------------------------------------------------


def _scenario(draft: _Draft, _number: int, _words: list[str], line: str) -> None:
    draft.title = line.removeprefix("SCENARIO").strip()
    draft.describes = True
    if not draft.title:
        raise _LineError("SCENARIO: expected a title after it")


def _site(draft: _Draft, number: int, words: list[str], _line: str) -> None:
    kind = words[0] if words else ""
    folder = ""
    rest = words[1:]
    if kind == "folder":
        if not rest:
            raise _LineError("SITE folder: expected the folder's path after it")
        folder, rest = rest[0].strip('"'), rest[1:]
    elif kind not in w.SITE_KINDS:
        raise _LineError(_unknown("site", kind, w.SITE_KINDS))
    options = {name: option.default for name, option in w.SITE_OPTIONS.items()}
    for name, value in _pairs(rest).items():
        option = w.SITE_OPTIONS.get(name)
        if option is None:
            raise _LineError(_unknown("option", name, w.SITE_OPTIONS))
        if kind not in option.kinds:
            raise _LineError(f"{name}=: expected only after SITE {' or '.join(option.kinds)}")
        digits = value.removesuffix("%").strip()
        if not w.is_number(digits) or (option.whole and "." in digits):
            whole = "a whole number" if option.whole else "a number"
            raise _LineError(f"{name}={value}: expected {whole}")
        if not option.min <= float(digits) <= option.most(kind):
            low, high = number_text(option.min), number_text(option.most(kind))
            raise _LineError(f"{name}={value}: expected {low} to {high}")
        options[name] = float(digits)
    kinds: tuple[Literal["demo", "generated", "folder"], ...] = ("demo", "generated", "folder")
    draft.site = SiteSpec(
        line=number, kind=kinds[w.SITE_KINDS.index(kind)], folder=folder, options=options
    )


def _with(draft: _Draft, number: int, words: list[str], _line: str) -> None:
    if len(words) < 2:  # noqa: PLR2004 - a section and a value
        raise _LineError("expected WITH section key=value ..., such as `WITH errors misplace=2 %`")
    draft.settings.append(Setting(line=number, section=words[0], values=_pairs(words[1:])))


def _pairs(words: list[str]) -> dict[str, str]:
    """Return `key=value` words; a unit may stand apart (`share=2 %`)."""
    found: dict[str, str] = {}
    last = ""
    for word in words:
        key, sign, value = word.partition("=")
        if sign:
            if key in found:
                raise _LineError(f"{key}= stands there twice")
            last, found[key] = key, value.strip('"')
        elif last:
            found[last] = f"{found[last]} {word}"
        else:
            raise _LineError(f'"{word}": expected key=value')
    return found


def _duration(what: str, words: list[str], max_s: float) -> float:
    found = w.parse_time(" ".join(words))
    if found is None or not words:
        came = " ".join(words) or "nothing"
        raise _LineError(f"{what} {came}: expected a time such as 30 s, 2.5 min or 1:30")
    if not 0 < found <= max_s:
        most = time_text(max_s)
        raise _LineError(f"{what} {' '.join(words)}: expected more than 0 and at most {most}")
    return found


def _day(draft: _Draft, _number: int, words: list[str], _line: str) -> None:
    draft.day_s = _duration("DAY", words, RUN_S_MAX)


def _run(draft: _Draft, _number: int, words: list[str], _line: str) -> None:
    draft.run_s = _duration("RUN", words, RUN_S_MAX)


def _speed(draft: _Draft, _number: int, words: list[str], _line: str) -> None:
    text = " ".join(words)
    if not w.is_number(text) or not 0 < float(text) <= SPEED_MAX:
        raise _LineError(f"SPEED {text}: expected a number, more than 0 and at most {SPEED_MAX:g}")
    draft.speed = float(text)


def _at(draft: _Draft, number: int, words: list[str], line: str) -> None:
    for taken in (1, 2):
        at_s = w.parse_time(" ".join(words[:taken])) if len(words) >= taken else None
        if at_s is not None:
            break
    else:
        came = words[0] if words else "nothing"
        raise _LineError(f"AT {came}: expected a time such as 2:30, 150 s or 2.5 min")
    if at_s < 0:
        raise _LineError(f"AT {words[0]}: expected a time after the start, not before it")
    rest = words[taken:]
    if not rest:
        raise _LineError(f"nothing happens then; expected one of {', '.join(w.ACTIONS)}")
    read = _ACTIONS.get(rest[0])
    if read is None:
        raise _LineError(_unknown("word", rest[0], _ACTIONS))
    draft.steps.append(Step(line=number, text=line, at_s=at_s, action=read(rest[1:])))


def _expect_at_end(draft: _Draft, number: int, words: list[str], line: str) -> None:
    action = _expect(words)
    if action.within_s:
        raise _LineError("WITHIN: at the end there is no time left; expected AT time EXPECT ...")
    draft.steps.append(Step(line=number, text=line, at_s=None, action=action))


# --- actions --------------------------------------------------------------------------------------


def _scan(words: list[str]) -> Scan:
    if len(words) < 3:  # noqa: PLR2004 - device, kind, value
        raise _LineError("expected SCAN scanner BIN|ARTICLE|CARD|RAW value")
    device, what, *rest = words
    value, units = rest[0], 1
    if what == "RAW":
        if not (value.startswith('"') and len(rest) == 1):
            raise _LineError(f'RAW {value}: expected one text in quotes, such as RAW "]C1hello"')
        value = value[1:-1].replace("<GS>", "\x1d")
        if not value.isascii() or not 0 < len(value) <= _RAW_BYTES_MAX:
            raise _LineError(f"RAW: expected 1 to {_RAW_BYTES_MAX} ASCII characters")
        return Scan(device=device, what="RAW", value=value)
    if what == "ARTICLE":
        if len(rest) > 1 and re.fullmatch(r"x[1-9][0-9]{0,5}", rest[1]):
            units, rest = int(rest[1][1:]), rest[:1]
        _nothing_more(rest[1:], "x1 or more, such as x12, for how many")
        return Scan(device=device, what="ARTICLE", value=value, units=units)
    _nothing_more(rest[1:])
    if what == "BIN":
        return Scan(device=device, what="BIN", value=value)
    if what == "CARD":
        if value not in w.CARDS:
            raise _LineError(_unknown("card", value, w.CARDS))
        return Scan(device=device, what="CARD", value=value)
    raise _LineError(_unknown("kind of barcode", what, w.SCANS))


def _nothing_more(words: list[str], expected: str = "the end of the line") -> None:
    if words:
        raise _LineError(f'"{" ".join(words)}": expected {expected}')


def _fault_target(words: list[str]) -> tuple[str, str]:
    """Return kind and target; which targets there are the site says, also where one is missing."""
    if not words:
        raise _LineError("expected a kind of fault (`stockhelm sim faults`), then its target")
    if words[0] not in KINDS:
        raise _LineError(_unknown("fault", words[0], KINDS))
    return words[0], " ".join(words[1:])


def _fault(words: list[str]) -> FaultOn:
    for_s = None
    if "FOR" in words:
        at = words.index("FOR")
        for_s = _duration("FOR", words[at + 1 :], RUN_S_MAX)
        words = words[:at]
    values_at = next((i for i, word in enumerate(words) if "=" in word), len(words))
    _check_time_word(words)
    kind, target = _fault_target(words[:values_at])
    return FaultOn(kind=kind, target=target, values=_pairs(words[values_at:]), for_s=for_s)


def _check_time_word(words: list[str]) -> None:
    """Raise _LineError where a fault's line ends in a time without the word FOR before it."""
    for count in (2, 1):
        begin, time = words[:-count], " ".join(words[-count:])
        is_bare_number = w.is_number(time)
        if len(begin) > 1 and "=" not in time and not is_bare_number and w.parse_time(time):
            if begin[-1].casefold() == "for":
                begin = begin[:-1]
            raise _LineError(
                f'"{" ".join(words)}": expected FOR before a time; write: FAULT'
                f" {' '.join(begin)} FOR {time}"
            )


def _end(words: list[str]) -> FaultOff:
    kind, target = _fault_target(words)
    return FaultOff(kind=kind, target=target)


def _do(words: list[str]) -> Deed:
    pattern, given, taken = _sentence("deed", words, DEEDS)
    _nothing_more(words[taken:])
    return Deed(form=pattern, given=given)


def _expect(words: list[str]) -> Expect:
    within_s = 0.0
    if "WITHIN" in words:
        at = words.index("WITHIN")
        within_s = _duration("WITHIN", words[at + 1 :], RUN_S_MAX)
        words = words[:at]
    pattern, given, taken = _sentence("expectation", _until_sign(words), FORMS)
    form, after = FORMS[pattern], words[taken:]
    if form.sentence is not None:
        _nothing_more(after)
        return Expect(form=pattern, given=given, within_s=within_s)
    said, value = " ".join(words[:taken]), " ".join(after[1:])
    is_whole = not form.unit or value.endswith(form.unit)
    value = value.removesuffix(form.unit).strip()
    if not after or after[0] not in COMPARE or not w.is_number(value) or not is_whole:
        raise _LineError(_no_comparison(form, said, " ".join(after)))
    _check_range(form, f"{said} {after[0]}", float(value))
    _check_can_fail(form, said, after[0], float(value))
    return Expect(
        form=pattern, given=given, compare=after[0], value=float(value), within_s=within_s
    )


def _check_range(form: Form, said: str, value: float) -> None:
    """Raise _LineError for a number that what is found can never be."""
    if form.unit and not 0 <= value <= PERCENT_MAX:
        raise _LineError(
            f"EXPECT {said} {number_text(value)} {form.unit}: expected 0 to {PERCENT_MAX:g}"
            f" {form.unit}; write: EXPECT {form.example}"
        )
    if not form.unit and value % 1:
        raise _LineError(
            f"EXPECT {said} {number_text(value)}: expected a whole number; write: EXPECT {said}"
            f" {math.ceil(value)}"
        )


def _check_can_fail(form: Form, said: str, sign: str, value: float) -> None:
    """Raise _LineError for a comparison with what is never below 0 that says nothing."""
    if form.may_be_below_0:
        return
    always = (sign == ">=" and value <= 0) or (sign in (">", "!=") and value < 0)
    never = (sign in ("=", "<=") and value < 0) or (sign == "<" and value <= 0)
    if always or never:
        raise _LineError(
            f"EXPECT {said} {sign} {number_text(value)}: that {'always' if always else 'never'}"
            f" holds; expected a comparison that may hold or not; write: EXPECT {form.example}"
        )


def _no_comparison(form: Form, said: str, after: str) -> str:
    """Return what is wrong with what follows a sentence, and the line that was meant."""
    unit = f" {form.unit}" if form.unit else ""
    found = re.search(r"-?[0-9]+(\.[0-9]+)?", after)
    number = found[0] if found else ""
    if number and form.unit and form.unit not in after and 0 < float(number) <= 1:
        number = number_text(float(number) * PERCENT_MAX)  # a share was meant
    signs = [sign for sign in (*COMPARE, *_TURNED) if after.startswith(sign)]
    sign = max(signs, key=len, default=">=")
    sign = _TURNED.get(sign, sign)
    meant = f"EXPECT {said} {sign} {number}{unit}" if number else f"EXPECT {form.example}"
    return (
        f"EXPECT {said}: expected one of {' '.join(COMPARE)} and a number{unit} after it, got"
        f" {after or 'nothing'}; write: {meant}"
    )


def _sentence(
    what: str, words: list[str], patterns: Mapping[str, Form] | Mapping[str, DeedForm]
) -> tuple[str, dict[str, str], int]:
    """Return the pattern that most of these words say, what stands in its slots, how many."""
    for taken in range(len(words), 0, -1):
        found = [(p, given) for p in patterns if (given := w.match(p, words[:taken])) is not None]
        if found:
            pattern, given = min(found, key=lambda one: len(one[1]))
            break
    else:
        raise _LineError(_unknown_sentence(what, words, patterns))
    for name, value in given.items():
        if name in w.NUMBER_SLOTS and not (value.isascii() and value.isdigit()):
            raise _LineError(f'"{value}": expected {w.SLOTS[name].text}')
        if name == "units" and not 0 < float(value) <= w.UNITS_MAX:
            most = number_text(w.UNITS_MAX)
            raise _LineError(f'"{value}": expected 1 to {most} units')
    return pattern, given, taken


def _unknown_sentence(
    what: str, words: list[str], patterns: Mapping[str, Form] | Mapping[str, DeedForm]
) -> str:
    """Return what is wrong with a sentence that there is not; all that is named can be written."""
    said = " ".join(words)
    guess = _nearest_sentence(words, patterns)
    listed = "; ".join(form.example for form in patterns.values())
    if guess:
        meant = patterns[guess].example
        return f'unknown {what} "{said}"; did you mean {meant}? Expected one of: {listed}'
    return f'unknown {what} "{said}"; expected one of: {listed}'


def _nearest_sentence(
    words: list[str], patterns: Mapping[str, Form] | Mapping[str, DeedForm]
) -> str:
    """Return the pattern that was meant, empty where none is near."""
    begin = words[0] if words else ""
    alike = [p for p in patterns if p.split()[0] == begin] or list(patterns)
    whole = [p for p in alike if "{" not in p]
    if begin in [p.split()[0] for p in whole] and len(words) > 1:
        # `approve everything` names no proposal: the sentence without one was meant.
        is_named = words[1] in w.PROPOSAL_KINDS
        alike = [p for p in alike if ("{" in p) == is_named] or alike
    written = {" ".join(_until_sign(patterns[p].example.split())): p for p in alike}
    heads = {" ".join(x for x in p.split() if "{" not in x): p for p in alike}
    known = written | {p: p for p in alike}
    said = " ".join(words)
    return known.get(near(said, known), "") or heads.get(near(begin, heads), "")


def _until_sign(words: list[str]) -> list[str]:
    """Return the words before a comparison."""
    return words[: next((i for i, word in enumerate(words) if word in COMPARE), len(words))]


_DIRECTIVES: Final[dict[str, Callable[[_Draft, int, list[str], str], None]]] = {
    "SCENARIO": _scenario, "SITE": _site, "WITH": _with, "DAY": _day, "SPEED": _speed,
    "RUN": _run, "AT": _at, "EXPECT": _expect_at_end,
}  # fmt: skip
_ACTIONS: Final[dict[str, Callable[[list[str]], Action]]] = {
    "SCAN": _scan, "FAULT": _fault, "END": _end, "DO": _do, "EXPECT": _expect,
}  # fmt: skip
