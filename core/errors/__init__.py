"""Everything that can go wrong on purpose.

    HypnogramError
    |-- Refused                  a command that the memory's state does not allow; nothing was written
    |   |-- InvalidField         a value is missing, malformed or too long; names the field
    |   |-- MemoryUnknown        no memory of that name
    |   |-- MemoryExists         the name is taken by another memory
    |   |-- MemoryGone           it was deleted
    |   |-- FactUnknown          no fact of that id in this memory
    |   |-- VersionUnknown       the memory has not reached that version
    |   |-- RequestReused        the request id was used for something else
    |   |-- Contradiction        a live fact says otherwise; names it
    |   |-- CapacityReached      the weights cannot take more without harm
    |   |-- NotReady             it lacks something that must come first; says what
    |   |-- SleepInProgress      one sleep at a time; names the one in progress
    |   |-- SleepUnknown         no sleep of that id in this memory
    |   `-- StaleWork            an executor's result was computed against weights no longer in force
    |-- Conflict                 the memory moved past the expected version; carries the current one
    |-- EventReused              an event id was used for other content
    |-- Damaged                  what is stored is not what was written; names the first fault
    |   |-- LogCutShort          events that were acknowledged are missing at the end of the log
    |   |-- ArtifactMissing
    |   `-- ArtifactCorrupt
    |-- DigestMismatch           rebuilt weights differ from the recorded ones
    |-- EventUnknown             the log holds an event type this version cannot read
    |-- SchemaMismatch           the database is of another schema than this version
    |-- ModelUnavailable         the base model cannot be loaded, or is not the recorded one
    |-- DeviceUnavailable        the torch device that is set cannot be used
    `-- Unlearnable              a fact that cannot be written: its object has no tokens, its value diverged
        `-- Unlearned            an edit was computed, but the model does not say the object with it; names the facts

Each carries a message that names the thing and says what to do next, a stable `reason` for programs, and
`metadata` with the values behind the message.
"""
