"""Protocol messages built at run time from a table of their fields.

So there is no generated code that must match the installed protobuf, and no clash with another
package's messages in the same process: every table has a descriptor pool of its own. Fields that
a table leaves out are skipped by the parser. Enums are declared as ``int32``, which they are on
the wire.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any


class MessageTable:
    """The messages of one table.

    Parameters
    ----------
    package : str
        The package that the messages are declared in.
    schema : str
        A line that is not indented opens a message: its fields follow as ``name=number type``, a
        ``*`` before the type of a repeated one and ``{}`` around the value type of a string-keyed
        map. Fields of one oneof carry its name behind the type.
    """

    def __init__(self, package: str, schema: str) -> None:
        self.package = package
        self.schema = schema
        # Messages are built when first asked for: most commands read no file of this kind.
        self.message_class = cache(self._message_class)
        self._pool: Any = None

    def _message_class(self, name: str) -> Any:
        from google.protobuf import message_factory

        if self._pool is None:
            self._pool = self._build()
        found = self._pool.FindMessageTypeByName(f"{self.package}.{name}")
        return message_factory.GetMessageClass(found)

    def _build(self) -> Any:
        from google.protobuf import descriptor_pb2, descriptor_pool

        file = descriptor_pb2.FileDescriptorProto(
            name=f"rnnscope/{self.package}.proto", package=self.package, syntax="proto3"
        )
        messages: dict[str, Any] = {}
        full_name = ""
        for line in filter(None, self.schema.splitlines()):
            if line.startswith(" "):
                for field in _FIELD.finditer(line):
                    self._add_field(messages[full_name], full_name, **field.groupdict())
            else:
                full_name = line
                parent, _, name = full_name.rpartition(".")
                siblings = messages[parent].nested_type if parent else file.message_type
                messages[full_name] = siblings.add(name=name)
        pool = descriptor_pool.DescriptorPool()
        pool.AddSerializedFile(file.SerializeToString())
        return pool

    def _add_field(
        self,
        message: Any,
        full_name: str,
        name: str,
        number: str,
        mark: str,
        kind: str,
        oneof: str | None,
    ) -> None:
        """Declare one field of the table in `message`."""
        label = _REPEATED if mark else _OPTIONAL
        field = message.field.add(name=name, number=int(number), label=label)
        if mark == "{":
            # protobuf's own spelling of a map: a repeated nested message of a key and a value.
            entry = message.nested_type.add(name=name.title().replace("_", "") + "Entry")
            entry.options.map_entry = True
            entry_name = f"{full_name}.{entry.name}"
            self._add_field(entry, entry_name, "key", "1", "", "string", None)
            self._add_field(entry, entry_name, "value", "2", "", kind, None)
            kind = entry_name
        field.type = _SCALARS.get(kind, _MESSAGE)
        if field.type == _MESSAGE:
            field.type_name = f".{self.package}.{kind}"
        if oneof:
            names = [declared.name for declared in message.oneof_decl]
            if oneof not in names:
                message.oneof_decl.add(name=oneof)
                names.append(oneof)
            field.oneof_index = names.index(oneof)


_FIELD = re.compile(
    r"(?P<name>\w+)=(?P<number>\d+) (?P<mark>[*{]?)(?P<kind>[\w.]+)}?(?::(?P<oneof>\w+))?"
)

# The numbers of FieldDescriptorProto.Type and Label.
_MESSAGE, _OPTIONAL, _REPEATED = 11, 1, 3
_SCALARS = {
    "double": 1, "float": 2, "int64": 3, "uint64": 4, "int32": 5, "fixed32": 7, "bool": 8,
    "string": 9, "bytes": 12, "uint32": 13,
}  # fmt: skip
