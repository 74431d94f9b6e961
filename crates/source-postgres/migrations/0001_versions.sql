-- Versions of resources, and what finds them. Times are nanoseconds since 1970 by this database's clock.

-- The types of FHIR R4 by the number that the other tables know them by.
CREATE TABLE sluice.kind (
    code smallint PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE
);

-- Everyone who is named as a patient, whether there is such a Patient or not. The number orders
-- them for ever; owners below 64 mean something else.
CREATE TABLE sluice.patient (
    ordinal bigint GENERATED ALWAYS AS IDENTITY (START WITH 64),
    id text COLLATE "C" PRIMARY KEY
);

-- One row a version. A row is written once; all that changes later is its death.
CREATE TABLE sluice.resource (
    -- The number of this version.
    row bigint NOT NULL,
    -- The lowest patient in whose compartment it lies; 0: nobody's; -1: it names somebody who cannot
    -- be told; -2: a Provenance, which is whose its targets are.
    owner bigint NOT NULL,
    -- When the transaction that wrote it ran, and the one that replaced or deleted it.
    born_at bigint NOT NULL,
    died_at bigint NOT NULL DEFAULT 9223372036854775807,
    born xid8 NOT NULL DEFAULT pg_current_xact_id(),
    died xid8,
    -- meta.lastUpdated.
    updated bigint,
    -- Bytes of the body.
    size integer NOT NULL,
    kind smallint NOT NULL,
    id text COLLATE "C" NOT NULL,
    -- Of the body, to know it again.
    digest bytea NOT NULL,
    -- The other patients in whose compartments it lies.
    others bigint[],
    -- One line of JSON, without its newline.
    body bytea NOT NULL
) PARTITION BY LIST (kind);
-- Bodies are read whole and travel as they are: packing them would cost more than it saves.
ALTER TABLE sluice.resource ALTER COLUMN body SET STORAGE EXTERNAL;

-- What else lies in a patient's compartment, besides what the patient owns.
CREATE TABLE sluice.also (
    patient bigint NOT NULL,
    kind smallint NOT NULL,
    id text COLLATE "C" NOT NULL,
    owner bigint NOT NULL,
    row bigint NOT NULL,
    PRIMARY KEY (kind, patient, id, row)
);

-- What is referred to, other than patients. Kind 0: of any type.
CREATE TABLE sluice.name (
    ordinal bigint GENERATED ALWAYS AS IDENTITY,
    kind smallint NOT NULL,
    id text COLLATE "C" NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE UNIQUE INDEX name_ordinal ON sluice.name (ordinal);

-- That something of a type in a patient's compartment refers, or referred once, to something.
CREATE TABLE sluice.link (
    patient bigint NOT NULL,
    target bigint NOT NULL,
    -- When it was there first.
    born_at bigint NOT NULL,
    via smallint NOT NULL,
    PRIMARY KEY (patient, via, target)
);
CREATE INDEX link_target ON sluice.link (target, via);

-- The same for what is nobody's, and for Provenances.
CREATE TABLE sluice.onward (
    source bigint NOT NULL,
    target bigint NOT NULL,
    born_at bigint NOT NULL,
    PRIMARY KEY (source, target)
);
CREATE INDEX onward_target ON sluice.onward (target);

-- What the versions of Provenances are about.
CREATE TABLE sluice.about (
    row bigint NOT NULL,
    provenance text COLLATE "C" NOT NULL,
    kind smallint NOT NULL,
    id text COLLATE "C" NOT NULL,
    PRIMARY KEY (row, kind, id)
);
CREATE INDEX about_target ON sluice.about (kind, id);

-- How to find the versions of Groups, and who belongs to them when. A member is a patient, another
-- Group, or neither.
CREATE TABLE sluice.grouping (
    row bigint PRIMARY KEY,
    id text COLLATE "C" NOT NULL,
    active boolean NOT NULL,
    name text NOT NULL
);
CREATE INDEX grouping_id ON sluice.grouping (id);
CREATE TABLE sluice.identifier (
    row bigint NOT NULL,
    system text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL
);
CREATE INDEX identifier_value ON sluice.identifier (value);
CREATE INDEX identifier_row ON sluice.identifier (row);
CREATE TABLE sluice.member (
    row bigint NOT NULL,
    patient bigint,
    member_group text COLLATE "C",
    -- Both inclusive.
    starts bigint NOT NULL,
    ends bigint NOT NULL
);
CREATE INDEX member_row ON sluice.member (row, patient);

-- How much there is, by type and by 64 patients; what changed, to be summed up.
CREATE TABLE sluice.volume (
    kind smallint NOT NULL,
    bucket bigint NOT NULL,
    resources bigint NOT NULL,
    bytes bigint NOT NULL
);
CREATE INDEX volume_bucket ON sluice.volume (kind, bucket);

-- Who is writing. A writer announces itself before its transaction and takes its row away within
-- it, so whoever sees the row knows that there may be times above `since` that cannot be seen yet.
CREATE TABLE sluice.writer (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    since bigint NOT NULL
);

-- Version numbers; each writer takes a thousand at a time.
CREATE SEQUENCE sluice.version_number INCREMENT BY 1000;
