"""What Reflex and its socket write into our log about a message that makes no sense: that it came, never what it said.

Anyone who speaks to the socket may send such a message. So may a page that was open while a new version was put in
place: it calls a handler that is not there any more, with all that its person had typed into the form.
"""

import logging
import re

from reflex_base.utils.exceptions import EventDeserializationError

LOGGERS = (
    "engineio.server",
    "socketio.server",
    "reflex.app",
    "reflex_base.event.processor.event_processor",
    "reflex_base.event.processor.base_state_processor",
)
QUOTES = re.compile(r" for Event\(| Event data: |(?<=payload for handler)[^:]*: ")  # what was sent stands behind one
SENSELESS = (EventDeserializationError, KeyError)  # their words are the message's own


class _Unquoted(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = QUOTES.split(record.getMessage(), maxsplit=1)[0], ()
        if record.exc_info and isinstance(record.exc_info[1], SENSELESS):
            record.msg, record.exc_info = f"{record.msg} ({type(record.exc_info[1]).__name__})", None
        return True


def mind() -> None:
    """Have these loggers quote nothing, and write through our own handler only: theirs writes lines as they come."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.filters[:] = [_Unquoted()]
