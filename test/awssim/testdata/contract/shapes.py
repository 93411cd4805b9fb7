"""Checks the raw bodies of answers against botocore's model of AWS's services.

botocore's parsers are lenient: they drop what they do not know and leave out what
they do not find. So this looks at the bytes: every element or key must be a member
of the operation's output shape, every value must have the form of its type, and
every enumerated value must be one of the enumeration.
"""

import base64
import json
import re
import xml.etree.ElementTree as ElementTree

NAMESPACES = {
    "ec2": "http://ec2.amazonaws.com/doc/2016-11-15/",
    "iam": "https://iam.amazonaws.com/doc/2010-05-08/",
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
}
ISO8601 = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")


def violations(operation, status, body):
    """Returns what is wrong with the body of a successful answer, one line each."""
    if status >= 300:
        return []
    protocol = operation.service_model.metadata["protocol"]
    where = operation.name
    if protocol == "json":
        return json_answer(operation, json.loads(body) if body else {}, where)
    root = ElementTree.fromstring(body)
    return xml_answer(operation, root, protocol, where)


def json_answer(operation, document, where):
    if operation.output_shape is None:
        return [] if document == {} else [f"{where}: has no output, got {document}"]
    return list(json_value(operation.output_shape, document, where))


def json_value(shape, value, where):
    kind = shape.type_name
    if kind == "structure":
        if not isinstance(value, dict):
            yield f"{where}: want an object, got {value!r}"
            return
        for key, member in value.items():
            if key not in shape.members:
                yield f"{where}.{key}: is not in AWS's model"
            else:
                yield from json_value(shape.members[key], member, f"{where}.{key}")
    elif kind == "list":
        if not isinstance(value, list):
            yield f"{where}: want a list, got {value!r}"
            return
        for i, item in enumerate(value):
            yield from json_value(shape.member, item, f"{where}[{i}]")
    elif kind == "map":
        for key, item in value.items():
            yield from json_value(shape.value, item, f"{where}[{key!r}]")
    elif kind == "string":
        yield from text(shape, value, where)
    elif kind == "boolean" and not isinstance(value, bool):
        yield f"{where}: want a Boolean, got {value!r}"
    elif kind in ("integer", "long") and (isinstance(value, bool) or not isinstance(value, int)):
        yield f"{where}: want a number, got {value!r}"
    elif kind == "timestamp" and (isinstance(value, bool) or not isinstance(value, (int, float))):
        yield f"{where}: want seconds since 1970, got {value!r}"
    elif kind == "blob":
        base64.b64decode(value, validate=True)


def text(shape, value, where):
    if not isinstance(value, str):
        yield f"{where}: want a string, got {value!r}"
    elif shape.enum and value not in shape.enum:
        yield f"{where}: {value!r} is none of {', '.join(shape.enum)}"


def xml_answer(operation, root, protocol, where):
    found = []
    service = operation.service_model.service_name
    want = "{%s}%sResponse" % (NAMESPACES[service], operation.name)
    if root.tag != want:
        found.append(f"{where}: the root is {root.tag}, want {want}")
    shape = operation.output_shape
    if protocol == "ec2":
        children = [c for c in root if name(c) != "requestId"]
        if len(children) == len(root):
            found.append(f"{where}: has no requestId")
    else:
        metadata = [c for c in root if name(c) == "ResponseMetadata"]
        if len(metadata) != 1 or [name(c) for c in metadata[0]] != ["RequestId"]:
            found.append(f"{where}: has no ResponseMetadata with a RequestId")
        children = [c for c in root if name(c) != "ResponseMetadata"]
        wrapper = shape.serialization.get("resultWrapper") if shape is not None else None
        if wrapper:
            if [name(c) for c in children] != [wrapper]:
                found.append(f"{where}: want one {wrapper}, got {[name(c) for c in children]}")
                return found
            children = list(children[0])
    if shape is None:
        # EC2 answers <return>true</return> to what has no output.
        extra = [name(c) for c in children if not (protocol == "ec2" and name(c) == "return")]
        return found + [f"{where}: has no output, got {extra}"] * bool(extra)
    return found + list(xml_members(shape, children, protocol, where))


def name(element):
    return element.tag.rpartition("}")[2]


def xml_members(shape, children, protocol, where):
    by_name = {m.serialization.get("name", n): m for n, m in shape.members.items()}
    seen = set()
    for child in children:
        tag = name(child)
        if tag not in by_name:
            if not (protocol == "ec2" and tag == "return"):
                yield f"{where}.{tag}: is not in AWS's model"
            continue
        member = by_name[tag]
        flat = member.type_name == "list" and member.serialization.get("flattened")
        if tag in seen and not flat:
            yield f"{where}.{tag}: is there twice"
        seen.add(tag)
        yield from xml_value(member, child, protocol, f"{where}.{tag}")


def xml_value(shape, element, protocol, where):
    kind = shape.type_name
    value = element.text or ""
    if kind == "structure":
        yield from xml_members(shape, element, protocol, where)
    elif kind == "list":
        want = shape.member.serialization.get("name", "member")
        for i, item in enumerate(element):
            if name(item) != want:
                yield f"{where}[{i}]: the element is {name(item)}, want {want}"
            yield from xml_value(shape.member, item, protocol, f"{where}[{i}]")
    elif len(element):
        yield f"{where}: want text, got elements"
    elif kind == "string":
        yield from text(shape, value, where)
    elif kind == "boolean" and value not in ("true", "false"):
        yield f"{where}: want true or false, got {value!r}"
    elif kind in ("integer", "long") and not re.fullmatch(r"-?\d+", value):
        yield f"{where}: want a number, got {value!r}"
    elif kind == "timestamp" and not ISO8601.match(value):
        yield f"{where}: want ISO 8601, got {value!r}"
