CREATE SCHEMA whittle;
CREATE TABLE whittle.version (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    version bigint NOT NULL
);
CREATE TABLE whittle.rollout (
    id   integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL UNIQUE
);
CREATE TABLE whittle.entry (
    rollout  integer NOT NULL REFERENCES whittle.rollout (id),
    sequence bigint NOT NULL CHECK (sequence >= 0),
    entry    text NOT NULL,
    hash     bytea NOT NULL,
    PRIMARY KEY (rollout, sequence)
);
CREATE TABLE whittle.quarantine (
    build    text PRIMARY KEY,
    rollout  integer NOT NULL REFERENCES whittle.rollout (id),
    sequence bigint NOT NULL
);
CREATE FUNCTION whittle.stays() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'what is in a log stays as it is'; END
$$;
CREATE TRIGGER stays BEFORE UPDATE OR DELETE OR TRUNCATE ON whittle.rollout EXECUTE FUNCTION whittle.stays();
CREATE TRIGGER stays BEFORE UPDATE OR DELETE OR TRUNCATE ON whittle.entry EXECUTE FUNCTION whittle.stays();
CREATE TRIGGER stays BEFORE UPDATE OR DELETE OR TRUNCATE ON whittle.quarantine EXECUTE FUNCTION whittle.stays();
