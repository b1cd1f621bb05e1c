import Documents
import FoundationEssentials

/// Reads the legacy `main.json`, the keys added to it, environment variables and options, in rising order of authority.
package struct ConfigurationReader {
    /// What the command line asks for; nil leaves it to the file.
    package struct Options: Sendable {
        package var role = GatewayConfiguration.Role.gateway
        package var host: String?
        package var port: Int?
        package var identity: String?

        package init() {}
    }

    private var configuration = GatewayConfiguration()
    private var problems: [ConfigurationProblem] = []

    private init() {}

    /// Reads `main.json` in a directory, or a file of any name; without a path, the defaults with the sample data.
    package static func read(
        path: String?, environment: [String: String], options: Options
    ) throws(ConfigurationError) -> GatewayConfiguration {
        guard let path else {
            return try parse(Array("{}".utf8), isDefault: true, environment: environment, options: options)
        }
        var isDirectory = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw ConfigurationError(problems: [.init(path, "no such file or directory")])
        }
        let file = isDirectory ? path + "/main.json" : path
        guard let text = FileManager.default.contents(atPath: file) else {
            throw ConfigurationError(problems: [.init(file, "cannot be read")])
        }
        return try parse(Array(text), isDefault: false, environment: environment, options: options)
    }

    /// - Parameter isDefault: there is no file, so nothing is missing from it.
    package static func parse(
        _ text: [UInt8], isDefault: Bool = false, environment: [String: String] = [:], options: Options = Options()
    ) throws(ConfigurationError) -> GatewayConfiguration {
        var text = text[...]
        // Charts have written the file as a quoted scalar; its quotes are not part of it.
        if text.first == UInt8(ascii: "'") { text = text.dropFirst().dropLast() }
        let root: JSONValue
        do {
            root = try JSONParser.parse(Array(text))
        } catch {
            throw ConfigurationError(problems: [.init("$", "\(error.message) at byte \(error.offset)")])
        }
        var reader = ConfigurationReader()
        reader.configuration.role = options.role
        guard case .object = root else {
            throw ConfigurationError(problems: [.init("$", "expected an object")])
        }
        reader.readServer(root[key: "server"], isDefault: isDefault, environment: environment, options: options)
        if reader.configuration.service == .full {
            reader.readDatabase(root[key: "db"], isDefault: isDefault, environment: environment)
        }
        reader.setIdentity(options.identity)
        guard reader.problems.isEmpty else { throw ConfigurationError(problems: reader.problems) }
        return reader.configuration
    }

    private mutating func readServer(
        _ server: JSONValue?, isDefault: Bool, environment: [String: String], options: Options
    ) {
        if let server, case .object = server {} else if server != nil { problem("$.server", "expected an object") }
        // The legacy file binds all interfaces; started without one, a stranger's machine must not be exposed.
        if let (host, path) = givenHost(server, environment, options) {
            setHost(host, path)
        } else if !isDefault {
            configuration.host = "::"
            configuration.fallbackHost = "0.0.0.0"
        }

        let standard = configuration.role == .core ? 3300 : 3301
        if let port = options.port {
            setPort(Double(port), "--port")
        } else if let port = environment["GATEWAY_PORT"] {
            setPort(Int(port.trimmed).map(Double.init) ?? .nan, "GATEWAY_PORT")
        } else if let port = number(server, "port") {
            setPort(port, "$.server.port")
        } else if isDefault {
            configuration.port = standard
        } else if server?[key: "port"] == nil {
            problem("$.server.port", "missing; the legacy default is \(standard)")
        }

        if let cache = number(server, "cache") {
            // 0 counts as not given, as it always did.
            if cache < 0 || cache != cache.rounded() || cache > 0x1p53 {
                problem("$.server.cache", "expected a positive whole number of milliseconds")
            } else if cache > 0 {
                configuration.cacheLifetime = .milliseconds(Int64(cache))
            }
        }
        configuration.cacheBytes = whole(server, "cacheBytes", from: 1, of: "bytes")
        // Less would be no room for one answer beside another.
        configuration.memoryBytes = whole(server, "memoryBytes", from: 16 << 20, of: "bytes")
        configuration.connections = whole(server, "connections", from: 1, of: "connections")
        if let time = milliseconds(server, "staleFor", from: 0, to: 86_400_000) { configuration.staleFor = time }
        if let time = milliseconds(server, "deadline", from: 1) { configuration.deadline = time }
        if let time = milliseconds(server, "headTimeout", from: 1) { configuration.headTimeout = time }
        if let time = milliseconds(server, "bodyTimeout", from: 1) { configuration.bodyTimeout = time }
        if let time = milliseconds(server, "drain", from: 0) { configuration.drain = time }
        if let cap = number(server, "limitCap") {
            if let cap = Int32(exactly: cap), cap > 0 {
                configuration.limitCap = Int(cap)
            } else {
                problem("$.server.limitCap", "expected a positive whole number")
            }
        }
        if let value = server?[key: "compression"], value != .null { setCompression(value) }
        configuration.sendsValidators = flag(server, "validators") ?? false
        configuration.redactsAddresses = flag(server, "redactAddresses") ?? false
        configuration.logsRequests = flag(server, "requestLog") ?? false
        let isEnabled = flag(server, "enable") ?? true
        let onlyHealth = flag(server, "onlyHealth") ?? false
        if !isEnabled && configuration.role == .core {
            configuration.service = .retired
        } else if !isEnabled || onlyHealth {
            configuration.service = .healthOnly
        }
    }

    private mutating func setCompression(_ value: JSONValue) {
        if let isWanted = value.bool {
            configuration.codings = isWanted ? ContentCoding.allCases : []
            return
        }
        var codings: [ContentCoding] = []
        var isFine = false
        if case .array(let names) = value {
            codings = names.compactMap { $0.string.flatMap { ContentCoding(rawValue: $0) } }
            isFine = codings.count == names.count && Set(codings).count == names.count
        }
        if isFine {
            configuration.codings = codings
        } else {
            let names = ContentCoding.allCases.map(\.rawValue).joined(separator: ", ")
            problem("$.server.compression", "expected true, false, or a list of different ones of \(names)")
        }
    }

    private mutating func readDatabase(_ database: JSONValue?, isDefault: Bool, environment: [String: String]) {
        if let names = database?[key: "mustHave"], names != .null { setMustHave(names) }
        if let uri = environment["GATEWAY_DB_URI"] {
            setDatabase(uri, "GATEWAY_DB_URI")
        } else if let database = section(database, "$.db"), isGiven(database, "uri") {
            if let uri = text(database, "uri", at: "$.db") { setDatabase(uri, "$.db.uri") }
        } else if let mongo = section(database?[key: "mongo"], "$.db.mongo"), isGiven(mongo, "uri") {
            if let uri = text(mongo, "uri", at: "$.db.mongo") { setDatabase(uri, "$.db.mongo.uri") }
        } else if !isDefault {
            // The legacy server's own default.
            configuration.database = .mongodb(uri: "mongodb://localhost:27017/otv")
        }
    }

    /// A section of the file; nil where there is none, or none that can be read.
    private mutating func section(_ value: JSONValue?, _ path: String) -> JSONValue? {
        guard let value, value != .null else { return nil }
        if case .object = value { return value }
        problem(path, "expected an object")
        return nil
    }

    private func isGiven(_ object: JSONValue, _ key: String) -> Bool {
        guard let value = object[key: key] else { return false }
        return value != .null
    }

    private func hasControls(_ text: String) -> Bool {
        text.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F }
    }

    private mutating func givenHost(
        _ server: JSONValue?, _ environment: [String: String], _ options: Options
    ) -> (host: String, path: String)? {
        if let host = options.host { return (host, "--host") }
        if let host = environment["GATEWAY_HOST"] { return (host, "GATEWAY_HOST") }
        return text(server, "host").map { ($0, "$.server.host") }
    }

    private mutating func setHost(_ host: String, _ path: String) {
        let host = host.trimmed
        // What is no name and no address could only fail later, and be repeated then.
        let isHost = host.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || ".-_:%".utf8.contains(byte)
        }
        guard isHost, !host.isEmpty else { return problem(path, "expected an address or a name of this machine") }
        configuration.host = host
    }

    private mutating func setIdentity(_ identity: String?) {
        guard let identity else { return }
        // It becomes a header's value.
        guard identity.utf8.allSatisfy({ (0x20...0x7E).contains($0) }), !identity.contains("://") else {
            return problem("--identify", "expected printable ASCII")
        }
        configuration.identity = identity
    }

    private mutating func setMustHave(_ names: JSONValue) {
        guard case .array(let items) = names, items.allSatisfy({ $0.string?.isEmpty == false }) else {
            return problem("$.db.mustHave", "expected an array of names of collections")
        }
        configuration.mustHave = items.compactMap(\.string)
    }

    private mutating func setDatabase(_ text: String, _ path: String) {
        let uri = text.trimmed
        if hasControls(uri) { return problem(path, "a control character in the middle") }
        if uri == "sqlite::memory:" {
            configuration.database = .sample
        } else if uri.hasPrefix("sqlite:") {
            let file = String(uri.dropFirst("sqlite:".count))
            if file.isEmpty { problem(path, "no path after sqlite:") }
            if file.contains("://") { problem(path, "expected a path after sqlite:, not a URI") }
            configuration.database = .sqlite(path: file)
        } else if uri.hasPrefix("mongodb://") || uri.hasPrefix("mongodb+srv://") {
            do {
                try MongoStore.validate(uri: uri)
                configuration.database = .mongodb(uri: uri)
            } catch {
                problem(path, error.description)
            }
        } else {
            // The value may hold a password, so it is not repeated.
            problem(path, "expected a URI that begins with sqlite: or mongodb://")
        }
    }

    private mutating func setPort(_ value: Double, _ path: String) {
        if let port = UInt16(exactly: value) {
            configuration.port = Int(port)
        } else {
            problem(path, "expected a port number, 0 to 65535")
        }
    }

    private mutating func problem(_ path: String, _ message: String) {
        problems.append(ConfigurationProblem(path, message))
    }

    private mutating func text(_ object: JSONValue?, _ key: String, at path: String = "$.server") -> String? {
        guard let value = object?[key: key] else { return nil }
        if let text = value.string, !text.isEmpty { return text }
        problem("\(path).\(key)", "expected text")
        return nil
    }

    private mutating func number(_ object: JSONValue?, _ key: String) -> Double? {
        guard let value = object?[key: key], value != .null else { return nil }
        if let number = value.number { return number }
        problem("$.server.\(key)", "expected a number")
        return nil
    }

    private mutating func milliseconds(
        _ object: JSONValue?, _ key: String, from least: Double, to most: Double = 600_000
    ) -> Duration? {
        guard let value = number(object, key) else { return nil }
        if (least...most).contains(value) { return .milliseconds(Int64(value)) }
        problem("$.server.\(key)", "expected \(Int(least)) to \(Int(most)) milliseconds")
        return nil
    }

    private mutating func whole(_ object: JSONValue?, _ key: String, from least: Int, of what: String) -> Int? {
        guard let value = number(object, key) else { return nil }
        if let value = Int(exactly: value), value >= least { return value }
        problem(
            "$.server.\(key)",
            least == 1 ? "expected a positive whole number of \(what)" : "expected at least \(least) \(what)")
        return nil
    }

    private mutating func flag(_ object: JSONValue?, _ key: String) -> Bool? {
        guard let value = object?[key: key], value != .null else { return nil }
        if let flag = value.bool { return flag }
        problem("$.server.\(key)", "expected true or false")
        return nil
    }
}
