"""Resources made to hit the hard places of search and of `_elements`; all of it is invented."""
from exact import Number as N

UCUM, LOINC, SCT = "http://unitsofmeasure.org", "http://loinc.org", "http://snomed.info/sct"
PLACES = "https://odd.example/places"
ABSENT = [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
MOMENTS = ["2019", "2020-02", "2020-02-29", "2020-02-29T23:59:59Z", "2020-02-29T23:30:00-05:00",
           "2020-03-01T00:00:00+14:00", "2020-06-30T12:00:00.5Z", "2020-06-30T12:00:00.500Z",
           "2020-06-30T12:00:00.499999Z", "2020-06-30T14:00:00.123+02:00", "1999-12-31T23:59:59.999999999Z",
           "2000-01-01", "1900", "2020-12-31T23:59:59-00:30", "2021-01-01T05:29:59+05:30", "2020-06"]
PERIODS = [{"start": "2020-01-15"}, {"end": "2020-01-15"}, {"start": "2019-12", "end": "2020-02"},
           {"start": "2020-06-30T08:00:00+02:00", "end": "2020-06-30T09:30:00+02:00"},
           {"start": "2018", "end": "2018"}, {"start": "2020-01-01", "end": "9999-12-31"},
           {"end": "2020-06-30T12:00:00Z", "start": "2020-06-30T11:59:59.999Z"}]
TIMINGS = [{"event": ["2020-05-01", "2020-03-01T10:00:00Z", "2020-04"]},
           {"repeat": {"boundsPeriod": {"start": "2013-01-31", "end": "2013-03-24"}, "frequency": N("1"), "period": N("2"),
                       "periodUnit": "d"}},
           {"event": ["2021-01-01"], "repeat": {"boundsPeriod": {"start": "2021-02"}}},
           {"repeat": {"boundsDuration": {"value": N("10"), "unit": "days", "system": UCUM, "code": "d"}}},
           {"code": {"text": "every other morning"}}, {"event": ["2020-06-30T12:00:00.5Z"]}]


def concept(*codings, text=None):
    codings = [dict(zip(("system", "code", "display"), c)) for c in codings]
    coding = {"coding": [{k: v for k, v in c.items() if v is not None} for c in codings]} if codings else {}
    return {**coding, **({"text": text} if text is not None else {})}


CODES = [concept((LOINC, "8480-6", "Systolic blood pressure"), (SCT, "271649006", "Systolic pressure")),
         concept((None, "8480-6")), concept((LOINC, "8480-6")), concept(text="Systolic by ear"),
         concept(("urn:oid:2.16.840.1.113883.6.1", "8480-6", "systolic (oid)")),
         concept((LOINC, "8462-4", "Diastolic blood pressure"), text="diastolic, sitting"),
         concept((LOINC, None, "A system alone")), concept((None, "abc")), concept((LOINC, "ABC")),
         concept(("https://odd.example/codes", "a|b")), concept(("https://odd.example/codes", "a,b")),
         concept(("https://odd.example/codes", "a$b")), concept(("https://odd.example/codes", "a\\b")),
         concept(("https://odd.example/codes", "a")), concept(("https://odd.example/codes", "b")),
         concept(("https://odd.example/x|y", "piped system")), concept((None, None, "Only a display")),
         concept(("https://odd.example/codes", "with space"), text="Text \"in quotes\" & more")]
SUBJECTS = [{"reference": "Patient/odd-p01"}, {"reference": "https://ehr.example/fhir/Patient/odd-p01"},
            {"reference": "Patient/odd-p01/_history/3"}, {"reference": "urn:uuid:6f1c1d1e-0000-4000-8000-000000000001"},
            {"identifier": {"system": PLACES, "value": "odd-p01"}},
            {"type": "Patient", "display": "Someone"}, {"reference": "#odd-p02"}, {"reference": "Device/odd-p01"},
            {"reference": "http://other.example/r4/Patient/odd-p02/_history/1"}, {"reference": "Patient/odd-p03"},
            {"reference": "Patient/odd-p02", "type": "Patient", "identifier": {"value": "no-system"}},
            {"reference": "Group/odd-p03", "display": "a group"}, {"display": "only words"},
            {"type": "Patient", "identifier": {"system": "https://odd.example/mrn", "value": "M,1"}}]
VALUES = [("Quantity", q) for q in (
    {"value": N("1.0"), "unit": "kg", "system": UCUM, "code": "kg"}, {"value": N("100"), "unit": "mg"},
    {"value": N("1e2"), "code": "mg", "system": UCUM}, {"value": N("100.00"), "unit": "kg", "code": "kg"},
    {"value": N("0.10"), "unit": "mg", "system": UCUM, "code": "mg"}, {"value": N("99.5"), "unit": "mg"},
    {"value": N("100.5"), "unit": "mg"}, {"value": N("5.4"), "comparator": "<", "unit": "mmol/L", "system": UCUM, "code": "mmol/L"},
    {"value": N("5.35"), "system": UCUM, "code": "mg"}, {"value": N("5.449"), "system": UCUM, "code": "mg"},
    {"value": N("5.45"), "system": UCUM, "code": "mg"}, {"value": N("-3.2"), "unit": "Cel"}, {"value": N("0")},
    {"value": N("0.0054"), "unit": "kilogram", "system": UCUM, "code": "kg"},
    {"value": N("12345678901234567890.123"), "unit": "1"}, {"unit": "kg"},
    {"value": N("149.9"), "unit": "kg", "system": "https://odd.example/units", "code": "kg"})] + [
    ("CodeableConcept", CODES[0]), ("String", "Crème brûlée"), ("String", "creme"), ("Boolean", True),
    ("DateTime", "2020-02"), ("Period", PERIODS[0]), ("Integer", N("7")), ("Range", {"low": {"value": N("1")}})]
NAMES = [[{"family": "Müller", "given": ["José", "María"]}], [{"family": "MULLER", "given": ["jose"]}],
         [{"text": "Dr. Åsa Öberg", "use": "usual"}, {"family": "Øberg", "prefix": ["Dr."]}],
         [{"family": "van der Berg", "given": ["Anne-Marie"], "suffix": ["III"]}],
         [{"family": "Mu\u0308ller"}], [{"family": "O'Brien, Jr.", "given": ["Pat|rick"]}],
         [{"given": ["A", None, "B"], "_given": [None, {"extension": ABSENT}, None]}],
         [{"family": "D$lar", "given": ["back\\slash"]}], [{"family": "Nguyễn", "given": ["Thị"]}],
         [{"family": "李", "text": "李 小龙"}], [{"family": "Straße"}, {"family": "Strasse", "use": "old"}],
         [{"family": "Smith"}, {"family": "Smithson", "given": ["Eve"]}], [{"given": ["Steve"]}],
         [{"_family": {"extension": ABSENT}}], [], None]
ADDRESSES = [[{"line": ["12 Rue de l'Été", "Apt 3"], "city": "Saint-Étienne", "postalCode": "42000", "country": "FR"}],
             [{"text": "PO Box 9, PLEASANTVILLE", "state": "VT"}],
             [{"city": "PleasantVille", "district": "Rainbow", "state": "Vic", "use": "home"},
              {"city": "Boston", "postalCode": "02101", "use": "old"}],
             [{"country": "España", "city": "A Coruña"}], [{"use": "home"}], None]
PHONES = [[{"system": "phone", "value": "+1-555-0100"}, {"system": "email", "value": "A.B@odd.example"}],
          [{"value": "+1-555-0100"}], [{"system": "email", "value": "a.b@odd.example", "use": "work"}], None]
BIRTHS = ["1970-01-01", "1970", "1970-01", "2000-02-29", "1899-12-31", None]
METAS = [{"lastUpdated": "2020-06-30T12:00:00.500Z", "tag": [{"system": "https://odd.example/tags", "code": "a"}]},
         {"lastUpdated": "2020-06-30T14:00:00+02:00", "versionId": "1",
          "profile": ["https://odd.example/StructureDefinition/p|1.0", "https://odd.example/StructureDefinition/q"]},
         {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R",
                        "display": "Restricted"}, {"code": "local"}], "lastUpdated": "2021-12-31T23:59:59.999Z"},
         {"tag": [{"code": "a"}, {"system": "https://odd.example/tags", "code": "b", "display": "Bee"}],
          "profile": ["https://odd.example/StructureDefinition/p"]}, {},
         {"tag": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}],
          "profile": ["https://odd.example/StructureDefinition/p|2.0"], "lastUpdated": "1999-12-31T23:59:59Z"}, None]
URLS = ["http://odd.example/fhir/vs", "http://odd.example/fhir/vs/1", "http://odd.example/fhir/vs/1/deep",
        "http://odd.example/fhir/VS", "urn:oid:1.2.3.4.5", "http://odd.example/fhir/vs1", "http://odd.example/a,b",
        "http://odd.example/fhir/vs?x=1&y=2"]
PROBABILITIES = ["1.0", "1e-1", "0.10", "0.095", "0.105", "0.5", "0.050", "1"]


def some(**elements):
    """The elements that are there."""
    return {k: v for k, v in elements.items() if v is not None}


def patients():
    for i in range(48):
        died = [{}, {"deceasedBoolean": False}, {"deceasedBoolean": True}, {"deceasedDateTime": "2020-02-29"},
                {"deceasedDateTime": "2020-02-29T23:30:00-05:00"}][i % 5]
        identifiers = [[{"system": "https://odd.example/mrn", "value": f"M,{i % 7}"}], [{"value": f"M,{i % 7}"}],
                       [{"system": "https://odd.example/mrn", "value": "m,1", "type": {"text": "Medical record"}},
                        {"use": "old"}], None][i % 4]
        practitioners = [None, [{"reference": "Practitioner/odd-d1"}, {"reference": "Organization/odd-d1"}],
                         [{"reference": "https://ehr.example/fhir/PractitionerRole/odd-d1"}]][i % 3]
        yield some(resourceType="Patient", id=f"odd-p{i + 1:02}", meta=METAS[i % 7], active=[True, False, None][i % 3],
                   identifier=identifiers, name=NAMES[i % 16], address=ADDRESSES[i % 6], telecom=PHONES[i // 3 % 4],
                   birthDate=BIRTHS[i // 2 % 6], gender=["female", "male", "other", None][i // 2 % 4], **died,
                   generalPractitioner=practitioners,
                   **({"_birthDate": {"extension": ABSENT}} if i // 2 % 6 == 5 and i % 2 else {}),
                   **({"_birthDate": {"id": "b", "extension": ABSENT}} if i % 11 == 0 and i // 2 % 6 != 5 else {}),
                   **({"link": [{"other": {"reference": "Patient/odd-p01"}, "type": "seealso"},
                                {"other": {"reference": "RelatedPerson/odd-p01"}, "type": "refer"}]} if i % 9 == 4 else {}),
                   **({"implicitRules": "https://odd.example/rules", "language": "fr"} if i % 10 == 7 else {}),
                   **({"modifierExtension": [{"url": "https://odd.example/m", "valueBoolean": True}]} if i % 10 == 3 else {}),
                   communication=[{"language": concept(("urn:ietf:bcp:47", ["fr", "de", "en-US"][i % 3]))}])


def observations():
    moments = [("DateTime", m) for m in MOMENTS] + [("Period", p) for p in PERIODS] + [("Timing", t) for t in TIMINGS] \
        + [("Instant", "2020-06-30T12:00:00.500Z"), None]
    for i in range(56):
        when, value = moments[i % len(moments)], VALUES[i % len(VALUES)] if i % 13 else None
        components = [{"code": CODES[(i + 5) % 18], "valueQuantity": VALUES[(i + 3) % 17][1]},
                      {"code": CODES[5], "valueCodeableConcept": CODES[(i + 2) % 18]}] if i % 4 == 1 else None
        subject = SUBJECTS[i % len(SUBJECTS)]
        contained = [{"resourceType": "Patient", "id": "odd-p02", "name": [{"family": "Inside"}]}] \
            if subject.get("reference", "").startswith("#") else None
        yield some(resourceType="Observation", id=f"odd-o{i + 1:02}", meta=METAS[(i + 3) % 7], contained=contained,
                   status=["final", "amended", "entered-in-error"][i % 3], code=CODES[i % 18],
                   category=[CODES[(i + 4) % 18]] if i % 5 else None, subject=subject if i % 17 else None,
                   performer=[{"reference": "Practitioner/odd-d1"}, SUBJECTS[(i + 1) % 4]] if i % 6 == 2 else None,
                   **({"effective" + when[0]: when[1]} if when else {}),
                   **({"value" + value[0]: value[1]} if value else {}),
                   **({"dataAbsentReason": {}} if i % 19 == 5 else {}),
                   **({"_status": {"id": "s"}} if i % 8 == 0 else {}), component=components,
                   derivedFrom=[{"reference": f"Observation/odd-o{i:02}"}] if i % 7 == 3 else None)


def others():
    onsets = [("Age", {"value": N("52"), "unit": "years", "system": UCUM, "code": "a"}), ("String", "as a child"),
              ("Range", {"low": {"value": N("40"), "system": UCUM, "code": "a"},
                         "high": {"value": N("50"), "system": UCUM, "code": "a"}}),
              ("Range", {"low": {"value": N("60"), "unit": "a"}}), ("Period", PERIODS[2]), ("DateTime", "2020-02"),
              ("Age", {"value": N("51.5"), "unit": "years", "system": UCUM, "code": "a"}), ("Period", PERIODS[1])]
    for i, (kind, value) in enumerate(onsets):
        yield some(resourceType="Condition", id=f"odd-c{i + 1}", meta=METAS[i % 7], subject=SUBJECTS[i % 3], code=CODES[i],
                   clinicalStatus=CODES[-1] if i % 2 else None, **{"onset" + kind: value},
                   evidence=[{"code": [CODES[i + 1], CODES[3]]}, {"code": [CODES[i + 2]], "detail": [SUBJECTS[9]]}])
    occurrences = [("Timing", t) for t in TIMINGS] + [("DateTime", "2020-05"), ("Period", PERIODS[0])]
    for i, (kind, value) in enumerate(occurrences):
        yield some(id=f"odd-s{i + 1}", status="active", intent="order", subject=SUBJECTS[i], code=CODES[-1 - i],
                   **{"occurrence" + kind: value}, authoredOn=MOMENTS[i], resourceType="ServiceRequest",
                   instantiatesCanonical=["http://odd.example/PlanDefinition/x|1.0"] if i % 3 == 0 else
                   ["http://odd.example/PlanDefinition/x", "http://odd.example/PlanDefinition/y|2"] if i % 3 == 1 else None,
                   instantiatesUri=["http://odd.example/protocol"] if i % 2 else None, requisition={"value": f"r{i % 3}"})
    for i, url in enumerate(URLS):
        yield some(resourceType="ValueSet", id=f"odd-v{i + 1}", url=url, status=["draft", "active"][i % 2],
                   version=["1.0", "2.0", None][i % 3], name=f"Vs{i}", title=["Été", "ete 2", "Summer"][i % 3],
                   date=MOMENTS[i], meta=METAS[(i + 1) % 7], experimental=i % 2 == 0,
                   identifier=[{"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.3.4"}] if i % 2 else None,
                   compose={"include": [{"system": URLS[i - 1]}], "lockedDate": "2020-01-01"} if i % 3 else None)
    for i, probability in enumerate(PROBABILITIES):
        yield some(resourceType="RiskAssessment", id=f"odd-r{i + 1}", status="final", subject=SUBJECTS[i],
                   prediction=[{"probabilityDecimal": N(probability)}, {"outcome": CODES[i]}] +
                   ([{"probabilityDecimal": N("0.9")}] if i == 2 else []),
                   **({"occurrenceDateTime": MOMENTS[i + 2]} if i % 2 else {"occurrencePeriod": PERIODS[i % 7]}))
    yield {"resourceType": "RiskAssessment", "id": "odd-r9", "status": "final", "subject": SUBJECTS[0]}
    for i in range(4):
        yield {"resourceType": "ChargeItem", "id": f"odd-ci{i + 1}", "status": "billable", "code": CODES[i],
               "subject": SUBJECTS[i], "factorOverride": N(["0.8", "8e-1", "1", "1.25"][i]),
               "quantity": {"value": N(["1", "2", "1.4", "10"][i])}, "priceOverride": {"value": N(["40.00", "40", "39.5", "4e1"][i]), "currency": ["EUR", "USD"][i % 2]},
               **({"occurrencePeriod": PERIODS[i]} if i % 2 else {"occurrenceTiming": TIMINGS[i]})}
        yield {"id": f"odd-i{i + 1}", "resourceType": "Invoice", "status": "issued", "date": MOMENTS[i + 3],
               "totalNet": {"value": N(["12.5", "12.50", "1e1", "12.45"][i]), "currency": "EUR"}}
        yield {"resourceType": "MolecularSequence", "id": f"odd-m{i + 1}", "coordinateSystem": N("0"), "type": "dna",
               "variant": [{"start": N(str(10 * i)), "end": N(str(10 * i + 9))}, {"start": N("100"), "end": N("1000")}][:1 + i % 2],
               "referenceSeq": {"windowStart": N(str(i)), "windowEnd": N(str(i * 100)), "chromosome": CODES[i]}}
        yield some(resourceType="Encounter", id=f"odd-e{i + 1}", status="finished", subject=SUBJECTS[i], meta=METAS[i + 1],
                   **{"class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": ["AMB", "amb", "IMP", "EMER"][i]}},
                   period=PERIODS[i], length={"value": N(["30", "0.5", "90", "30.0"][i]), "unit": ["min", "h", "min", "minutes"][i], "system": UCUM,
                                              "code": ["min", "h", "min", "min"][i]}, location=[{"location": {"reference": f"Location/odd-l{i % 2}"}}] if i else None)
        yield some(resourceType="Procedure", id=f"odd-pr{i + 1}", status="completed", subject=SUBJECTS[i], code=CODES[i + 8],
                   **[{"performedString": "last spring"}, {"performedAge": {"value": N("30")}}, {"performedPeriod": PERIODS[3]},
                      {"performedDateTime": "2018"}][i])
        yield some(resourceType="QuestionnaireResponse", id=f"odd-q{i + 1}", status="completed", subject=SUBJECTS[i],
                   questionnaire=["http://odd.example/Questionnaire/q|1", "http://odd.example/Questionnaire/q", "http://odd.example/Questionnaire/q|2", None][i],
                   authored=MOMENTS[i + 6], item=[{"linkId": "1", "answer": [{"valueDecimal": N("1.0")}, {"valueDecimal": N("1e2")}]}])
    names = ["Clinic, North", "Clinic|South", "clinic $5", "back\\slash \"Clinic\"", "École Clinique", "Ecole", "ÉCOLE SUD", "North Clinic"]
    for i, name in enumerate(names):
        yield some(resourceType="Organization", id=f"odd-d{i + 1}", name=name, alias=[names[i - 3], "Alias 😀"] if i % 2 else None,
                   address=ADDRESSES[i % 6], partOf={"reference": f"Organization/odd-d{i}"} if i else None, type=[CODES[i], CODES[i + 1]],
                   active=i % 2 == 0, telecom=PHONES[i % 4], meta=METAS[i % 7])
    yield {"name": [{"family": "Ünlü"}], "patient": SUBJECTS[0], "id": "odd-rp1", "resourceType": "RelatedPerson", "active": True, "birthDate": "1960"}
    yield {"patient": SUBJECTS[1], "resourceType": "RelatedPerson", "telecom": PHONES[0], "id": "odd-rp2", "gender": "male"}
    yield {"resourceType": "Flag", "id": "odd-f1", "status": "active", "code": CODES[0], "subject": SUBJECTS[0], "period": PERIODS[0]}
    yield {"resourceType": "Flag", "id": "odd-f2", "status": "inactive", "code": CODES[3], "subject": SUBJECTS[2]}
    yield {"resourceType": "Basic", "code": CODES[7], "id": "odd-b1", "created": "2020-02", "extension": ABSENT}
    yield {"resourceType": "Medication", "id": "odd-med1", "code": CODES[0], "ingredient": [{"itemCodeableConcept": CODES[1]}, {"itemReference": {"reference": "Medication/odd-med2"}}], "batch": {"expirationDate": "2020-02", "lotNumber": "L|1"}}
    yield {"resourceType": "Medication", "id": "odd-med2", "code": CODES[3], "status": "active"}
    yield {"resourceType": "MedicationAdministration", "id": "odd-ma1", "status": "completed", "medicationReference": {"reference": "Medication/odd-med1"}, "subject": SUBJECTS[0], "effectivePeriod": PERIODS[0]}
    yield {"resourceType": "MedicationAdministration", "id": "odd-ma2", "status": "not-done", "medicationCodeableConcept": CODES[0], "subject": SUBJECTS[2], "effectiveDateTime": "2020-02-29"}
    yield {"resourceType": "Specimen", "id": "odd-sp1", "collection": {"collectedPeriod": PERIODS[2]}, "subject": SUBJECTS[0], "accessionIdentifier": {"value": "A$1"}, "container": [{"identifier": [{"value": "c1"}]}, {"type": CODES[0]}]}
    yield {"resourceType": "Specimen", "id": "odd-sp2", "collection": {"collectedDateTime": "2020-01"}, "type": CODES[0]}
    yield {"resourceType": "Appointment", "id": "odd-a1", "status": "booked", "start": "2020-06-30T12:00:00Z", "end": "2020-06-30T12:30:00Z", "participant": [{"actor": SUBJECTS[0], "status": "accepted"}, {"actor": {"reference": "Location/odd-l1"}, "status": "tentative"}]}
    yield {"resourceType": "Appointment", "id": "odd-a2", "status": "proposed", "participant": [{"actor": {"reference": "Practitioner/odd-p01"}, "status": "declined"}]}
    yield {"resourceType": "Task", "id": "odd-t1", "status": "requested", "intent": "order", "focus": {"reference": "ServiceRequest/odd-s1"}, "executionPeriod": PERIODS[1], "code": CODES[0]}
    yield {"resourceType": "Task", "id": "odd-t2", "status": "draft", "intent": "plan", "focus": {"reference": "https://ehr.example/fhir/ServiceRequest/odd-s1"}, "groupIdentifier": {"value": "g"}}


def resources():
    return [*patients(), *observations(), *others()]


def lines(write):
    """Each resource as a line: some escaped, some with blanks, some with their keys the other way round."""
    for i, resource in enumerate(resources()):
        if i % 6 == 5:
            resource = dict(reversed(resource.items()))
        line = write(resource, ascii=i % 3 == 1, spaced=i % 7 == 2)
        if resource["id"] == "odd-f1":
            line = line.replace('"status"', '"st\\u0061tus"').replace('"Flag"', '"Fl\\u0061g"').replace("http://", "http:\\/\\/")
        yield line
