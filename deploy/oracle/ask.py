"""Makes up queries from the values that a search parameter finds in the data."""
import datetime
import urllib.parse
from decimal import Decimal

import compare

ZONES = ["Z", "Z", "", "+02:00", "-05:00", "+05:30"]
SHIFTS = [0, 0, 0, 0, 1, -1, 60, -3600, 86400, -86400, 2764800]


def query(rng, kind, *pairs):
    """`Type?name=value&…` with the escapes that are needed, or, now and then, with many that are not."""
    safe = rng.choice(["/:|,$\\@'()", "/:|,$\\@'()", "/:|,$\\@'()", ""])
    encode = lambda v: urllib.parse.quote(v, safe=safe) if safe == "" or rng.random() < 0.3 else sparing(v)
    return kind + "?" + "&".join(f"{name}={encode(value)}" for name, value in pairs)


def sparing(value):
    """Only what would end the value, or read as a blank, is escaped."""
    return "".join(urllib.parse.quote(c, safe="") if c in "%&#+ ;\"<>" or ord(c) < 32 else c for c in value)


def escaped(text):
    return "".join("\\" + c if c in ",|$\\" else c for c in text)


# Each maker takes (rng, [(type of element, value)], form) and gives (modifier, value), or None where it cannot.

def token(rng, values, form):
    kind, value = rng.choice(values)
    if form == "text":
        texts = compare.texts(kind, value)
        if not texts:
            return None
        text = rng.choice(texts)
        text = text[:rng.randint(3, max(3, len(text)))]
        return "text", escaped(rng.choice([text, text.upper(), text.lower()]))
    if form == "or":
        both = [token(rng, values, rng.choice(["code", "system|code"])) for _ in range(rng.randint(2, 3))]
        return ("", ",".join(dict.fromkeys(b[1] for b in both if b))) if all(both) else None
    if form == "not":
        made = token(rng, values, rng.choice(["code", "system|code", "system|code", "|code", "system|", "or"]))
        return made and ("not", made[1])
    pairs = [p for p in compare.pairs(kind, value) if p[0] or p[1]]
    if not pairs:
        return None
    system, code = rng.choice(pairs)
    if form == "escaped" and not (code and set(code) & set(",|$\\") or system and "|" in system):
        return None
    if form == "system|":
        return system and ("", escaped(system) + "|")
    if code is None:
        return None
    if form == "|code":
        return "", "|" + escaped(code)
    if form == "system|code" or form == "escaped" and system:
        return system and ("", escaped(system) + "|" + escaped(code))
    if rng.random() < 0.1:
        code = code.swapcase()
    return "", escaped(code)


def string(rng, values, form):
    parts = compare.parts_of(*rng.choice(values))
    if not parts:
        return None
    part = rng.choice(parts)
    if form == "or":
        return "", ",".join(escaped(rng.choice(compare.parts_of(*v))[:5]) for v in rng.choices(values, k=2)
                            if compare.parts_of(*v))
    if form == "exact":
        return "exact", escaped(rng.choice([part, part, part, part.lower(), part[:-1] or part, compare.plain(part)]))
    begin = rng.randrange(len(part)) if form == "contains" else 0
    text = part[begin:begin + rng.randint(1 if len(part) < 4 else 2, 8)].strip() or part
    if form in ("folded", "contains"):
        text = rng.choice([text.upper(), text.lower(), compare.plain(text), text])
    return "contains" if form == "contains" else "", escaped(text)


def date(rng, values, prefix):
    kind, value = rng.choice(values)
    ends = [e for e in compare.range_of(kind, value, None) or () if abs(e) != compare.INFINITY] if value else []
    if not ends:
        return None
    seconds, rest = divmod(rng.choice(ends), 10 ** 12)
    if seconds > compare.days(9000, 1, 1) * 86400:
        return None
    epoch = compare.days(1970, 1, 1) * 86400
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds - epoch + rng.choice(SHIFTS))
    zone = rng.choice(ZONES)
    if zone not in ("", "Z"):
        sign = -1 if zone[0] == "-" else 1
        moment += sign * datetime.timedelta(hours=int(zone[1:3]), minutes=int(zone[4:]))
    text = moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    length = rng.choice([4, 7, 10, 10, 10, 16, 19, 19, 20])
    if length == 20:
        digits = f"{rest:012}".rstrip("0")
        text += "." + (digits or "0")[:rng.choice([1, 3, 12])]
    else:
        text = text[:length]
    return "", prefix + text + (zone if length >= 16 else "")


def number_text(rng, value):
    exact = Decimal(str(value))
    exponent = exact.as_tuple().exponent
    nudged = exact + rng.choice([0, 0, 0, 0, 1, -1]) * Decimal(1).scaleb(exponent)
    return rng.choice([
        f"{exact:f}", f"{nudged:f}", f"{nudged:f}", f"{exact:.0f}", f"{exact:.1f}", f"{exact:.2f}", f"{exact:.0e}".replace("+", ""),
        f"{exact:.1e}".replace("+", "")])


def number(rng, values, prefix):
    value = rng.choice(values)[1]
    return "", prefix + number_text(rng, value)


def quantity(rng, values, prefix):
    kind, value = rng.choice(values)
    held = [e for e in ([value.get("low"), value.get("high")] if kind == "Range" else [value]) if e and "value" in e]
    if not held:
        return None
    held = rng.choice(held)
    text = prefix + number_text(rng, held["value"])
    unit = held.get("currency") or held.get("code") or held.get("unit")
    forms = [text] + [f"{text}||{escaped(u)}" for u in (held.get("code"), held.get("unit"), unit) if u]
    if "system" in held and "code" in held:
        forms += [f"{text}|{held['system']}|{escaped(held['code'])}"] * 2
    return "", rng.choice(forms)


def reference(rng, values, form):
    kind, value = rng.choice(values)
    if form == "identifier":
        held = value.get("identifier") if kind == "Reference" else None
        if not held:
            return None
        system, code = held.get("system"), escaped(held["value"])
        return "identifier", rng.choice([code, f"{system}|{code}" if system else "|" + code, f"{system}|" if system else code])
    text = value.get("reference") if kind == "Reference" else value
    if not text:
        return None
    if "/_history/" in text:
        text = text[:text.index("/_history/")]
    if form == "or":
        both = [reference(rng, values, rng.choice(["id", "type/id", "whole"])) for _ in range(2)]
        return ("", ",".join(b[1] for b in both)) if all(both) else None
    if form == "whole":
        return "", escaped(text)
    segments = compare.last_two(text)
    if form == "id" and text.startswith("urn:uuid:"):
        return "", text[len("urn:uuid:"):]
    if not segments:
        return None
    return {"id": ("", segments[1]), "type/id": ("", "/".join(segments)), ":type": (segments[0], segments[1])}[form]


def uri(rng, values, form):
    text = rng.choice(values)[1]
    if form == "below":
        cut = text.partition("|")[0].split("/")
        return "below", escaped("/".join(cut[:rng.randint(min(3, len(cut)), len(cut))]))
    if form == "above":
        return "above", escaped(text.partition("|")[0] + rng.choice(["", "/x", "/1/deep/er"]))
    return "", escaped(rng.choice([text, text, text.partition("|")[0], text.swapcase()]))
