"""Payloads and data in types of the application's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def to_dict(value: object) -> dict[str, Any]:
    """The dict that a mapping, a dataclass or a Pydantic model is."""
    if isinstance(value, dict):
        return value
    dump: Callable[..., dict[str, Any]] | None = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(
        "a payload or data must be a dict, a dataclass or a Pydantic model, "
        f"not {type(value).__name__}"
    )


def from_dict(shape: type[T], value: dict[str, Any]) -> T:
    """The value as a dataclass, a TypedDict or a Pydantic model.

    Raises ValueError or TypeError if it has another shape. Without Pydantic, a dataclass alone
    can be made, and the types of its fields are not checked.
    """
    try:
        from pydantic import TypeAdapter
    except ImportError:
        if dataclasses.is_dataclass(shape):
            return shape(**value)
        raise TypeError(
            f"{shape.__name__} is no dataclass: install pydantic for other shapes"
        ) from None
    return TypeAdapter(shape).validate_python(value)
