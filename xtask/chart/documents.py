"""Reads YAML documents, as helm renders them, and writes them as one JSON list. A key that stands twice is refused."""

import json
import sys

import yaml


class Strict(yaml.SafeLoader):
    """As Kubernetes reads it, which takes no repeated keys."""


def mapping(loader, node):
    keys = [loader.construct_object(key) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise yaml.constructor.ConstructorError(None, None, f"{key!r} stands twice", node.start_mark)
    return loader.construct_mapping(node, deep=True)


Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)

documents = yaml.load_all(sys.stdin, Loader=Strict)
json.dump([document for document in documents if document], sys.stdout)
