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
        #expect(standard.cacheBytes == 256 * 1024 * 1024)
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
        ("mongodb+srv://h/otv", .mongodb(uri: "mongodb+srv://h/otv")),
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

    @Test func zeroCacheMeansTheDefault() throws {
        #expect(try read(#"{"server":{"port":1,"cache":0},"db":{"uri":"sqlite:x"}}"#).cacheLifetime == .seconds(18))
        #expect(
            try read(#"{"server":{"port":1,"cache":500},"db":{"uri":"sqlite:x"}}"#).cacheLifetime == .milliseconds(500))
    }
}
