CREATE TABLE users (
    id                UUID NOT NULL PRIMARY KEY,
    displayName       VARCHAR(256) NOT NULL,
    givenName         VARCHAR(64),
    surname           VARCHAR(64),
    userPrincipalName VARCHAR(113) NOT NULL UNIQUE,
    mail              VARCHAR(256),
    jobTitle          VARCHAR(128),
    department        VARCHAR(64),
    accountEnabled    BOOLEAN NOT NULL DEFAULT TRUE,
    createdDateTime   DATETIME NOT NULL,
    managerId         UUID REFERENCES users (id) ON DELETE SET NULL
);
CREATE INDEX usersByManager ON users (managerId);

CREATE TABLE "groups" (
    id              UUID NOT NULL PRIMARY KEY,
    displayName     VARCHAR(256) NOT NULL,
    description     VARCHAR(1024),
    mailNickname    VARCHAR(64) NOT NULL UNIQUE,
    securityEnabled BOOLEAN NOT NULL DEFAULT TRUE,
    createdDateTime DATETIME NOT NULL
);

CREATE TABLE members (
    groupId UUID NOT NULL REFERENCES "groups" (id) ON DELETE CASCADE,
    userId  UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (groupId, userId)
) WITHOUT ROWID;
CREATE INDEX membersByUser ON members (userId);
