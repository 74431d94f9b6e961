"""Writes the fixtures: data.ndjson, queries.json and elements.json.

    generate.py SAMPLE DEFINITIONS OUT     a folder of `sluice sample`, HL7's definitions, where to write
"""
import collections
import json
import pathlib
import random
import sys
from decimal import Decimal

import ask
import compare
import elements
import exact
import odd
import oracle

SEED = 20261126
OF_TYPE = {"Observation": 110, "Encounter": 34, "ExplanationOfBenefit": 12, "Provenance": 14}  # others: 24
PREFIXES = ("", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")
WANTED = {  # how many queries of each form
    "token": {"code": 34, "system|code": 44, "|code": 14, "system|": 18, "not": 34, "text": 26, "or": 26, "escaped": 16, "missing": 24},
    "string": {"starts": 32, "folded": 22, "exact": 24, "contains": 26, "or": 8, "missing": 8},
    "date": {**{p: 15 for p in PREFIXES}, "missing": 8},
    "reference": {"id": 20, "type/id": 20, "whole": 16, ":type": 14, "identifier": 10, "or": 8, "missing": 8},
    "quantity": {**{p: 8 for p in PREFIXES}, "": 18, "missing": 4},
    "number": {**{p: 4 for p in PREFIXES}, "": 8, "missing": 3},
    "uri": {"exact": 24, "below": 12, "above": 10, "missing": 5},
}


def data_lines(sample):
    for path in sorted(sample.glob("*.ndjson")):
        found = path.read_text().splitlines()
        most = OF_TYPE.get(path.stem, 24)
        step = max(1, len(found) / most)
        yield from (found[int(i * step)] for i in range(min(most, len(found))))
    yield from odd.lines(exact.write)


class Queries:
    """Queries with their answers, each form up to its number."""

    def __init__(self, answers):
        self.oracle, self.rng = answers, random.Random(SEED)
        self.kept, self.counts, self.open = {}, collections.Counter(), collections.Counter()

    def pools(self):
        """(type, name, kind of parameter) with the values in the data, those of made resources apart."""
        definitions, choices = self.oracle.definitions, oracle.Choices()
        pools = collections.defaultdict(list)
        for kind, resources in sorted(self.oracle.by_type.items()):
            for name in definitions.names(kind):
                parameter = definitions.find(kind, name)
                if "expression" not in parameter or parameter["type"] not in WANTED or name in ("phonetic", "_source"):
                    continue
                found = [(r["id"].startswith("odd-"), *v) for r in resources for v in self.oracle.values(r, parameter, choices)]
                found = [f for f in found if f[2] not in (None, {}, []) and f[1] in compare.COMPARED.get(parameter["type"], {f[1]})]
                if found:
                    pools[parameter["type"]].append((kind, name, found))
        return pools

    def offer(self, form, query, few=False):
        """Keeps a query that has one answer; `few`: also one that finds nothing or everything."""
        if query in self.kept:
            return False
        ids = self.oracle.ids(query)
        everything = len(self.oracle.by_type[query.partition("?")[0]])
        if not few and not 0 < len(ids) < everything:
            return False
        for other in oracle.Choices().others():
            if self.oracle.ids(query, other) != ids:
                self.open[next(f for f, v in vars(other).items() if v != getattr(oracle.Choices(), f))] += 1
                return False
        self.kept[query] = ids
        self.counts[form] += 1
        return True

    def one(self, kind_of_parameter, form, pool):
        kind, name, found = pool
        made_up = [f[1:] for f in found if f[0]]
        values = made_up if made_up and self.rng.random() < 0.6 else [f[1:] for f in found]
        if name == "_id" and form not in ("code", "or"):
            return None  # a resource always has one, and no system
        if form == "missing":
            return None if values[0][0] == "bool" else (kind, name + ":missing", self.rng.choice(["true", "false"]))
        made = getattr(ask, kind_of_parameter)(self.rng, values, form)
        return made and (kind, name + (":" + made[0] if made[0] else ""), made[1])

    def generate(self, pools):
        for kind_of_parameter, forms in WANTED.items():
            for form, most in forms.items():
                done = tries = 0
                while done < most and tries < most * 400:
                    tries += 1
                    made = self.one(kind_of_parameter, form, self.weighted(pools[kind_of_parameter]))
                    if made:
                        # the first few that find nothing are wanted too
                        done += self.offer(f"{kind_of_parameter} {form or '(no prefix)'}", ask.query(self.rng, made[0], made[1:]), tries == 1)

    def weighted(self, pools):
        """Any parameter, those that see made resources more often."""
        return self.rng.choices(pools, [1 + 3 * any(f[0] for f in p[2]) for p in pools])[0]

    def combine(self, pools, most=60):
        """Several parameters at once, and one parameter twice."""
        flat = [(k, p) for k, ps in pools.items() for p in ps]
        done = tries = 0
        while done < most and tries < most * 200:
            tries += 1
            twice = done % 3 == 0
            first = self.rng.choice(flat)
            of_type = [f for f in flat if f[1][0] == first[1][0]]
            picked = [first, first if twice else self.rng.choice(of_type)] + ([self.rng.choice(of_type)] if tries % 5 == 0 else [])
            made = [self.one(k, self.rng.choice(list(WANTED[k])), p) for k, p in picked]
            if all(made) and len(set(made)) == len(made):
                done += self.offer("AND, repeated" if twice else "AND", ask.query(self.rng, made[0][0], *(m[1:] for m in made)))


def element_cases(lines, structures, rng, most=96):
    """Resources, what is asked of them, and what is left."""
    cases, pool = [], [exact.read(line) for line in lines]
    by_type = collections.defaultdict(list)
    for r in pool:
        by_type[r["resourceType"]].append(r)
    kinds = sorted(by_type)
    while len(cases) < most:
        kind = kinds[len(cases) % len(kinds)]
        resource = rng.choice([r for r in by_type[kind] if r["id"].startswith("odd-")] or by_type[kind]) if rng.random() < 0.6 \
            else rng.choice(by_type[kind])
        names = []
        for key in rng.sample(sorted(resource), min(len(resource), rng.randint(1, 4))):
            element = structures.element_of(kind, key)
            stem = element["path"].split(".")[1] if element else key
            names.append(rng.choice([key.removeprefix("_"), stem, stem.removesuffix("[x]")]))
        names += rng.sample([e["path"].split(".")[1] for e in structures.by_type[kind]], 2)
        names = [n if rng.random() < 0.4 else f"{kind}.{n}" for n in dict.fromkeys(names) if n != "resourceType"]
        names += [f"{rng.choice([k for k in kinds if k != kind])}.{rng.choice(['status', 'code', 'name', 'id'])}"]
        rng.shuffle(names)
        cases.append({"elements": names, "type": kind, "id": resource["id"], "line": elements.cut(resource, names, structures)})
    for names in (["valueString"], ["value"], ["value[x]"], ["Observation.value"], ["Observation.valueQuantity", "effective"], ["id"], ["Observation.meta"]):
        for resource in rng.sample([r for r in by_type["Observation"] if r["id"].startswith("odd-")], 3):
            cases.append({"elements": names, "type": "Observation", "id": resource["id"], "line": elements.cut(resource, names, structures)})
    for resource in (rng.choice(by_type["Patient"]), rng.choice(by_type["MedicationRequest"])):
        names = [k for k in resource if k != "resourceType" and not k.startswith("_")]
        cases.append({"elements": names, "type": resource["resourceType"], "id": resource["id"], "line": elements.cut(resource, names, structures)})
    return cases


def main():
    sample, definitions, out = map(pathlib.Path, sys.argv[1:])
    lines = list(data_lines(sample))
    resources = [json.loads(line, parse_float=Decimal) for line in lines]
    assert len({(r["resourceType"], r["id"]) for r in resources}) == len(resources)
    queries = Queries(oracle.Oracle(oracle.Definitions(definitions), resources))
    for query in (pathlib.Path(__file__).parent / "queries.txt").read_text().splitlines():
        if query and not query.startswith("#") and not queries.offer("by hand", query, few=True):
            print(f"left open: {query}")
    pools = queries.pools()
    queries.generate(pools)
    queries.combine(pools)
    cases = element_cases(lines, elements.Structures(definitions), random.Random(SEED))
    out.mkdir(parents=True, exist_ok=True)
    (out / "data.ndjson").write_text("\n".join(lines) + "\n")
    (out / "queries.json").write_text("[\n" + ",\n".join(
        exact.write({"query": q, "ids": ids}) for q, ids in queries.kept.items()) + "\n]\n")
    (out / "elements.json").write_text("[\n" + ",\n".join(exact.write(c) for c in cases) + "\n]\n")
    print(f"{len(lines)} resources of {len(queries.oracle.by_type)} types, {len(queries.kept)} queries, {len(cases)} element lists")
    for form, count in sorted(queries.counts.items()):
        print(f"  {count:4} {form}")
    print("left out, as the specification leaves them open:", dict(queries.open.most_common()))


if __name__ == "__main__":
    main()
