"""Every route and every socket message names the act of people/policy.py it is; a route whose verb
judges by several acts names them all.

The domain verb behind it refuses by that act; here is what makes forgetting impossible: an app with
a nameless route, or with a route that takes nobody although its act is not for everybody, is never
made. OPTIONS answers, which only name the methods of a path, are Litestar's own.
"""

from collections.abc import Iterable, Mapping
from typing import Any, get_args

from litestar import Litestar
from litestar.handlers import BaseRouteHandler
from litestar.routes import ASGIRoute, HTTPRoute, WebSocketRoute

from people.policy import ACTS, Act, Reach

# Dependencies that stand for somebody: a session's person, a device's token.
SOMEBODY = frozenset({"caller", "sender", "device"})


class NamelessRoute(Exception):  # noqa: N818 - a refusal to start, named as the fact
    """A route or message without a policy act, or one that asks nobody who he is."""


def for_anyone(act: Act) -> bool:
    """Whether the policy gives `act` without asking who acts."""
    return any(rule.reach is Reach.ANYONE for rule in ACTS.get(act, ()))


def acts_of(opt: Mapping[str, Any]) -> tuple[Act, ...]:
    """The acts that a handler's options name; none when they name anything else."""
    named = opt.get("act")
    acts = named if isinstance(named, tuple) else (named,)
    return acts if all(isinstance(act, Act) for act in acts) else ()


def takes_anyone(acts: Iterable[Act]) -> bool:
    """Whether a route that names these asks nobody who he is."""
    return all(map(for_anyone, acts))


def check_routes(app: Litestar) -> None:
    """Raise NamelessRoute for the first handler without an act."""
    for route in app.routes:
        if isinstance(route, ASGIRoute):
            raise NamelessRoute(f"{route.path}: a bare ASGI route cannot name a policy act")
        for handler in _handlers(route):
            _check(route.path, handler)


def check_messages(acts: Mapping[type, Act], union: Any) -> None:
    """Raise NamelessRoute for the first message of `union` without an act."""
    for message in get_args(union):
        if message not in acts:
            raise NamelessRoute(f"message {message.__name__} names no policy act")


def _handlers(route: HTTPRoute | WebSocketRoute) -> Iterable[BaseRouteHandler]:
    if isinstance(route, WebSocketRoute):
        return [route.route_handler]
    return [h for h in route.route_handlers if set(h.http_methods) != {"OPTIONS"}]


def _check(path: str, handler: BaseRouteHandler) -> None:
    acts = acts_of(handler.opt)
    if not acts:
        raise NamelessRoute(f"{path}: {handler.handler_name} names no policy act")
    if takes_anyone(acts) or handler.opt.get("hello_names_actor"):
        return
    if not SOMEBODY & handler.parsed_fn_signature.parameters.keys():
        raise NamelessRoute(f"{path}: {handler.handler_name} asks nobody who he is")
