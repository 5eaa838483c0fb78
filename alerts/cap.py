"""An alert as Common Alerting Protocol 1.2 (OASIS, 2010). Values only, no sending.

Times have an offset and no fraction. What follows a first message refers to it by sender, identifier and time sent.
"""

from datetime import UTC, datetime
from xml.etree import ElementTree

import msgspec

from alerts.wire import xml_text

DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
SEVERITY = {"critical": "Extreme", "major": "Severe", "minor": "Moderate", "information": "Minor"}
KINDS = {"raised": "Alert", "updated": "Update", "cleared": "Cancel"}
CERTAIN, LIKELY = 0.99, 0.5
LEAST_KM = 0.01


def cap_alert(body: bytes, sender: str, status: str) -> bytes:
    """The XML of a delivery's body. `status` is Actual, Exercise, System or Test."""
    record = msgspec.json.decode(body)
    alert = ElementTree.Element("alert", xmlns=NAMESPACE)
    first = record["first_told"]
    _add(alert, "identifier", record["delivery"])
    _add(alert, "sender", sender)
    _add(alert, "sent", _time(record["told"]))
    _add(alert, "status", status)
    _add(alert, "msgType", KINDS[record["phase"]])
    _add(alert, "scope", "Restricted")
    _add(alert, "restriction", "For the agencies that it is addressed to.")
    _add(alert, "addresses", " ".join(f'"{agency}"' if " " in agency else agency for agency in record["agencies"]))
    if record["phase"] != "raised":
        _add(alert, "references", f"{sender},{first['delivery']},{_time(first['time'])}")
    _add(alert, "incidents", record["alert"])
    alert.append(_info(record))
    return DECLARATION + ElementTree.tostring(alert, encoding="unicode").encode()


def _info(record: dict[str, object]) -> ElementTree.Element:
    reason = record["reason"]
    assert isinstance(reason, dict)
    headline, _, seen = str(record["text"]).partition("\n")
    info, probability = ElementTree.Element("info"), float(reason["probability"])
    _add(info, "language", "en")
    _add(info, "category", "Security")
    _add(info, "event", str(reason["kind"]).replace("_", " "))
    _add(info, "urgency", "Past" if record["phase"] == "cleared" else "Immediate")
    _add(info, "severity", SEVERITY[str(record["severity"])])
    _add(info, "certainty", "Observed" if probability >= CERTAIN else "Likely" if probability > LIKELY else "Possible")
    _add(info, "onset", _time(str(record["observed"])))
    _add(info, "headline", headline)
    _add(info, "description", seen)
    for name in ("rule", "status"):
        parameter = ElementTree.SubElement(info, "parameter")
        _add(parameter, "valueName", f"marchwarden:{name}")
        _add(parameter, "value", str(record[name]))
    area = ElementTree.SubElement(info, "area")
    _add(area, "areaDesc", str(record["zone"]) or "as the circle shows")
    km = max(2 * float(str(record["sigma_m"])) / 1000, LEAST_KM)
    _add(area, "circle", f"{record['lat']},{record['lon']} {km:.3f}")
    return info


def _add(parent: ElementTree.Element, name: str, text: str) -> None:
    ElementTree.SubElement(parent, name).text = xml_text(text)


def _time(iso: str) -> str:
    moment = datetime.fromisoformat(iso).astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S-00:00")
