"""How the simulated driver says no: DAQmx status codes and what they mean, in our own words."""

from __future__ import annotations

from nidaqmx.error_codes import DAQmxErrors, DAQmxWarnings

DEVICE_GONE = DAQmxErrors.DEV_CANNOT_BE_ACCESSED  # -201003
MODULE_GONE = DAQmxErrors.RESOURCE_NOT_IN_POOL_ROUTING  # -88708
ABORTED = DAQmxErrors.RUNTIME_ABORTED_ROUTING  # -88709
RESERVED = DAQmxErrors.PAL_RESOURCE_RESERVED  # -50103
OVERRUN = DAQmxErrors.SAMPLES_NO_LONGER_AVAILABLE  # -200279
NOT_YET = DAQmxErrors.SAMPLES_NOT_YET_AVAILABLE  # -200284
NEVER = DAQmxErrors.SAMPLES_WILL_NEVER_BE_AVAILABLE  # -200278
NOT_APPLICABLE = DAQmxErrors.ATTRIBUTE_NOT_SUPPORTED_IN_TASK_CONTEXT  # -200452
BAD_VALUE = DAQmxErrors.INVALID_ATTRIBUTE_VALUE  # -200077
STARVED = DAQmxErrors.GEN_STOPPED_TO_PREVENT_REGEN_OF_OLD_SAMPLES  # -200290
NO_TASK = DAQmxErrors.INVALID_TASK  # -200088

TEXTS: dict[int, str] = {
    DEVICE_GONE: "Device cannot be accessed: it is not connected, not powered, or not ready.",
    MODULE_GONE: "The resource is not there: the module was removed from its chassis.",
    ABORTED: "The operation was aborted because the device was reset.",
    RESERVED: "The specified resource is reserved by another task.",
    OVERRUN: "The application did not keep up with the acquisition: samples were overwritten before they were read.",
    NOT_YET: "Some or all of the samples requested have not yet been acquired.",
    NEVER: "The samples requested will never be acquired: the acquisition has stopped.",
    NOT_APPLICABLE: "The property is not supported by the channels, the device or the state of the task.",
    BAD_VALUE: "The requested value is not a supported value for this property.",
    STARVED: "The generation has stopped: no new samples were written in time, and the old ones must not be repeated.",
    NO_TASK: "The task is invalid or does not exist.",
    DAQmxErrors.INVALID_DEVICE_ID: "The device identifier is invalid.",
    DAQmxErrors.PHYSICAL_CHAN_DOES_NOT_EXIST: "The physical channel does not exist on this device.",
    DAQmxErrors.PHYS_CHAN_MEAS_TYPE: "The measurement type is not supported by this physical channel.",
    DAQmxErrors.CAN_NOT_PERFORM_OP_WHEN_NO_CHANS_IN_TASK: "The operation needs a channel, and the task has none.",
    DAQmxErrors.CAN_NOT_PERFORM_OP_WHILE_TASK_RUNNING: "The operation is not possible while the task is running.",
    DAQmxErrors.WAIT_UNTIL_DONE_DOES_NOT_INDICATE_DONE: "The task was not done within the time to wait.",
    DAQmxErrors.INVALID_AO_DATA_WRITE: "The value to write is outside the range of the output.",
    DAQmxErrors.READ_CHAN_TYPE_MISMATCH: "This kind of read does not fit the channels of the task.",
    DAQmxErrors.CHAN_NOT_IN_TASK: "The channel is not in the task.",
    DAQmxErrors.CHAN_ALREADY_IN_TASK: "A channel of this name is in the task already.",
    DAQmxErrors.MIN_NOT_LESS_THAN_MAX: "The minimum is not less than the maximum.",
    DAQmxErrors.MIN_MAX_OUTSIDE_TABLE_RANGE: (
        "The minimum and the maximum are not within the smallest and the largest physical value of the table."
    ),
    DAQmxErrors.RESOURCE_ALREADY_RESERVED: "No timing engine of the chassis is free for this task.",
    DAQmxErrors.WATCHDOG_TIMER_NOT_SUPPORTED: "The device has no watchdog timer.",
    DAQmxErrors.WATCHDOG_TIMEOUT_OUT_OF_RANGE_AND_NOT_SPECIAL_VAL: "The watchdog's timeout is out of range.",
    DAQmxErrors.CHASSIS_WATCHDOG_TIMER_EXPIRED: "The watchdog timer of the chassis has expired; reset the chassis.",
    DAQmxErrors.WRITE_FAILED_BECAUSE_WATCHDOG_EXPIRED: "The write failed because the watchdog timer has expired.",
    DAQmxErrors.CANT_RESET_EXPIRED_WATCHDOG: "The watchdog timer has expired and cannot be reset; clear it first.",
    DAQmxErrors.CANT_RESERVE_WATCHDOG_TASK_WHILE_OTHER_TASKS_RESERVED: (
        "The watchdog timer cannot be started while other tasks have resources of the chassis."
    ),
    DAQmxErrors.ACTION_NOT_SUPPORTED_TASK_NOT_WATCHDOG: "The task is not that of a watchdog timer.",
    DAQmxErrors.OUTPUT_BUFFER_EMPTY: "The generation cannot start: nothing has been written into its buffer.",
    DAQmxErrors.NO_MORE_SPACE: "The samples do not fit into the buffer of the task, which is not running.",
    DAQmxErrors.INVALID_TERM_ROUTING: "The terminal does not exist, or the device has none of this name.",
    DAQmxErrors.INVALID_TIMING_TYPE: "The timing does not fit the channels of the task.",
    DAQmxErrors.INVALID_ANALOG_TRIG_SRC: "The source of the analog trigger is no channel of the task.",
    DAQmxErrors.REF_TRIG_WHEN_CONTINUOUS: "A reference trigger ends an acquisition; the task must be finite.",
    DAQmxErrors.TOO_MANY_PRETRIG_PLUS_MIN_POST_TRIG_SAMPS: (
        "There must be two samples at least on each side of the reference trigger."
    ),
    DAQmxErrors.NO_REF_TRIG_CONFIGURED: "The task has no reference trigger to which a read could be relative.",
    DAQmxErrors.CHANGE_DETECTION_CHAN_NOT_IN_TASK: "A line for change detection is not in the task.",
    DAQmxErrors.NO_CHANS_SPECD_FOR_CHANGE_DETECT: "Change detection needs a line.",
    DAQmxErrors.NO_CHANGE_DETECTION_ON_SELECTED_LINE_FOR_DEVICE: "The device does not detect changes of its lines.",
    DAQmxErrors.CANNOT_REGISTER_DA_QMX_SOFTWARE_EVENT_WHILE_TASK_IS_RUNNING: (
        "An event cannot be registered for while the task is running."
    ),
    DAQmxErrors.AUTO_START_READ_NOT_ALLOWED_EVENT_REGISTERED: (
        "A read does not start a task for whose events somebody has registered; start it first."
    ),
    DAQmxErrors.AUTO_START_WRITE_NOT_ALLOWED_EVENT_REGISTERED: (
        "A write does not start a task for whose events somebody has registered; start it."
    ),
    DAQmxErrors.DONE_EVENT_ALREADY_REGISTERED: "The done event of this task is registered for already.",
    DAQmxErrors.EVERY_N_SAMPS_ACQ_INTO_BUFFER_EVENT_ALREADY_REGISTERED: "This event is registered for already.",
    DAQmxErrors.EVERY_N_SAMPS_TRANSFERRED_FROM_BUFFER_EVENT_ALREADY_REGISTERED: "This event is registered for already.",
    DAQmxErrors.SIGNAL_EVENT_ALREADY_REGISTERED: "The event of this signal is registered for already.",
    DAQmxErrors.EVERY_N_SAMPLES_ACQ_INTO_BUFFER_EVENT_NOT_SUPPORTED_BY_DEVICE: "An output acquires no samples.",
    DAQmxErrors.EVERY_N_SAMPS_TRANSFERRED_FROM_BUFFER_EVENT_NOT_SUPPORTED_BY_DEVICE: "An input generates no samples.",
    DAQmxErrors.EVERY_N_SAMPS_EVENT_INTERVAL_ZERO_NOT_SUPPORTED: "An event comes every sample at most.",
    DAQmxErrors.EVERY_N_SAMPLES_EVENT_NOT_SUPPORTED_FOR_NON_BUFFERED_TASKS: (
        "A task without timing has no buffer whose samples could be counted."
    ),
    DAQmxErrors.DA_QMX_SIGNAL_EVENT_TYPE_NOT_SUPPORTED_BY_CHAN_TYPES_OR_DEVICES_IN_TASK: (
        "The channels of the task do not give this signal."
    ),
    DAQmxErrors.BRIDGE_SHUNT_CA_NOT_SUPPORTED: "The device or channel has no shunt calibration of a bridge.",
    DAQmxErrors.STRAIN_SHUNT_CA_NOT_SUPPORTED: "The device or channel has no shunt calibration of a strain gage.",
    DAQmxErrors.SHUNT_CAL_FAILED_OUT_OF_RANGE: "The shunt did not change the bridge as it should.",
    DAQmxErrors.TEDS_SENSOR_NOT_DETECTED: "No sensor with TEDS was found at the physical channel.",
    DAQmxErrors.TEDS_NOT_SUPPORTED: "The device does not read TEDS.",
    DAQmxErrors.CUSTOM_SCALE_DOES_NOT_EXIST: "There is no custom scale of this name.",
    DAQmxErrors.CANNOT_WRITE_WHEN_AUTO_START_FALSE_AND_TASK_NOT_RUNNING: (
        "A write without timing needs a task that runs, or that it may start."
    ),
    DAQmxErrors.SAMPLES_CAN_NOT_YET_BE_WRITTEN: "The samples cannot be written yet.",
    DAQmxErrors.LOGGING_MODE_NOT_SUPPORTED_NON_BUFFERED: "A task without timing has no buffer that could be logged.",
    DAQmxErrors.ATTRIBUTE_NOT_SUPPORTED_WHEN_LOGGING: "A task that logs is read from the current position on.",
    DAQmxErrors.READ_NOT_SUPPORTED_FOR_LOGGING_MODE: (
        "The task only logs; read its file, or log in the mode in which it can be read too."
    ),
    DAQmxErrors.FILE_WRITE_PROTECTED: "The file may not be written.",
    DAQmxErrors.FILE_VERSION_MISMATCH: "What is to be extended is no TDMS file.",
    DAQmxErrors.FILE_PATH_INVALID: "There is no such file or folder on the computer of the server.",
    DAQmxErrors.DISK_FULL: "The disk of the server's computer is full.",
    DAQmxErrors.MEASUREMENT_TYPE_NOT_SUPPORTED_FOR_LOGGING: "Pairs, as this counter measures, are not logged.",
    DAQmxErrors.GENERIC_FILE_IO: "The file cannot be opened or written.",
    DAQmxErrors.TDMS_NOT_FOUND: "The server cannot write TDMS files: the Python package npTDMS is not installed there.",
    DAQmxErrors.FILE_ALREADY_OPENED_FOR_WRITE: "Another task is writing to this file.",
    DAQmxErrors.MEAS_TYPE_OR_CHANNEL_NOT_SUPPORTED_FOR_LOGGING: "Channels of this kind cannot be logged.",
    DAQmxErrors.LOGGING_NOT_SUPPORT_ON_OUTPUT_TASKS: "Outputs cannot be logged.",
    DAQmxWarnings.STOPPED_BEFORE_DONE: "A finite acquisition or generation was stopped before it was complete.",
}


def text_of(code: int) -> str:
    """What a status code means: our own words, else those that NI's name of it is made of."""
    if code in TEXTS:
        return TEXTS[code]
    name = _NAMES.get(code, "UNKNOWN")
    return f"Error {code} occurred." if name == "UNKNOWN" else f"{name.replace('_', ' ').capitalize()}."


_NAMES = {int(code): code.name for codes in (DAQmxErrors, DAQmxWarnings) for code in codes}


class DaqFault(Exception):  # noqa: N818  # a status of the simulated driver, not an error of this program
    """A DAQmx error status; the dispatcher sends it as NI's server does.

    Parameters
    ----------
    code : DAQmx error code, negative.
    detail : what is added to the code's own text.
    read, written : samples per channel of a failed read or write; None for other calls.
    """

    def __init__(self, code: int, detail: str = "", read: int | None = None, written: int | None = None) -> None:
        text = text_of(code)
        super().__init__(
            f"{text}\n{detail}\n\nStatus Code: {int(code)}" if detail else f"{text}\n\nStatus Code: {int(code)}"
        )
        self.code = int(code)
        self.read = read
        self.written = written


class SessionFault(Exception):  # noqa: N818  # as DaqFault
    """A failure of the session layer, which carries a gRPC status instead of a DAQmx code."""

    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.status = status  # name of a grpc.StatusCode
