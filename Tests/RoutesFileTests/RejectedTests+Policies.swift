/// What is wrong with what a route asks of requests, and does to answers.
extension RejectedTests {
    /// One limit, named, with these members.
    private static func limited(_ members: String) -> String {
        #""rateLimit": [{ "name": "a", "# + members + " }]"
    }

    /// `basicAuth` with a file of users.
    private static func file(_ more: String) -> String {
        #""basicAuth": { "realm": "a", "usersFile": "/u"\#(more) }"#
    }

    /// `basicAuth` with these users.
    private static func users(_ users: String, realm: String = "a") -> String {
        #""basicAuth": { "realm": "\#(realm)", "users": \#(users) }"#
    }

    static let policies: [Case] = [
        .route(#""allow": ["x"]"#, ".allow[0]", "expected an address or block"),
        .route(#""deny": {}"#, ".deny", "expected a list of addresses"),
        .route(#""rateLimit": {}"#, ".rateLimit", "expected a list of limits"),
        .route(#""rateLimit": []"#, ".rateLimit", "at least one"),
        .route(
            #""rateLimit": [{ "key": { "by": "all" }, "rate": "1/s" }]"#, ".rateLimit[0]", #"the key "name" is missing"#
        ),
        .route(Self.limited(#""rate": "1/s""#), ".rateLimit[0]", #"the key "key" is missing"#),
        .route(Self.limited(#""key": { "by": "all" }"#), ".rateLimit[0]", #"the key "rate" is missing"#),
        .route(Self.limited(#""key": { "by": "url" }, "rate": "1/s""#), ".rateLimit[0].key.by", "expected"),
        .route(Self.limited(#""key": { "by": "user" }, "rate": "1/s""#), ".rateLimit", "the route has no"),
        .route(#""compression": true"#, ".compression", "expected an object"),
        .route(#""compression": { "algorithms": [] }"#, ".compression.algorithms", "at least one"),
        .route(#""compression": { "algorithms": ["gzi"] }"#, ".compression.algorithms[0]", #"did you mean "gzip"?"#),
        .route(
            #""compression": { "algorithms": ["br", "br"] }"#, ".compression.algorithms[1]", "already given"),
        .route(#""compression": { "types": ["*/*"] }"#, ".compression.types[0]", "expected a type"),
        .route(#""compression": { "types": ["text"] }"#, ".compression.types[0]", "expected a type"),
        .route(
            #""compression": {}, "responseHeaders": { "set": { "content-encoding": "br" } }"#,
            ".responseHeaders.set.content-encoding", #"what "compression" has done"#),
        .route(
            #""responseHeaders": { "remove": ["X", "Content-Encoding"] }, "compression": {}"#,
            ".responseHeaders.remove[1]", #"what "compression" has done"#),
        .route(#""compression": { "level": 0 }"#, ".compression.level", "an integer from 1 to 9"),
        .action(
            #""redirect": { "path": "/" }, "compression": {}"#, ".compression", "no meaning on a route that redirects"),
        .route(#""basicAuth": { "users": {} }"#, ".basicAuth", #"the key "realm" is missing"#),
        .route(#""basicAuth": { "realm": "a" }"#, ".basicAuth", #"expected "users" or "usersFile""#),
        .route(Self.users("{}", realm: #"a\"b"#), ".basicAuth.realm", "without"),
        .route(Self.users("{}"), ".basicAuth.users", "at least one user"),
        .route(Self.users(#"{ "a:b": "x" }"#), #".basicAuth.users["a:b"]"#, "no colon"),
        // What may be a password is not shown.
        .top(
            #""cluster": { "name": "x", "etcd": { "endpoints": ["ftp://u:p@a/x"] } }"#, "$.cluster.etcd.endpoints[0]",
            #"found string "ftp://…@a/x""#),
        .route(Self.users(#"{ "a": "secret" }"#), ".basicAuth.users.a", "`openssl passwd -6` makes one"),
        .route(Self.users(#"{ "a": "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=" }"#), ".basicAuth.users.a", "guessed too fast"),
        .route(Self.users(#"{ "a": "$apr1$lL6FV8Cl$5I3CKT0f8cTxL5FLJy" }"#), ".basicAuth.users.a", "guessed too fast"),
        .route(
            Self.users(#"{ "a": "$2b$19$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW" }"#),
            ".basicAuth.users.a",
            "would take about 25 s"),
        .route(Self.users(#"{ "a": 1 }"#), ".basicAuth.users.a", "expected a hash of crypt(5)"),
        .route(Self.file(#", "userHeader": "X_User""#), ".basicAuth.userHeader", "no _"),
        .route(Self.file(#", "userHeader": "Host""#), ".basicAuth.userHeader", "set by the key"),
        .route(Self.file(#", "userHeader": "authorization""#), ".basicAuth.userHeader", "no credentials"),
        .route(
            #""requestHeaders": { "set": { "X-User": "a" } }, "# + Self.file(#", "userHeader": "x-user""#),
            ".basicAuth.userHeader", "already set"),
        .action(
            #""respond": {}, "basicAuth": { "realm": "a", "usersFile": "/u" }"#, ".basicAuth", "answers by itself"),
        .route(
            Self.limited(#""key": { "by": "all", "name": "x" }, "rate": "1/s""#), ".rateLimit[0].key.name", "no meaning"
        ),
        .route(
            Self.limited(#""key": { "by": "header" }, "rate": "1/s""#), ".rateLimit[0].key",
            #"the key "name" is missing"#),
        .route(Self.limited(#""key": { "by": "all" }, "rate": "0/s""#), ".rateLimit[0].rate", "expected a rate"),
        .route(Self.limited(#""key": { "by": "all" }, "rate": "1/d""#), ".rateLimit[0].rate", "expected a rate"),
        .route(Self.limited(#""key": { "by": "all" }, "rate": "1.5/s""#), ".rateLimit[0].rate", "expected a rate"),
        .route(Self.limited(#""key": { "by": "all" }, "rate": "1000001/s""#), ".rateLimit[0].rate", "expected a rate"),
        .route(
            Self.limited(#""key": { "by": "all" }, "rate": "1/s", "burst": 0"#), ".rateLimit[0].burst",
            "an integer from 1"),
        .route(
            Self.limited(#""key": { "by": "all" }, "rate": "1/s", "ipv4Prefix": 33"#), ".rateLimit[0].ipv4Prefix",
            "an integer from 1 to 32"),
        .route(
            Self.limited(#""key": { "by": "all" }, "rate": "1/s", "entries": 1"#), ".rateLimit[0].entries",
            "an integer from 8"),
        .route(
            Self.limited(#""key": { "by": "all" }, "rate": "1/s", "headers": true"#), ".rateLimit[0].headers", "limited"
        ),
        .route(
            Self.limited(#""key": { "by": "all" }, "rate": "1/s", "headers": "sometimes""#), ".rateLimit[0].headers",
            "limited"),
        .route(
            #""rateLimit": [{ "name": "a", "key": { "by": "all" }, "rate": "1/s" }, { "name": "a", "key": { "by": "all" }, "rate": "1/s" }]"#,
            ".rateLimit[1].name", "already taken"),
    ]
}
