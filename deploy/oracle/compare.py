"""How one value of a resource compares with one value of a query, for each type of search parameter in R4.

Every check takes (type of the element, its value, modifier, the query's text with its escapes, the parameter, choices).
"""
import re
import unicodedata
from decimal import Decimal

import oracle

INFINITY = float("inf")
PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")
COMPARED = {  # the types of elements that a kind of parameter can look into
    "date": {"date", "dateTime", "instant", "Period", "Timing"},
    "quantity": {"Quantity", "SimpleQuantity", "Age", "Duration", "Count", "Distance", "Money", "Range"},
    "number": {"decimal", "integer", "positiveInt", "unsignedInt", "int", "Decimal"},
}


# presence

def is_value(value, kind, parameter_type, choices):
    if value is None or value == []:
        return False
    if value == {}:
        return choices.empty_is_value
    if isinstance(value, dict) and set(value) == {"extension"}:
        return choices.extension_is_value
    if kind == "Reference" and not {"reference", "identifier"} & set(value):
        return choices.no_reference_is_value
    if kind not in COMPARED.get(parameter_type, {kind}):
        return choices.other_type_is_value
    return True


def has_twin(resource, parameter):
    """Whether a root element that the expression names has an underscored twin with extensions."""
    kind = resource["resourceType"]
    roots = re.findall(rf"\b{kind}\.(\w+)", parameter["expression"])
    return any(k.startswith("_") and any(k[1:].startswith(r) for r in roots) for k in resource)


# token

def token(kind, value, modifier, text, _parameter, choices):
    if modifier == "text":
        fold = plain if choices.text_ignores_accents else str.lower
        return any(fold(t).startswith(fold(oracle.unescape(text))) for t in texts(kind, value))
    parts = [oracle.unescape(p) for p in oracle.split(text, "|")]
    if len(parts) > 2:
        return False
    return any(token_equals(pair, parts, kind, choices) for pair in pairs(kind, value))


def token_equals(pair, parts, kind, choices):
    system, code = pair
    if kind not in ("Coding", "CodeableConcept", "Identifier") and len(parts) == 2:
        if choices.code_has_no_system or parts[0]:
            return False
    if kind in ("boolean", "bool"):
        return code == parts[-1].lower()
    if len(parts) == 1:
        return code is not None and code == parts[0]
    if parts[1] == "":
        return system == parts[0] and system is not None
    return (system or "") == parts[0] and code == parts[1]


def pairs(kind, value):
    """(system, code) of each coding of the element."""
    if kind == "CodeableConcept":
        return [(c.get("system"), c.get("code")) for c in value.get("coding") or []]
    if kind == "Coding":
        return [(value.get("system"), value.get("code"))]
    if kind in ("Identifier", "ContactPoint"):
        return [(value.get("system") if kind == "Identifier" else None, value.get("value"))]
    if isinstance(value, bool):
        return [(None, "true" if value else "false")]
    if isinstance(value, str):
        return [(None, value)]
    raise TypeError(f"a token in a {kind}")


def texts(kind, value):
    if kind == "CodeableConcept":
        found = [value.get("text"), *(c.get("display") for c in value.get("coding") or [])]
    elif kind == "Coding":
        found = [value.get("display")]
    elif kind == "Identifier":
        found = [(value.get("type") or {}).get("text")]
    else:
        found = []
    return [t for t in found if t]


# string

def string(kind, value, modifier, text, _parameter, choices):
    wanted = oracle.unescape(text)
    for part in parts_of(kind, value):
        if modifier == "exact" and (part == wanted or choices.exact_normalizes and
                                    unicodedata.normalize("NFC", part) == unicodedata.normalize("NFC", wanted)):
            return True
        if modifier == "contains" and plain(wanted) in plain(part):
            return True
        if modifier == "" and plain(part).startswith(plain(wanted)):
            return True
    return False


def parts_of(kind, value):
    names = {"HumanName": ("text", "family", "given", "prefix", "suffix"),
             "Address": ("text", "line", "city", "district", "state", "postalCode", "country")}
    if kind not in names:
        if not isinstance(value, str):
            raise TypeError(f"a string in a {kind}")
        return [value]
    found = []
    for name in names[kind]:
        part = value.get(name)
        found += part if isinstance(part, list) else [part]
    return [p for p in found if p]


def plain(text):
    """Without accents and case."""
    decomposed = unicodedata.normalize("NFD", text)
    return "".join(c for c in decomposed if not unicodedata.category(c).startswith("M")).lower()


# date

def date(kind, value, _modifier, text, _parameter, choices):
    prefix, text = prefixed(text)
    have, want = range_of(kind, value, choices), instant_range(text)
    if have is None:
        return False
    within = want[0] <= have[0] and have[1] <= want[1]
    above, below = have[1] > want[1], have[0] < want[0]
    return {"eq": within, "ne": not within, "gt": above, "lt": below, "ge": above or within, "le": below or within,
            "sa": have[0] >= want[1], "eb": have[1] <= want[0]}[prefix]


def prefixed(text):
    return (text[:2], text[2:]) if text[:2] in PREFIXES else ("eq", text)


def range_of(kind, value, choices):
    """From the first to just after the last moment of a date, Period or Timing; None where there is no such thing."""
    if kind in ("date", "dateTime", "instant"):
        return instant_range(value)
    if kind == "Period":
        start, end = value.get("start"), value.get("end")
        if not start and not end and not choices.whole_period_open:
            return None
        return (instant_range(start)[0] if start else -INFINITY, instant_range(end)[1] if end else INFINITY)
    if kind == "Timing":
        ranges = [instant_range(e) for e in value.get("event") or [] if e]
        bounds = (value.get("repeat") or {}).get("boundsPeriod")
        if bounds:
            ranges.append(range_of("Period", bounds, choices))
        return (min(r[0] for r in ranges), max(r[1] for r in ranges)) if ranges else None
    return None


def instant_range(text):
    """A FHIR date, dateTime or instant as (from, to) in picoseconds; without a zone it is UTC."""
    m = re.fullmatch(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?", text)
    if not m:
        raise ValueError(f"not a date: {text}")
    year, month, day, hour, minute, second = (int(g) if g else None for g in m.groups()[:6])
    second_long = 10 ** 12
    if month is None:
        return days(year, 1, 1) * 86400 * second_long, days(year + 1, 1, 1) * 86400 * second_long
    if day is None:
        following = (year + month // 12, month % 12 + 1, 1)
        return days(year, month, 1) * 86400 * second_long, days(*following) * 86400 * second_long
    begin = days(year, month, day) * 86400
    if hour is None:
        return begin * second_long, (begin + 86400) * second_long
    begin += hour * 3600 + minute * 60 + (second or 0)
    zone = m.group(8)
    if zone and zone != "Z":
        begin -= (1 if zone[0] == "+" else -1) * (int(zone[1:3]) * 3600 + int(zone[4:]) * 60)
    begin *= second_long
    if second is None:
        return begin, begin + 60 * second_long
    digits = m.group(7) or ""
    begin += int(digits.ljust(12, "0"))
    return begin, begin + 10 ** (12 - len(digits))


def days(year, month, day):
    """Days since 1 March of the year 0 of the Gregorian calendar."""
    if month < 3:
        year, month = year - 1, month + 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 1


# number and quantity

def number(_kind, value, _modifier, text, _parameter, choices):
    prefix, text = prefixed(text)
    return numbers_compare(Decimal(value), Decimal(value), prefix, text, choices)


def numbers_compare(low, high, prefix, text, choices):
    exact = Decimal(text)
    half = Decimal(1).scaleb(exact.as_tuple().exponent) / 2
    within = exact - half <= low and high < exact + half
    ge, le = (high >= exact, low <= exact) if choices.range_touches or low == high else \
        (high > exact or within, low < exact or within)
    return {"eq": within, "ne": not within, "gt": high > exact, "lt": low < exact, "ge": ge, "le": le,
            "sa": low > exact, "eb": high < exact}[prefix]


def quantity(kind, value, _modifier, text, _parameter, choices):
    parts = [oracle.unescape(p) for p in oracle.split(text, "|")]
    prefix, text = prefixed(parts[0])
    ends = [value.get("low"), value.get("high")] if kind == "Range" else [value]
    given = [e for e in ends if e and "value" in e]
    if not given or len(parts) > 1 and not all(unit_equals(kind, e, parts, choices) for e in given):
        return False
    low = Decimal(ends[0]["value"]) if ends[0] and "value" in ends[0] else Decimal("-Infinity")
    high = Decimal(ends[-1]["value"]) if ends[-1] and "value" in ends[-1] else Decimal("Infinity")
    return numbers_compare(low, high, prefix, text, choices)


def unit_equals(kind, value, parts, choices):
    system, code = parts[1], parts[2] if len(parts) > 2 else ""
    if kind == "Money":
        if not choices.money_has_unit:
            return False
        return value.get("currency") == code and system in ("", "urn:iso:std:iso:4217")
    if system:
        return value.get("system") == system and value.get("code") == code
    return code in (value.get("code"), value.get("unit"))


# reference and uri

def last_two(text):
    """(type, id) of a relative or absolute reference to a resource, whatever its version; else None."""
    m = re.search(r"(?:^|/)([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[^/]+)?$", text)
    return m.groups() if m else None


def reference(kind, value, modifier, text, parameter, choices):
    if modifier == "identifier":
        held = value.get("identifier") if kind == "Reference" else None
        return bool(held) and token("Identifier", held, "", text, parameter, choices)
    wanted = oracle.unescape(text) if not modifier else f"{modifier}/{oracle.unescape(text)}"
    held = value.get("reference") if kind == "Reference" else value
    if not held:
        return False
    if kind in ("canonical", "uri", "url"):
        if "://" in wanted or wanted.startswith("urn:") or not choices.canonical_by_id:
            return canonical_equals(kind, held, wanted)
        held = held.partition("|")[0]
    if held.startswith("#"):
        return choices.contained_by_bare_id and held[1:] == wanted
    if held.startswith("urn:"):
        return held == wanted or held.startswith("urn:uuid:") and held[len("urn:uuid:"):] == wanted
    if "://" in wanted or wanted.startswith("urn:"):
        return re.sub(r"/_history/[^/]+$", "", held) == wanted
    segments = last_two(held)
    if segments is None:
        return False
    if "/" in wanted:
        return "/".join(segments) == wanted
    return segments[1] == wanted and segments[0] in parameter.get("target", segments)


def canonical_equals(kind, held, wanted):
    return held == wanted or kind == "canonical" and held.partition("|")[0] == wanted


def uri(kind, value, modifier, text, _parameter, choices):
    wanted = oracle.unescape(text)
    if modifier == "":
        return canonical_equals(kind, value, wanted)
    held = value if choices.version_below else value.partition("|")[0]
    if choices.slash_below:
        wanted = wanted.rstrip("/")
    longer, shorter = (held, wanted) if modifier == "below" else (wanted, held)
    return longer == shorter or longer.startswith(shorter + "/")
