import Testing

@testable import GatewayService

@Suite("Configuration")
struct ConfigurationTests {
    private func read(
        _ text: String, role: GatewayConfiguration.Role = .gateway, environment: [String: String] = [:],
        port: Int? = nil
    ) throws(ConfigurationError) -> GatewayConfiguration {
        var options = ConfigurationReader.Options()
        options.role = role
        options.port = port
        return try ConfigurationReader.parse(Array(text.utf8), environment: environment, options: options)
    }

    private func problems(_ text: String, environment: [String: String] = [:]) -> [String] {
        do {
            _ = try read(text, environment: environment)
            return []
        } catch {
            return error.problems.map(\.path)
        }
    }

    @Test func theLegacyFileAsItIs() throws {
        let text = #"""
            {"global":{"networkPrefix":2},"db":{"mongo":{"uri":"mongodb://user:pw@kusama-mongodb.kusama/otv?tls=false"}},
             "server":{"port":3300,"enable":true},"logger":{"level":"info"}}
            """#
        let configuration = try read(text, role: .core)
        #expect(configuration.port == 3300)
        #expect(configuration.host == "::")
        #expect(configuration.service == .full)
        #expect(configuration.cacheLifetime == .milliseconds(18_000))
        #expect(configuration.database == .mongodb(uri: "mongodb://user:pw@kusama-mongodb.kusama/otv?tls=false"))
        #expect(configuration.database.description == "mongodb://kusama-mongodb.kusama/otv")
    }

    @Test(arguments: ["", #","db":{}"#, #","db":{"mongo":{}}"#, #","db":{"uri":null,"mongo":{"uri":null}}"#])
    func theLegacyDatabase(section: String) throws {
        let configuration = try read(#"{"server":{"port":1}\#(section)}"#)
        #expect(configuration.database == .mongodb(uri: "mongodb://localhost:27017/otv"))
    }

    @Test func aKeyThatSaysNothingIsNoAnswer() throws {
        let configuration = try read(#"{"server":{"port":1},"db":{"uri":null,"mongo":{"uri":"mongodb://h/x"}}}"#)
        #expect(configuration.database == .mongodb(uri: "mongodb://h/x"))
    }

    @Test func formsOfBodies() throws {
        func codings(_ value: String) throws -> [ContentCoding] {
            try read(#"{"server":{"port":1,"compression":\#(value)},"db":{"uri":"sqlite:x"}}"#).codings
        }
        #expect(try codings("true") == [.zstd, .br, .gzip])
        #expect(try codings("null") == [.zstd, .br, .gzip])
        #expect(try codings("false") == [])
        #expect(try codings("[]") == [])
        #expect(try codings(#"["gzip","br"]"#) == [.gzip, .br])
        for value in ["1", #""gzip""#, #"["gzip","deflate"]"#, #"["gzip","gzip"]"#, "[true]", "{}"] {
            #expect(
                problems(#"{"server":{"port":1,"compression":\#(value)},"db":{"uri":"sqlite:x"}}"#)
                    == ["$.server.compression"], "\(value)")
        }
        #expect(try !read(#"{"server":{"port":1},"db":{"uri":"sqlite:x"}}"#).sendsValidators)
        #expect(try read(#"{"server":{"port":1,"validators":true},"db":{"uri":"sqlite:x"}}"#).sendsValidators)
        #expect(problems(#"{"server":{"port":1,"validators":1},"db":{"uri":"sqlite:x"}}"#) == ["$.server.validators"])
    }

    @Test func howLongToWaitAndToDrain() throws {
        let database = #""db":{"uri":"sqlite:x"}"#
        let standard = try read(#"{"server":{"port":1},\#(database)}"#)
        #expect(standard.deadline == .seconds(2))
        #expect(standard.drain == .seconds(1))
        let given = try read(#"{"server":{"port":1,"deadline":50,"drain":0},\#(database)}"#)
        #expect(given.deadline == .milliseconds(50))
        #expect(given.drain == .zero)
        #expect(
            problems(#"{"server":{"port":1,"deadline":0,"drain":-1},\#(database)}"#)
                == ["$.server.deadline", "$.server.drain"])
        #expect(problems(#"{"server":{"port":1,"drain":"5 s"},\#(database)}"#) == ["$.server.drain"])
    }

    @Test func howMuchToKeepAndHowLongToWaitForRequests() throws {
        let database = #""db":{"uri":"sqlite:x"}"#
        let standard = try read(#"{"server":{"port":1},\#(database)}"#)
        #expect(standard.cacheBytes == nil)
        #expect(standard.memoryBytes == nil)
        #expect(standard.connections == nil)
        #expect(standard.staleFor == .zero)
        #expect(standard.headTimeout == .seconds(60))
        #expect(standard.bodyTimeout == .seconds(30))
        let given = try read(
            #"{"server":{"port":1,"cacheBytes":1000,"headTimeout":5,"bodyTimeout":7},\#(database)}"#)
        #expect(given.cacheBytes == 1000)
        #expect(given.headTimeout == .milliseconds(5))
        #expect(given.bodyTimeout == .milliseconds(7))
        #expect(
            problems(#"{"server":{"port":1,"cacheBytes":0,"headTimeout":0,"bodyTimeout":1e9},\#(database)}"#)
                == ["$.server.cacheBytes", "$.server.headTimeout", "$.server.bodyTimeout"])
    }

    /// Who names an address wants that one; who names none has it chosen by what the machine has.
    @Test func onlyTheDefaultAddressHasASecondChoice() throws {
        let database = #""db":{"uri":"sqlite:x"}"#
        let standard = try read(#"{"server":{"port":1},\#(database)}"#)
        #expect((standard.host, standard.fallbackHost) == ("::", "0.0.0.0"))
        let named = try read(#"{"server":{"port":1,"host":"::"},\#(database)}"#)
        #expect((named.host, named.fallbackHost) == ("::", nil))
        let given = try read(#"{"server":{"port":1},\#(database)}"#, environment: ["GATEWAY_HOST": "::"])
        #expect((given.host, given.fallbackHost) == ("::", nil))
    }

    @Test func aQuotedScalarLosesItsQuotes() throws {
        #expect(try read(#"'{"server":{"port":1},"db":{"uri":"sqlite:x"}}'"#).port == 1)
    }

    @Test(arguments: [
        (
            #"{"server":{"port":1,"enable":false}}"#, GatewayConfiguration.Role.gateway,
            GatewayConfiguration.Service.healthOnly
        ),
        (#"{"server":{"port":1,"onlyHealth":true}}"#, .gateway, .healthOnly),
        (#"{"server":{"port":1,"onlyHealth":true}}"#, .core, .healthOnly),
        (#"{"server":{"port":1,"enable":false}}"#, .core, .retired),
        (#"{"server":{"port":1,"enable":true},"db":{"uri":"sqlite::memory:"}}"#, .core, .full),
    ])
    func service(text: String, role: GatewayConfiguration.Role, service: GatewayConfiguration.Service) throws {
        #expect(try read(text, role: role).service == service)
    }

    @Test(arguments: [
        ("sqlite::memory:", GatewayConfiguration.Database.sample), ("sqlite:/a/b.sqlite", .sqlite(path: "/a/b.sqlite")),
        ("mongodb+srv://db.example.org/otv", .mongodb(uri: "mongodb+srv://db.example.org/otv")),
    ])
    func database(uri: String, database: GatewayConfiguration.Database) throws {
        #expect(
            try read(#"{"server":{"port":1},"db":{"uri":"\#(uri)","mongo":{"uri":"mongodb://other"}}}"#).database
                == database)
    }

    @Test func theEnvironmentOverridesTheFileAndOptionsTheEnvironment() throws {
        let text = #"{"server":{"port":1,"host":"10.0.0.1"},"db":{"uri":"sqlite:x"}}"#
        let environment = ["GATEWAY_PORT": "2", "GATEWAY_HOST": "127.0.0.2", "GATEWAY_DB_URI": "sqlite:y"]
        let configuration = try read(text, environment: environment)
        #expect(configuration.port == 2)
        #expect(configuration.host == "127.0.0.2")
        #expect(configuration.database == .sqlite(path: "y"))
        #expect(try read(text, environment: environment, port: 3).port == 3)
    }

    @Test func withoutAFileTheSampleDataIsServedToThisMachineOnly() throws {
        let configuration = try ConfigurationReader.read(path: nil, environment: [:], options: .init())
        #expect(configuration == GatewayConfiguration())
        #expect(configuration.host == "127.0.0.1")
        #expect(configuration.database == .sample)
    }

    @Test(arguments: [
        ("{", ["$"]), ("[]", ["$"]), ("// c\n{}", ["$"]), ("{}", ["$.server.port"]),
        (#"{"server":[],"db":{"uri":"sqlite:x"}}"#, ["$.server", "$.server.port"]),
        (#"{"server":{"port":"3301"},"db":{"uri":"sqlite:x"}}"#, ["$.server.port"]),
        (#"{"server":{"port":70000},"db":{"uri":"sqlite:x"}}"#, ["$.server.port"]),
        (#"{"server":{"port":1,"cache":-1},"db":{"uri":"sqlite:x"}}"#, ["$.server.cache"]),
        (#"{"server":{"port":1,"cache":1.5},"db":{"uri":"sqlite:x"}}"#, ["$.server.cache"]),
        (
            #"{"server":{"port":1,"cache":"x","enable":"no"},"db":{"uri":"sqlite:x"}}"#,
            ["$.server.cache", "$.server.enable"]
        ),
        (
            #"{"server":{"port":1,"limitCap":0,"deadline":0},"db":{"uri":"sqlite:x"}}"#,
            ["$.server.deadline", "$.server.limitCap"]
        ),
        (#"{"server":{"port":1},"db":{"uri":"http://x"}}"#, ["$.db.uri"]),
        (#"{"server":{"port":1},"db":{"uri":"sqlite:"}}"#, ["$.db.uri"]),
        (#"{"server":{"port":1},"db":{"mongo":{"uri":5}}}"#, ["$.db.mongo.uri"]),
        (#"{"server":{"port":1},"db":{"mongo":"mongodb://prod/otv"}}"#, ["$.db.mongo"]),
        (#"{"server":{"port":1},"db":{"mongo":[]}}"#, ["$.db.mongo"]),
        (#"{"server":{"port":1},"db":"mongodb://prod/otv"}"#, ["$.db"]),
        (#"{"server":{"port":1},"db":[]}"#, ["$.db"]),
    ])
    func everyProblemIsNamedByItsPlace(text: String, paths: [String]) {
        #expect(problems(text) == paths)
    }

    @Test func aBadEnvironmentIsNamedToo() {
        let text = #"{"server":{"port":1},"db":{"uri":"sqlite:x"}}"#
        #expect(problems(text, environment: ["GATEWAY_PORT": "x"]) == ["GATEWAY_PORT"])
        #expect(problems(text, environment: ["GATEWAY_PORT": "0x50"]) == ["GATEWAY_PORT"])
        #expect(problems(text, environment: ["GATEWAY_PORT": "8e1"]) == ["GATEWAY_PORT"])
        #expect(problems(text, environment: ["GATEWAY_DB_URI": "secret-and-wrong"]) == ["GATEWAY_DB_URI"])
    }

    @Test func anUnescapedAtIsRefusedAndNotRepeated() {
        let uri = "mongodb://u:hun@ter2@host/otv"
        #expect(
            problems(#"{"server":{"port":1},"db":{"mongo":{"uri":"\#(uri)"}}}"#) == ["$.db.mongo.uri"])
        do {
            _ = try read(#"{"server":{"port":1},"db":{"uri":"\#(uri)"}}"#)
            Issue.record("accepted")
        } catch {
            #expect(error.description.contains("%40"))
            #expect(!error.description.contains("ter2"))
        }
        #expect(GatewayConfiguration.Database.mongodb(uri: uri).description == "mongodb")
    }

    /// A Secret made from a file ends with a newline.
    @Test(arguments: ["\n", "\r\n", " \t\u{0}\n"])
    func whatStandsAroundAValueIsNoPartOfIt(end: String) throws {
        let environment = [
            "GATEWAY_DB_URI": end + "mongodb://h/otv" + end, "GATEWAY_PORT": "2" + end, "GATEWAY_HOST": "::1" + end,
        ]
        let configuration = try read(#"{"server":{"port":1}}"#, environment: environment)
        #expect(configuration.database == .mongodb(uri: "mongodb://h/otv"))
        #expect(configuration.port == 2)
        #expect(configuration.host == "::1")
        let file = try read(#"{"server":{"port":1},"db":{"mongo":{"uri":"mongodb://h/otv\n"}}}"#)
        #expect(file.database == .mongodb(uri: "mongodb://h/otv"))
        #expect(try read(#"{"server":{"port":1},"db":{"uri":"sqlite:a\n"}}"#).database == .sqlite(path: "a"))
    }

    @Test func controlCharactersWithinAreRefused() {
        for uri in ["mongodb://h/o\ntv", "mongodb://h/otv%0A", "mongodb://h\t/otv", "sqlite:a\u{7F}b"] {
            #expect(
                problems(#"{"server":{"port":1}}"#, environment: ["GATEWAY_DB_URI": uri]) == ["GATEWAY_DB_URI"],
                "\(uri)")
        }
    }

    @Test func whatTheDatabaseMustHave() throws {
        #expect(try read(#"{"server":{"port":1}}"#).mustHave == ["candidates"])
        #expect(try read(#"{"server":{"port":1},"db":{"mustHave":[]}}"#).mustHave == [])
        #expect(try read(#"{"server":{"port":1},"db":{"mustHave":["a","b"]}}"#).mustHave == ["a", "b"])
        for value in ["1", "\"a\"", "[1]", "[\"\"]", "{}"] {
            #expect(problems(#"{"server":{"port":1},"db":{"mustHave":\#(value)}}"#) == ["$.db.mustHave"], "\(value)")
        }
    }

    @Test func howMuchMemoryThereIs() throws {
        let given = try read(
            #"{"server":{"port":1,"memoryBytes":16777216,"connections":7,"staleFor":60000},"db":{"uri":"sqlite:x"}}"#)
        #expect(given.memoryBytes == 16_777_216)
        #expect(given.connections == 7)
        #expect(given.staleFor == .seconds(60))
        #expect(
            problems(
                #"{"server":{"port":1,"memoryBytes":1000,"connections":0,"staleFor":-1},"db":{"uri":"sqlite:x"}}"#)
                == ["$.server.memoryBytes", "$.server.connections", "$.server.staleFor"])
    }

    /// Each fault says what it is, by its place, and repeats nothing of the string.
    @Test(arguments: [
        ("mongodb://u:hunter2@", "no host"), ("mongodb://u:hunter2:x@h/otv", "more than one :"),
        ("mongodb://u:hun%ter2@h/otv", "hexadecimal digits"), ("mongodb://:hunter2@h/otv", "no user name"),
        ("mongodb://u:hun@ter2@h/otv", "an @"), ("mongodb://u:hunter2@h:port/otv", "the port of host 1"),
        ("mongodb://u:hunter2@a,h:70000/otv", "the port of host 2"),
        ("mongodb://h/otv?maxPoolSize=hunter2", "maxpoolsize"),
        ("mongodb://h/otv?maxPoolSize=513", "maxPoolSize is 512"),
        ("mongodb://h/otv?readPreference=hunter2", "readPreference"), ("mongodb://h/otv?hunter2", "contains no"),
        ("mongodb+srv://u:hunter2@h:1/otv", "a port"), ("mongodb://h/hunter2.b", "database name"),
        ("mongodb+srv://u:hunter2@h/otv", "service name"),
    ])
    func whatIsWrongWithAConnectionString(uri: String, reason: String) {
        do {
            _ = try read(#"{"server":{"port":1},"db":{"mongo":{"uri":"\#(uri)"}}}"#)
            Issue.record("accepted")
        } catch {
            #expect(error.problems.map(\.path) == ["$.db.mongo.uri"])
            #expect(error.description.contains(reason), "\(error)")
            #expect(!error.description.contains("hunter2") && !error.description.contains("ter2"), "\(error)")
        }
    }

    /// A connection string where something else belongs.
    @Test func credentialsInAWrongPlaceAreNotRepeated() {
        let uri = "mongodb://u:hunter2@h/otv"
        for text in [
            #"{"server":{"port":1,"host":"\#(uri)"},"db":{"uri":"sqlite:x"}}"#,
            #"{"server":{"port":1},"db":{"uri":"sqlite:\#(uri)"}}"#,
            #"{"server":{"port":"\#(uri)"},"db":{"uri":"sqlite:x"}}"#, #"{"server":{"port":1},"db":"\#(uri)"}"#,
            uri,
        ] {
            do {
                _ = try read(text)
                Issue.record("accepted")
            } catch {
                #expect(!error.description.contains("hunter2"), "\(error)")
            }
        }
        #expect(throws: ConfigurationError(problems: [.init("mongodb://***@h/otv", "no such file or directory")])) {
            try ConfigurationReader.read(path: uri, environment: [:], options: .init())
        }
    }

    @Test(arguments: [
        ("nothing", "nothing"), ("at mongodb://h/otv now", "at mongodb://h/otv now"),
        ("mongodb://u:p w'@x@h/otv?a=b", "mongodb://***@h/otv?a=b"),
        ("'https://u:hunter2@h' is", "'https://***@h' is"),
        (
            "mongodb://h/?tlsCertificateKeyFilePassword=hunter2&x=1",
            "mongodb://h/?tlsCertificateKeyFilePassword=***&x=1"
        ),
        ("mongodb://h/?authMechanismProperties=A:hunter2 and", "mongodb://h/?authMechanismProperties=*** and"),
    ])
    func redaction(text: String, printed: String) {
        #expect(Redaction.withoutCredentials(text) == printed)
    }

    @Test func zeroCacheMeansTheDefault() throws {
        #expect(try read(#"{"server":{"port":1,"cache":0},"db":{"uri":"sqlite:x"}}"#).cacheLifetime == .seconds(18))
        #expect(
            try read(#"{"server":{"port":1,"cache":500},"db":{"uri":"sqlite:x"}}"#).cacheLifetime == .milliseconds(500))
    }
}
