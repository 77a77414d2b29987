"""Code that points an app or a page here, ready to paste. Pure.

Every value is written as a literal of its language, so that no name, however odd, can end it.

Source: Mobile Core API reference, ``updateConfiguration`` and ``registerExtensions`` (Kotlin,
Swift); Web SDK, ``configure``; the lexical grammars of Kotlin, Swift and ECMAScript.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from service.catalog.datastreams import DefaultConsent
from service.catalog.mobile_settings import Extension
from service.catalog.sdk_configuration import App, configuration

BUNDLED_NAME = "ADBMobileConfig.json"
_ANDROID = "com.adobe.marketing.mobile"
_KOTLIN_CLASSES = {
    Extension.EDGE_IDENTITY: f"{_ANDROID}.edge.identity.Identity",
    Extension.EDGE: f"{_ANDROID}.Edge",
    Extension.CONSENT: f"{_ANDROID}.edge.consent.Consent",
    Extension.MESSAGING: f"{_ANDROID}.Messaging",
    Extension.LIFECYCLE: f"{_ANDROID}.Lifecycle",
}
_SWIFT_TYPES = {
    Extension.EDGE_IDENTITY: ("AEPEdgeIdentity", "Identity"),
    Extension.EDGE: ("AEPEdge", "Edge"),
    Extension.CONSENT: ("AEPEdgeConsent", "Consent"),
    Extension.MESSAGING: ("AEPMessaging", "Messaging"),
    Extension.LIFECYCLE: ("AEPLifecycle", "Lifecycle"),
}
_NAMED = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


@dataclass(frozen=True, slots=True)
class Page:
    """What a site's pages are told."""

    datastream_id: UUID
    org_id: str
    edge_domain: str
    default_consent: DefaultConsent


def kotlin(title: str, app: App) -> str:
    """Return what an Android app runs once, in ``Application.onCreate``."""
    return _lines(
        f"// {_comment(title)}: in Application.onCreate",
        f"{_ANDROID}.MobileCore.setApplication(this)",
        f"{_ANDROID}.MobileCore.updateConfiguration(",
        "    mapOf(",
        *(
            f"        {_kotlin(key)} to {_kotlin(value)},"
            for key, value in configuration(app).items()
        ),
        "    )",
        ")",
        f"{_ANDROID}.MobileCore.registerExtensions(",
        "    listOf(",
        *(f"        {_KOTLIN_CLASSES[each]}.EXTENSION," for each in _registered(app)),
        "    )",
        ") {}",
    )


def swift(title: str, app: App) -> str:
    """Return what an iOS app runs once, in ``application(_:didFinishLaunchingWithOptions:)``."""
    types = [_SWIFT_TYPES[each] for each in _registered(app)]
    return _lines(
        f"// {_comment(title)}: the imports at the top of the file, the rest in",
        "// application(_:didFinishLaunchingWithOptions:)",
        "import AEPCore",
        *(f"import {module}" for module, _ in types),
        "",
        "MobileCore.updateConfigurationWith(configDict: [",
        *(f"    {_swift(key)}: {_swift(value)}," for key, value in configuration(app).items()),
        "])",
        "MobileCore.registerExtensions([",
        *(f"    {module}.{name}.self," for module, name in types),
        "])",
    )


def bundled(app: App) -> str:
    """Return the file that an app may carry under ``BUNDLED_NAME`` instead of code."""
    return msgspec.json.format(msgspec.json.encode(configuration(app)), indent=2).decode() + "\n"


def alloy(title: str, page: Page) -> str:
    """Return what a page runs once the Web SDK is loaded.

    Third-party cookies are off because the SDK would ask Adobe's own host for the identity first.
    """
    settings = {
        "datastreamId": str(page.datastream_id),
        "orgId": page.org_id,
        "edgeDomain": page.edge_domain,
        "edgeBasePath": "ee",
        "thirdPartyCookiesEnabled": False,
        "idMigrationEnabled": False,
        "defaultConsent": page.default_consent.value,
    }
    return _lines(
        f"// {_comment(title)}",
        'alloy("configure", {',
        *(f"  {name}: {_javascript(value)}," for name, value in settings.items()),
        "});",
    )


def kotlin_text(text: str) -> str:
    """Return a Kotlin string literal; a dollar would begin a template."""
    return _quoted(text, {**_NAMED, "$": "\\$"}, _units)


def swift_text(text: str) -> str:
    """Return a Swift string literal; interpolation begins with the backslash."""
    return _quoted(text, _NAMED, lambda character: f"\\u{{{ord(character):X}}}")


def javascript_text(text: str) -> str:
    """Return an ECMAScript string literal, which may also stand inside a ``script`` element."""
    return _quoted(text, {**_NAMED, "<": "\\u003C"}, _units)


def _registered(app: App) -> list[Extension]:
    return [each for each in app.extensions if each is not Extension.CORE]


def _kotlin(value: Any) -> str:
    return _literal(
        value, kotlin_text, lambda pairs: f"mapOf({', '.join(f'{k} to {v}' for k, v in pairs)})"
    )


def _swift(value: Any) -> str:
    return _literal(
        value, swift_text, lambda pairs: f"[{', '.join(f'{k}: {v}' for k, v in pairs)}]"
    )


def _javascript(value: Any) -> str:
    return _literal(
        value, javascript_text, lambda pairs: f"{{{', '.join(f'{k}: {v}' for k, v in pairs)}}}"
    )


def _literal(
    value: Any,
    text: Callable[[str], str],
    mapping: Callable[[list[tuple[str, str]]], str],
) -> str:
    """Return a literal; the three languages spell truth and whole numbers alike."""
    if isinstance(value, dict):
        return mapping([(text(key), _literal(each, text, mapping)) for key, each in value.items()])
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else text(value)


def _quoted(text: str, named: dict[str, str], numbered: Callable[[str], str]) -> str:
    """Return text in quotes; what cannot be seen, line ends of Unicode too, is numbered."""
    spelled = (named.get(each) or (each if each.isprintable() else numbered(each)) for each in text)
    return f'"{"".join(spelled)}"'


def _units(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex().upper()}" for i in range(0, len(units), 2))


def _comment(text: str) -> str:
    """Return text that cannot end a line comment or a ``script`` element around it."""
    shown = (each if each.isprintable() else " " for each in text.replace("<", "&lt;"))
    return "".join(shown)


def _lines(*lines: str) -> str:
    return "\n".join(lines) + "\n"
