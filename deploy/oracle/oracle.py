"""A FHIR R4 search evaluator that is slow, plain and written only to check another one.

HL7's own SearchParameter expressions find the values, evaluated by fhirpathpy; what is below compares them as
https://hl7.org/fhir/R4/search.html says. Where the page leaves a choice, `Choices` names it: the first value is what
Sluice does, the other is what a server could do as well, so that the generator can leave out queries on which the
two differ.
"""
import json
import re
import urllib.parse
from dataclasses import dataclass, fields, replace

import fhirpathpy
from fhirpathpy.engine.nodes import ResourceNode
from fhirpathpy.models import models

import compare


@dataclass(frozen=True)
class Choices:
    """What the specification leaves open; each is flipped alone to find queries that have more than one answer."""
    unresolved_is_any_type: bool = False    # resolve() of a reference that does not tell its type
    type_element_resolves: bool = True      # resolve() of a reference that has only Reference.type
    contained_by_bare_id: bool = False      # subject=p1 finds "#p1"
    canonical_by_id: bool = False           # instantiates=x finds http://example.org/PlanDefinition/x
    code_has_no_system: bool = False        # a pipe in front of a code, boolean, string or ContactPoint never matches
    ne_is_for_all: bool = False             # ne matches only if every value of the element differs
    not_is_per_value: bool = False          # :not=a,b means not a, or not b
    extension_is_value: bool = False        # an element with nothing but an extension is not missing
    empty_is_value: bool = True             # {} is not missing
    other_type_is_value: bool = True        # a performedString makes date not missing
    money_has_unit: bool = True             # a currency compares like a unit
    range_touches: bool = True              # ge and le hold for a Range that ends at exactly that number
    version_below: bool = False             # :below and :above see the |version of a canonical
    slash_below: bool = False               # :below=http://x/ is the same as :below=http://x
    text_ignores_accents: bool = False      # :text folds accents as strings do
    exact_normalizes: bool = False          # :exact takes é and e with an accent for the same
    whole_period_open: bool = True          # a Period without start and end is all of time
    no_reference_is_value: bool = True      # a reference of only a display is not missing

    def others(self):
        return [replace(self, **{f.name: not getattr(self, f.name)}) for f in fields(self)]


class Definitions:
    """HL7's search parameters by type and name."""

    def __init__(self, folder):
        self.by_type = {}
        bundle = json.loads((folder / "search-parameters.json").read_text())
        parameters = [e["resource"] for e in bundle["entry"]]
        for p in parameters:
            for base in p["base"]:
                self.by_type.setdefault(base, {})[p["code"]] = p
        self.parsed = {}

    def find(self, kind, name):
        for base in (kind, "DomainResource", "Resource"):
            if name in self.by_type.get(base, {}):
                return self.by_type[base][name]
        raise KeyError(f"{kind} has no search parameter {name}")

    def names(self, kind):
        return sorted({n for base in (kind, "Resource") for n in self.by_type.get(base, {})})

    def values(self, resource, parameter, choices):
        """What the parameter's expression yields: (type of the element, value) pairs."""
        kind, found = resource["resourceType"], []
        for branch in split_union(parameter["expression"]):
            if not re.match(rf"\(?\s*({kind}|Resource|DomainResource)\b", branch):
                continue
            # fhirpathpy knows a root by its own type only, and `|` would lose the types of the values
            branch = re.sub(r"\b(Resource|DomainResource)\.", kind + ".", branch)
            if branch not in self.parsed:
                self.parsed[branch] = fhirpathpy.parse(branch)
            wanted = re.search(r"resolve\(\) is (\w+)", branch)

            def resolve(references):
                types = (reference_type(r, resource, choices, wanted and wanted.group(1)) for r in references)
                return [ResourceNode({"resourceType": t}, t) for t in types if t]

            nodes = fhirpathpy.apply_parsed_path(
                resource, self.parsed[branch], {}, models["r4"],
                {"returnRawData": True, "userInvocationTable": {"resolve": {"fn": resolve, "arity": {0: []}}}})
            found += [(n.path, n.data) if isinstance(n, ResourceNode) else (type(n).__name__, n) for n in nodes
                      if not (isinstance(n, ResourceNode) and (n.data is None or is_twin(n)))]
        return found


def is_twin(node):
    """Whether this is what stands under `_status`: fhirpathpy yields it next to the value of `status`."""
    return isinstance(node.data, dict) and re.match(r"System\.|[a-z]", node.path or "")


def split_union(expression):
    """Splits at the bars outside of parentheses and quotes."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(expression):
        depth += (c == "(") - (c == ")")
        if c == "|" and depth == 0:
            parts.append(expression[start:i].strip())
            start = i + 1
    return [*parts, expression[start:].strip()]


def reference_type(reference, resource, choices, wanted):
    """What `resolve() is` sees of a reference, or None."""
    text = reference.get("reference", "") if isinstance(reference, dict) else reference
    if text.startswith("#"):
        return next((c["resourceType"] for c in resource.get("contained", []) if c["id"] == text[1:]), None)
    if segments := compare.last_two(text):
        return segments[0]
    if isinstance(reference, dict) and "type" in reference and choices.type_element_resolves:
        return reference["type"]
    return wanted if choices.unresolved_is_any_type else None


def split(text, separator):
    """Splits at separators without a backslash in front; escapes stay."""
    parts, escaped = [""], False
    for c in text:
        if c == separator and not escaped:
            parts.append("")
        else:
            parts[-1] += c
        escaped = c == "\\" and not escaped
    return parts


def unescape(text):
    return re.sub(r"\\([,|$\\])", r"\1", text)


def parse(query):
    """`Type?name:modifier=value&…` as (type, [(name, modifier, value)])."""
    kind, _, rest = query.partition("?")
    parameters = []
    for pair in rest.split("&"):
        name, _, value = pair.partition("=")
        name, value = urllib.parse.unquote(name), urllib.parse.unquote(value)
        name, _, modifier = name.partition(":")
        parameters.append((name, modifier, value))
    return kind, parameters


class Oracle:
    """Answers queries over resources that are held as JSON with Decimal numbers."""

    def __init__(self, definitions, resources):
        self.definitions = definitions
        self.by_type = {}
        for r in resources:
            self.by_type.setdefault(r["resourceType"], []).append(r)
        self.found = {}

    def ids(self, query, choices=Choices()):
        kind, parameters = parse(query)
        return sorted(r["id"] for r in self.by_type.get(kind, [])
                      if all(self.matches(r, *p, choices) for p in parameters))

    def values(self, resource, parameter, choices):
        key = (id(resource), parameter["id"], choices.unresolved_is_any_type, choices.type_element_resolves)
        if key not in self.found:
            self.found[key] = self.definitions.values(resource, parameter, choices)
        return self.found[key]

    def matches(self, resource, name, modifier, text, choices):
        parameter = self.definitions.find(resource["resourceType"], name)
        values = self.values(resource, parameter, choices)
        if modifier == "missing":
            present = any(compare.is_value(v, kind, parameter["type"], choices) for kind, v in values)
            # what fhirpathpy leaves out: an element that has only its underscored twin
            present = present or choices.extension_is_value and compare.has_twin(resource, parameter)
            return present != (text == "true")
        wanted = split(text, ",")
        check = getattr(compare, parameter["type"])
        hits = [any(check(kind, v, modifier, w, parameter, choices) for kind, v in values) for w in wanted]
        if modifier == "not":
            return not all(hits) if choices.not_is_per_value else not any(hits)
        if choices.ne_is_for_all and text.startswith("ne") and parameter["type"] in ("date", "number", "quantity"):
            return bool(values) and all(check(kind, v, modifier, w, parameter, choices)
                                        for w in wanted for kind, v in values)
        return any(hits)
