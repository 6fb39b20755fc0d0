# mypy: disable-error-code="misc, type-arg, metaclass"
# ruff: noqa
# fmt: off
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FollowRequest(_message.Message):
    __slots__ = ("from_seq",)
    FROM_SEQ_FIELD_NUMBER: _ClassVar[int]
    from_seq: int
    def __init__(self, from_seq: _Optional[int] = ...) -> None: ...

class Followed(_message.Message):
    __slots__ = ("frames", "ending")
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    ENDING_FIELD_NUMBER: _ClassVar[int]
    frames: Frames
    ending: Ending
    def __init__(self, frames: _Optional[_Union[Frames, _Mapping]] = ..., ending: _Optional[_Union[Ending, _Mapping]] = ...) -> None: ...

class Frames(_message.Message):
    __slots__ = ("first_seq", "count", "chain", "data")
    FIRST_SEQ_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    first_seq: int
    count: int
    chain: bytes
    data: bytes
    def __init__(self, first_seq: _Optional[int] = ..., count: _Optional[int] = ..., chain: _Optional[bytes] = ..., data: _Optional[bytes] = ...) -> None: ...

class Ending(_message.Message):
    __slots__ = ("state", "status", "reason", "person", "verdict", "exit_code", "run_file", "journal")
    STATE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PERSON_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    RUN_FILE_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_FIELD_NUMBER: _ClassVar[int]
    state: str
    status: str
    reason: str
    person: str
    verdict: str
    exit_code: int
    run_file: str
    journal: str
    def __init__(self, state: _Optional[str] = ..., status: _Optional[str] = ..., reason: _Optional[str] = ..., person: _Optional[str] = ..., verdict: _Optional[str] = ..., exit_code: _Optional[int] = ..., run_file: _Optional[str] = ..., journal: _Optional[str] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StatusReply(_message.Message):
    __slots__ = ("number", "state", "procedure", "station", "run_id", "run_file", "journal", "phase", "share_done", "elapsed_s", "planned_s", "controller", "followers", "prompts", "ending", "latched", "asked")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROCEDURE_FIELD_NUMBER: _ClassVar[int]
    STATION_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_FILE_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    SHARE_DONE_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_S_FIELD_NUMBER: _ClassVar[int]
    PLANNED_S_FIELD_NUMBER: _ClassVar[int]
    CONTROLLER_FIELD_NUMBER: _ClassVar[int]
    FOLLOWERS_FIELD_NUMBER: _ClassVar[int]
    PROMPTS_FIELD_NUMBER: _ClassVar[int]
    ENDING_FIELD_NUMBER: _ClassVar[int]
    LATCHED_FIELD_NUMBER: _ClassVar[int]
    ASKED_FIELD_NUMBER: _ClassVar[int]
    number: int
    state: str
    procedure: str
    station: str
    run_id: str
    run_file: str
    journal: str
    phase: str
    share_done: float
    elapsed_s: float
    planned_s: float
    controller: str
    followers: int
    prompts: _containers.RepeatedCompositeFieldContainer[Prompt]
    ending: Ending
    latched: _containers.RepeatedScalarFieldContainer[str]
    asked: int
    def __init__(self, number: _Optional[int] = ..., state: _Optional[str] = ..., procedure: _Optional[str] = ..., station: _Optional[str] = ..., run_id: _Optional[str] = ..., run_file: _Optional[str] = ..., journal: _Optional[str] = ..., phase: _Optional[str] = ..., share_done: _Optional[float] = ..., elapsed_s: _Optional[float] = ..., planned_s: _Optional[float] = ..., controller: _Optional[str] = ..., followers: _Optional[int] = ..., prompts: _Optional[_Iterable[_Union[Prompt, _Mapping]]] = ..., ending: _Optional[_Union[Ending, _Mapping]] = ..., latched: _Optional[_Iterable[str]] = ..., asked: _Optional[int] = ...) -> None: ...

class Prompt(_message.Message):
    __slots__ = ("key", "action", "text", "kind", "unit", "low", "high", "choices", "second_person", "details", "picture")
    KEY_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    CHOICES_FIELD_NUMBER: _ClassVar[int]
    SECOND_PERSON_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    key: str
    action: str
    text: str
    kind: str
    unit: str
    low: float
    high: float
    choices: _containers.RepeatedScalarFieldContainer[str]
    second_person: bool
    details: _containers.RepeatedCompositeFieldContainer[Detail]
    picture: str
    def __init__(self, key: _Optional[str] = ..., action: _Optional[str] = ..., text: _Optional[str] = ..., kind: _Optional[str] = ..., unit: _Optional[str] = ..., low: _Optional[float] = ..., high: _Optional[float] = ..., choices: _Optional[_Iterable[str]] = ..., second_person: _Optional[bool] = ..., details: _Optional[_Iterable[_Union[Detail, _Mapping]]] = ..., picture: _Optional[str] = ...) -> None: ...

class Detail(_message.Message):
    __slots__ = ("name", "number", "text")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    name: str
    number: float
    text: str
    def __init__(self, name: _Optional[str] = ..., number: _Optional[float] = ..., text: _Optional[str] = ...) -> None: ...

class CommandRequest(_message.Message):
    __slots__ = ("key", "lease", "person", "start", "pause", "resume", "stop", "note", "answer", "reset_interlock", "exclude")
    KEY_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    PERSON_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    RESET_INTERLOCK_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_FIELD_NUMBER: _ClassVar[int]
    key: str
    lease: str
    person: str
    start: Start
    pause: Pause
    resume: Resume
    stop: Halt
    note: Note
    answer: Answer
    reset_interlock: ResetInterlock
    exclude: Exclude
    def __init__(self, key: _Optional[str] = ..., lease: _Optional[str] = ..., person: _Optional[str] = ..., start: _Optional[_Union[Start, _Mapping]] = ..., pause: _Optional[_Union[Pause, _Mapping]] = ..., resume: _Optional[_Union[Resume, _Mapping]] = ..., stop: _Optional[_Union[Halt, _Mapping]] = ..., note: _Optional[_Union[Note, _Mapping]] = ..., answer: _Optional[_Union[Answer, _Mapping]] = ..., reset_interlock: _Optional[_Union[ResetInterlock, _Mapping]] = ..., exclude: _Optional[_Union[Exclude, _Mapping]] = ...) -> None: ...

class Start(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Pause(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Resume(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Halt(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class Note(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("prompt", "value", "second_person")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SECOND_PERSON_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    value: str
    second_person: str
    def __init__(self, prompt: _Optional[str] = ..., value: _Optional[str] = ..., second_person: _Optional[str] = ...) -> None: ...

class ResetInterlock(_message.Message):
    __slots__ = ("name", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    reason: str
    def __init__(self, name: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class Exclude(_message.Message):
    __slots__ = ("from_s", "to_s", "reason")
    FROM_S_FIELD_NUMBER: _ClassVar[int]
    TO_S_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    from_s: float
    to_s: float
    reason: str
    def __init__(self, from_s: _Optional[float] = ..., to_s: _Optional[float] = ..., reason: _Optional[str] = ...) -> None: ...

class CommandReply(_message.Message):
    __slots__ = ("outcome", "sentence")
    class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OUTCOME_UNSPECIFIED: _ClassVar[CommandReply.Outcome]
        ACCEPTED: _ClassVar[CommandReply.Outcome]
        REFUSED: _ClassVar[CommandReply.Outcome]
        PENDING: _ClassVar[CommandReply.Outcome]
    OUTCOME_UNSPECIFIED: CommandReply.Outcome
    ACCEPTED: CommandReply.Outcome
    REFUSED: CommandReply.Outcome
    PENDING: CommandReply.Outcome
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    outcome: CommandReply.Outcome
    sentence: str
    def __init__(self, outcome: _Optional[_Union[CommandReply.Outcome, str]] = ..., sentence: _Optional[str] = ...) -> None: ...

class StopRequest(_message.Message):
    __slots__ = ("key", "person", "reason")
    KEY_FIELD_NUMBER: _ClassVar[int]
    PERSON_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    key: str
    person: str
    reason: str
    def __init__(self, key: _Optional[str] = ..., person: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class LeaseRequest(_message.Message):
    __slots__ = ("wish", "person", "lease", "take_over")
    class Wish(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        WISH_UNSPECIFIED: _ClassVar[LeaseRequest.Wish]
        ACQUIRE: _ClassVar[LeaseRequest.Wish]
        RENEW: _ClassVar[LeaseRequest.Wish]
        RELEASE: _ClassVar[LeaseRequest.Wish]
    WISH_UNSPECIFIED: LeaseRequest.Wish
    ACQUIRE: LeaseRequest.Wish
    RENEW: LeaseRequest.Wish
    RELEASE: LeaseRequest.Wish
    WISH_FIELD_NUMBER: _ClassVar[int]
    PERSON_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    TAKE_OVER_FIELD_NUMBER: _ClassVar[int]
    wish: LeaseRequest.Wish
    person: str
    lease: str
    take_over: bool
    def __init__(self, wish: _Optional[_Union[LeaseRequest.Wish, str]] = ..., person: _Optional[str] = ..., lease: _Optional[str] = ..., take_over: _Optional[bool] = ...) -> None: ...

class LeaseReply(_message.Message):
    __slots__ = ("granted", "lease", "holder", "expires_s", "sentence")
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_S_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    granted: bool
    lease: str
    holder: str
    expires_s: float
    sentence: str
    def __init__(self, granted: _Optional[bool] = ..., lease: _Optional[str] = ..., holder: _Optional[str] = ..., expires_s: _Optional[float] = ..., sentence: _Optional[str] = ...) -> None: ...
