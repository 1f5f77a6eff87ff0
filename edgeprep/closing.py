"""What is closed at the end of a `with` block."""

from abc import ABC, abstractmethod
from typing import Self

__all__ = ["Closing"]


class Closing(ABC):
    """Holds something until `close()`, or the end of a `with` block, however that comes."""

    @abstractmethod
    def close(self) -> None:
        """Let go of it. Calling it again does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        self.close()
