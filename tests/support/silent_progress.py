"""A check that nobody watches."""


class Silent:
    def begin(self, doing: str, total: int) -> None: ...

    def at(self, done: int) -> None: ...
