"""The tree of all errors that hypnogram raises on purpose.

    HypnogramError
    |-- Refused                  a command that the memory's state does not allow; nothing was written
    |   |-- InvalidField         a value is missing, malformed or too long; names the field
    |   |-- MemoryUnknown        no memory of that name
    |   |-- MemoryExists         the name is taken by another memory
    |   |-- MemoryGone           the memory was deleted
    |   |-- FactUnknown          no fact of that id in this memory
    |   |-- VersionUnknown       the memory has not reached that version
    |   |-- RequestReused        the request id was used for something else
    |   |-- Contradiction        a live fact has another object; names it
    |   |-- CapacityReached      the weights cannot take more without harm
    |   |-- NotReady             the memory lacks something that must come first; names it
    |   |-- SleepInProgress      a sleep is in progress; names it
    |   |-- SleepUnknown         no sleep of that id in this memory
    |   `-- StaleWork            an executor's result no longer applies to the memory
    |-- Conflict                 the memory is past the expected version; names the current one
    |-- EventReused              an event id was used for other content
    |-- Damaged                  stored data is not what was written; names the first fault
    |   |-- LogCutShort          acknowledged events are missing at the end of the log
    |   |-- ArtifactMissing      an artifact that the log names is not in the artifact folder
    |   `-- ArtifactCorrupt      an artifact does not have the digest that it is named by
    |-- ArtifactsUnreachable     the storage of artifacts does not answer; what needs them is tried again
    |-- RayUnavailable           a Ray cluster does not answer, or has no room for the executors asked for
    |-- DigestMismatch           rebuilt weights differ from the recorded ones
    |-- EventUnknown             the log holds an event type this version cannot read
    |-- SchemaMismatch           the database is of another schema than this version
    |-- ModelUnavailable         the base model cannot be loaded, or is not the recorded one
    |-- ParserUnavailable        the parser that finds facts in sentences is not installed; says what to install
    |-- DeviceUnavailable        the torch device that is set cannot be used
    |-- ConfigurationInvalid     a file of settings cannot be used; names the file, the key and the line
    `-- Unlearnable              a fact that cannot be written: its object has no tokens, its value diverged
        |-- Unlearned            an edit was computed, but the model does not say the object with it; names the facts
        `-- Uncertified          a neuron's detector does not tell the subject from others; names the facts

`core/errors/access.py`, `core/errors/conversation.py`, `core/errors/harm.py`, `core/errors/history.py` and
`core/errors/archive.py` draw their own branches. Each error has a message that names the
thing and the next step, a stable `reason` for programs, and `metadata` with the values in the message.
"""
