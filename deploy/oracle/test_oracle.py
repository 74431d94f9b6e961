"""The examples that the specification gives, and what it says in words. Run by run.sh before anything is written."""
import compare
import oracle
from compare import date, number, quantity, reference, string, token, uri

ANY = oracle.Choices()
PERIOD = {"start": "2013-01-21"}


def holds(check, kind, value, text, modifier="", parameter=None):
    return check(kind, value, modifier, text, parameter or {}, ANY)


# (date in the resource, query, does it match): the table of 3.1.1.4.5 prefixes and dates
for kind, value, text, expected in [
        ("dateTime", "2013-01-14T00:00:00Z", "eq2013-01-14", True), ("dateTime", "2013-01-14T10:00:00Z", "eq2013-01-14", True),
        ("dateTime", "2013-01-15T00:00:00Z", "eq2013-01-14", False), ("dateTime", "2013-01-15T00:00:00Z", "ne2013-01-14", True),
        ("dateTime", "2013-01-14T10:00:00Z", "ne2013-01-14", False), ("date", "2013-01-14", "lt2013-01-14T10:00", True),
        ("date", "2013-01-14", "gt2013-01-14T10:00", True), ("Period", PERIOD, "ge2013-03-14", True),
        ("Period", PERIOD, "le2013-03-14", True), ("Period", PERIOD, "sa2013-03-14", False), ("Period", PERIOD, "eb2013-03-14", False),
        ("Timing", {"repeat": {"boundsPeriod": {"start": "2013-01-31", "end": "2013-03-24"}}}, "gt2013-02-01", True),
        ("date", "2020-02", "2020-02-29", False), ("date", "2020-02-29", "2020-02", True), ("date", "2019", "lt2019-06", True),
        ("instant", "2020-03-01T00:00:00+14:00", "2020-02-29", True), ("dateTime", "2020-02-29T23:30:00-05:00", "2020-03-01", True)]:
    assert holds(date, kind, value, text) == expected, (value, text)
for value, text, expected in [
        ("99.5", "100", True), ("100.5", "100", False), ("99.995", "100.00", True), ("99.99", "100.00", False), ("50", "1e2", True),
        ("149.9", "1e2", True), ("150", "1e2", False), ("100", "ge100", True), ("100", "gt100", False), ("99.7", "lt100", True),
        ("99.7", "ne100", False), ("-3.2", "-3", True), ("0", "0", True)]:
    assert holds(number, "decimal", value, text) == expected, (value, text)
weight = {"value": "5.4", "unit": "milligram", "system": "http://unitsofmeasure.org", "code": "mg"}
for text, expected in [("5.4|http://unitsofmeasure.org|mg", True), ("5.4||mg", True), ("5.4||milligram", True), ("5.4", True),
                       ("5.4|http://other|mg", False), ("le5.4|http://unitsofmeasure.org|mg", True), ("5.40e0||kg", False)]:
    assert holds(quantity, "Quantity", weight, text) == expected, text
name = {"family": "Müller", "given": ["Steve", "Eve"]}
for modifier, text, expected in [("", "eve", True), ("", "mul", True), ("contains", "TEV", True), ("exact", "eve", False), ("exact", "Eve", True)]:
    assert holds(string, "HumanName", name, text, modifier) == expected, text
code = {"coding": [{"system": "s|1", "code": "a,b"}, {"code": "c", "display": "Café latte"}], "text": "Words"}
for modifier, text, expected in [("", r"a\,b", True), ("", "a", False), ("", r"s\|1|a\,b", True), ("", "|c", True), ("", r"|a\,b", False),
                                 ("", r"s\|1|", True), ("text", "café", True), ("text", "latte", False), ("text", "WORD", True)]:
    assert holds(token, "CodeableConcept", code, text, modifier) == expected, text
assert holds(token, "boolean", True, "TRUE") and not holds(token, "code", "final", "FINAL")
target = {"target": ["Patient", "Group"]}
for held, modifier, text, expected in [
        ("Patient/23", "", "23", True), ("Patient/23", "", "Patient/23", True), ("http://x/Patient/23", "", "Patient/23", True),
        ("http://x/Patient/23", "", "http://x/Patient/23", True), ("Patient/23", "", "http://x/Patient/23", False), ("Device/23", "", "23", False),
        ("Patient/23/_history/2", "Patient", "23", True), ("Group/23", "Patient", "23", False), ("urn:uuid:23", "", "23", True), ("#23", "", "23", False)]:
    assert holds(reference, "Reference", {"reference": held}, text, modifier, target) == expected, (held, text)
for kind, held, modifier, text, expected in [
        ("canonical", "http://x/a|1", "", "http://x/a", True), ("canonical", "http://x/a", "", "http://x/a|1", False), ("uri", "http://x/A", "", "http://x/a", False),
        ("uri", "http://x/a/b", "below", "http://x/a", True), ("uri", "http://x/ab", "below", "http://x/a", False), ("uri", "http://x/a", "above", "http://x/a/b", True)]:
    assert holds(uri, kind, held, text, modifier) == expected, (held, text)
assert oracle.split(r"a\,b,c\\,", ",") == [r"a\,b", r"c\\", ""] and oracle.unescape(r"\\\,\|\$") == r"\,|$"
assert oracle.parse("Patient?given%3Aexact=a%2Cb&x=1=2") == ("Patient", [("given", "exact", "a,b"), ("x", "", "1=2")])
assert compare.range_of("Period", {}, ANY) == (-compare.INFINITY, compare.INFINITY)
print("the specification's examples hold")
