"""JSON that keeps the text of its numbers: 1.0, 1e2 and 100 stay what they were."""
import json


class Number:
    """A JSON number as it is written."""

    def __init__(self, text):
        self.text = text

    def __eq__(self, other):
        return isinstance(other, Number) and self.text == other.text

    def __hash__(self):
        return hash(self.text)


def read(line):
    return json.loads(line, parse_float=Number, parse_int=Number)


def write(value, ascii=False, spaced=False):
    """One line of JSON; `ascii` escapes what is not ASCII, `spaced` puts blanks between tokens."""
    comma, colon = (" , ", " : ") if spaced else (",", ":")
    if isinstance(value, Number):
        return value.text
    if isinstance(value, dict):
        fields = (json.dumps(k, ensure_ascii=ascii) + colon + write(v, ascii, spaced) for k, v in value.items())
        return "{" + comma.join(fields) + "}"
    if isinstance(value, list):
        return "[" + comma.join(write(v, ascii, spaced) for v in value) + "]"
    return json.dumps(value, ensure_ascii=ascii)
