"""What `_elements` leaves of a resource, written from the specification and HL7's StructureDefinitions."""
import json

SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
ALWAYS = {"resourceType", "id", "meta", "implicitRules", "modifierExtension"}


class Structures:
    """The root elements of each resource type."""

    def __init__(self, folder):
        bundle = json.loads((folder / "profiles-resources.json").read_text())
        self.by_type = {}
        for entry in bundle["entry"]:
            r = entry["resource"]
            if r["resourceType"] != "StructureDefinition" or r["kind"] != "resource":
                continue
            self.by_type[r["type"]] = [e for e in r["snapshot"]["element"] if e["path"].count(".") == 1]

    def element_of(self, kind, key):
        """The element that the JSON name stands for: `valueQuantity` is value[x]."""
        key = key.removeprefix("_")
        for element in self.by_type[kind]:
            name = element["path"].split(".")[1]
            if name == key:
                return element
            if name.endswith("[x]") and key in (name[:-3] + t["code"][0].upper() + t["code"][1:] for t in element["type"]):
                return element
        return None


def cut(resource, wanted, structures):
    """The resource with only what `wanted` and the rules keep."""
    kind = resource["resourceType"]
    names = {w.removeprefix(kind + ".") for w in wanted if "." not in w or w.startswith(kind + ".")}
    kept = {}
    for key, value in resource.items():
        element = structures.element_of(kind, key)
        name = element["path"].split(".")[1] if element else key
        listed = {key.removeprefix("_"), name, name.removesuffix("[x]")} & names
        mandatory = element is not None and element["min"] > 0
        if listed or mandatory or key.removeprefix("_") in ALWAYS:
            kept[key] = value
    if len(kept) < len(resource):
        tags = (kept.get("meta") or {}).get("tag", [])
        if not any(t.get("system") == SUBSETTED["system"] and t.get("code") == SUBSETTED["code"] for t in tags):
            kept["meta"] = {**kept.get("meta", {}), "tag": [*tags, SUBSETTED]}
    return kept
