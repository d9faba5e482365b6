CREATE TABLE accounts (
    accountid         UUID NOT NULL PRIMARY KEY,
    name              VARCHAR(160) NOT NULL,
    accountnumber     VARCHAR(20) UNIQUE,
    telephone1        VARCHAR(50),
    address1_city     VARCHAR(80),
    revenue           DECIMAL(18, 2),
    numberofemployees INTEGER,
    statecode         INTEGER NOT NULL DEFAULT 0,
    createdon         DATETIME NOT NULL,
    modifiedon        DATETIME NOT NULL,
    versionnumber     BIGINT,
    parentaccountid   UUID REFERENCES accounts (accountid) ON DELETE SET NULL
);
CREATE INDEX accountsByParent ON accounts (parentaccountid);
CREATE INDEX accountsByVersion ON accounts (versionnumber);

CREATE TABLE contacts (
    contactid        UUID NOT NULL PRIMARY KEY,
    firstname        VARCHAR(50),
    lastname         VARCHAR(50) NOT NULL,
    emailaddress1    VARCHAR(100),
    birthdate        DATE,
    creditlimit      DECIMAL(18, 2),
    donotphone       BOOLEAN NOT NULL DEFAULT FALSE,
    statecode        INTEGER NOT NULL DEFAULT 0,
    createdon        DATETIME NOT NULL,
    modifiedon       DATETIME NOT NULL,
    versionnumber    BIGINT,
    parentcustomerid UUID REFERENCES accounts (accountid) ON DELETE SET NULL
);
CREATE INDEX contactsByParent ON contacts (parentcustomerid);
CREATE INDEX contactsByVersion ON contacts (versionnumber);

-- As in the real service, each write of a row takes the next number of one sequence for all tables.
CREATE TRIGGER accountsInserted AFTER INSERT ON accounts WHEN NEW.versionnumber IS NULL
BEGIN
    UPDATE accounts
    SET versionnumber = 1 + max(
        (SELECT coalesce(max(versionnumber), 0) FROM accounts),
        (SELECT coalesce(max(versionnumber), 0) FROM contacts))
    WHERE accountid = NEW.accountid;
END;
CREATE TRIGGER accountsUpdated AFTER UPDATE ON accounts WHEN NEW.versionnumber IS OLD.versionnumber
BEGIN
    UPDATE accounts
    SET modifiedon = strftime('%Y-%m-%dT%H:%M:%SZ', 'now'),
        versionnumber = 1 + max(
            (SELECT coalesce(max(versionnumber), 0) FROM accounts),
            (SELECT coalesce(max(versionnumber), 0) FROM contacts))
    WHERE accountid = NEW.accountid;
END;
CREATE TRIGGER contactsInserted AFTER INSERT ON contacts WHEN NEW.versionnumber IS NULL
BEGIN
    UPDATE contacts
    SET versionnumber = 1 + max(
        (SELECT coalesce(max(versionnumber), 0) FROM accounts),
        (SELECT coalesce(max(versionnumber), 0) FROM contacts))
    WHERE contactid = NEW.contactid;
END;
CREATE TRIGGER contactsUpdated AFTER UPDATE ON contacts WHEN NEW.versionnumber IS OLD.versionnumber
BEGIN
    UPDATE contacts
    SET modifiedon = strftime('%Y-%m-%dT%H:%M:%SZ', 'now'),
        versionnumber = 1 + max(
            (SELECT coalesce(max(versionnumber), 0) FROM accounts),
            (SELECT coalesce(max(versionnumber), 0) FROM contacts))
    WHERE contactid = NEW.contactid;
END;
