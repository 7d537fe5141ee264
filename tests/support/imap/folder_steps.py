"""Random commands on folders, those that nobody opens, and what each answer must be."""

from __future__ import annotations

from tests.support.imap.client import Answer
from tests.support.imap.mirror import Mirror, Step, ok
from tests.support.imap.model import SPARE, Folder
from tests.support.imap.steps import quoted


def create(mirror: Mirror) -> Step:
    model, name = mirror.model, mirror.chance.choice([*SPARE, "inbox"])
    taken = name in model.folders or name == "inbox"

    def check(answer: Answer) -> None:
        assert (answer.status, answer.code) == ("NO", "ALREADYEXISTS") if taken else answer.status == "OK"

    def act() -> None:
        if not taken:
            model.folders[name] = Folder()

    slash = "" if taken or mirror.chance.random() < 0.7 else "/"
    return Step(f"CREATE {quoted(name + slash)}", check, act)


def delete(mirror: Mirror) -> Step:
    model, name = mirror.model, mirror.chance.choice([*SPARE, "INBOX"])
    done = name in model.folders and name != "INBOX"

    def check(answer: Answer) -> None:
        assert answer.status == ("OK" if done else "NO"), answer

    def act() -> None:
        if done:
            del model.folders[name]

    return Step(f"DELETE {quoted(name)}", check, act)


def rename(mirror: Mirror) -> Step | None:
    source, target = mirror.chance.sample(SPARE, 2)
    if target.startswith(source + "/"):
        return None
    done: list[bool] = []

    def check(answer: Answer) -> None:
        assert answer.status == ("OK" if done[0] else "NO"), answer

    return Step(
        f"RENAME {quoted(source)} {quoted(target)}",
        check,
        lambda: done.append(mirror.model.rename(source, target)),
    )


def subscribe(mirror: Mirror) -> Step:
    model, name, on = mirror.model, mirror.chance.choice([*SPARE, "A", "Sent"]), mirror.chance.random() < 0.6
    known = name in model.folders or name in model.subscribed

    def act() -> None:
        if on and known:
            model.subscribed.add(name)
        elif not on:
            model.subscribed.discard(name)

    def check(answer: Answer) -> None:
        assert answer.status == ("OK" if known or not on else "NO"), answer

    return Step(f"{'SUBSCRIBE' if on else 'UNSUBSCRIBE'} {quoted(name)}", check, act)


def listing(mirror: Mirror) -> Step:
    verb, pattern = mirror.chance.choice([("LIST", "*"), ("LIST", "%"), ("LSUB", "*")])
    expected: dict[str, frozenset[str]] = {}

    def act() -> None:
        model = mirror.model
        expected.update(model.lsubbed() if verb == "LSUB" else model.listed(one_level=pattern == "%"))

    def check(answer: Answer) -> None:
        ok(answer)
        lines = answer.named(verb)
        told = {line.values[2].decode(): frozenset(map(str, line.values[0])) for line in lines}
        assert len(told) == len(lines)
        assert told == {quoted(name)[1:-1]: attributes for name, attributes in expected.items()}

    return Step(f'{verb} "" "{pattern}"', check, act)
