"""The base of every section of a configuration: frozen, closed, and judged as a whole, all faults at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, Self, TypeAlias, cast, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ModelWrapValidatorHandler,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

from forecasting.config import wording

__all__ = ["Fault", "Rule", "Section", "by_default", "faults_of", "tagged"]


class Fault(NamedTuple):
    """What is wrong, and where: keys from the section on, with dots between them; empty for the whole section."""

    place: str
    sentence: str

    def __str__(self) -> str:
        """As one line."""
        return f"{self.place}: {self.sentence}" if self.place else self.sentence


Rule: TypeAlias = Callable[[Any], Iterable[Fault]]


class _UnjudgedError(Exception):
    """A rule reads a key that is wrong itself, so nothing can be said of it yet."""


class Section(BaseModel):
    """Part of a configuration.

    Frozen, and an unknown key is an error. `RULES` are conflicts between its keys; an invalid key silences only the
    rules that read it.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        protected_namespaces=(),
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )

    RULES: ClassVar[tuple[Rule, ...]] = ()

    if not TYPE_CHECKING:  # a type checker would take any attribute for known

        def __getattr__(self, name: str) -> Any:
            """Only keys that are missing come here: those of a section of which some keys are wrong."""
            if name in type(self).model_fields:
                raise _UnjudgedError(name)
            return super().__getattr__(name)

    @model_validator(mode="wrap")
    @classmethod
    def _judge(cls, content: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        content = cls._complete(content)
        found: list[Fault] = []
        try:
            section: Self = handler(content)
        except ValidationError as error:
            section, found = cls._right_part(content), _worded(cls, content, error)
        if traps := _truth_values(cls, content, {fault.place for fault in found}):
            section, found = cls._right_part(content), [*found, *traps]
        found += _broken(cls.RULES, section)
        if found:
            raise ValidationError.from_exception_data(cls.__name__, [_detail(fault) for fault in found])
        return section

    @classmethod
    def _complete(cls, content: Any) -> Any:
        """The content with what is left out, where that depends on what is there."""
        return content

    @classmethod
    def _right_part(cls, content: Any) -> Self:
        """The section with those keys alone that are right by themselves."""
        given, right = cls._complete(content), {}
        for name, field in cls.model_fields.items() if isinstance(given, dict) else ():
            with suppress(ValidationError, _UnjudgedError):
                if name in given:
                    right[name] = _value(cls, name, given[name])
                elif not field.is_required():
                    right[name] = field.get_default(call_default_factory=True)
        written = set(right) & set(given) if isinstance(given, dict) else set()
        section = cast(Self, cls.model_construct(_fields_set=written, **right))
        for name in cls.model_fields.keys() - right.keys():  # its default, which is not what was written
            section.__dict__.pop(name, None)
        return section


def faults_of(error: ValidationError) -> list[Fault]:
    """The faults that sections have found, each with its place from the top."""
    return [Fault(".".join(map(str, item["loc"])), item["msg"]) for item in error.errors(include_url=False)]


def by_default(key: str, value: str) -> BeforeValidator:
    """A section that does not say of which kind it is, is of this one."""
    return BeforeValidator(lambda content: {key: value, **content} if isinstance(content, dict) else content)


def tagged(key: str) -> ConfigDict:
    """For a section that is one of several kinds: require `key`, which picks the kind."""

    def require(schema: dict[str, Any]) -> None:
        schema["required"] = [key, *schema.get("required", ())]

    return ConfigDict(json_schema_extra=require)


_WORDED = "fault"  # the type of an error that has its sentence already


def _broken(rules: Iterable[Rule], section: Section) -> list[Fault]:
    """What the rules say of a section, of which some keys may be missing."""
    found: list[Fault] = []
    for rule in rules:
        with suppress(_UnjudgedError):
            found.extend(rule(section))
    return found


def _detail(fault: Fault) -> InitErrorDetails:
    error = PydanticCustomError(_WORDED, "{sentence}", {"sentence": fault.sentence})
    return InitErrorDetails(type=error, loc=tuple(fault.place.split(".")) if fault.place else (), input=None)


def _worded(cls: type[Section], content: Any, error: ValidationError) -> list[Fault]:
    """The errors of pydantic in our words."""
    found: list[Fault] = []
    for item in error.errors(include_url=False):
        loc = item["loc"]
        if item["type"] == _WORDED:  # by a part of this section; what picks its kind is not part of the place
            field = cls.model_fields[str(loc[0])]
            keys = loc if field.discriminator is None else (loc[0], *loc[2:])
            found.append(Fault(".".join(map(str, keys)), item["msg"]))
            continue
        fault = Fault(*wording.fault(cls, content, item))
        # pydantic tells each member of a union, and a list without its wrong items may be too short besides
        if not any(f"{known.place}.".startswith(f"{fault.place}.") for known in found):
            found.append(fault)
    return found


def _truth_values(cls: type[Section], content: Any, known: set[str]) -> list[Fault]:
    """Keys that hold true or false where a number belongs: pydantic would read 1 or 0."""
    return [
        Fault(name, wording.unfit(cls, (name,), value))
        for name, value in (content.items() if isinstance(content, dict) else ())
        if name in cls.model_fields and name not in known and _is_trap(cls.model_fields[name], value)
    ]


def _is_trap(field: FieldInfo, value: Any) -> bool:
    values = value if isinstance(value, list | tuple) else [value]
    return any(isinstance(each, bool) for each in values) and not _mentions(field.annotation, bool)


def _mentions(annotation: Any, wanted: type) -> bool:
    return annotation is wanted or any(_mentions(each, wanted) for each in get_args(annotation))


def _value(cls: type[Section], name: str, value: Any) -> Any:
    """A value as the key takes it; of a section, the part that is right."""
    field = cls.model_fields[name]
    if _is_trap(field, value):
        raise _UnjudgedError
    section = _section(field, value)
    if section is not None and isinstance(value, dict):
        return section._right_part(value)
    return _adapter(cls, name).validate_python(value)


@cache
def _adapter(cls: type[Section], name: str) -> TypeAdapter[Any]:
    field = cls.model_fields[name]
    annotation: Any = Annotated[field.annotation, field]
    return TypeAdapter(annotation)


def _section(field: FieldInfo, value: Any) -> type[Section] | None:
    """The section that a field holds; of several kinds, the one that the value names, else the default."""
    kinds = [each for each in (field.annotation, *get_args(field.annotation)) if _is_section(each)]
    if len(kinds) < 2:
        return kinds[0] if kinds else None
    key = str(field.discriminator)
    name = value.get(key, getattr(field.default, key, None)) if isinstance(value, dict) else None
    return next((kind for kind in kinds if key in kind.model_fields and name in _names(kind, key)), None)


def _names(kind: type[Section], key: str) -> tuple[Any, ...]:
    return get_args(kind.model_fields[key].annotation)


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Section)
