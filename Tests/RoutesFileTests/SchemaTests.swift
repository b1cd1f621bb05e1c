import Glibc
import JSONText
import RoutesFile
import Testing
import Traffic

@Suite("The JSON Schema")
struct SchemaTests {
    private let schema: JSONValue

    init() throws {
        self.schema = try JSONReader.read(try Repository.bytes("routes.schema.json"))
    }

    private func names(_ value: JSONValue?) -> [String] {
        guard case .object(let members)? = value?.content else { return [] }
        return members.map(\.name)
    }

    private func definition(_ section: SectionKeys) -> JSONValue? {
        section.name.isEmpty ? self.schema : self.schema["$defs"]?[section.name]
    }

    @Test("Has for every section exactly the keys that are read, and lets no other through", arguments: SectionKeys.all)
    func keys(section: SectionKeys) throws {
        let definition = try #require(self.definition(section), "no definition \(section.name)")
        #expect(Set(self.names(definition["properties"])) == Set(section.keys))
        #expect(definition["additionalProperties"]?.content == .bool(false))
        #expect(Set(section.keys).count == section.keys.count)
    }

    @Test("Has no section that is not read")
    func noOthers() throws {
        let definitions = try #require(self.schema["$defs"])
        let withKeys = self.names(definitions).filter { definitions[$0]?["properties"] != nil }
        #expect(Set(withKeys) == Set(SectionKeys.all.map(\.name)).subtracting([""]))
    }

    @Test("Refers only to definitions that it has")
    func references() throws {
        let known = Set(self.names(self.schema["$defs"]).map { "#/$defs/\($0)" })
        var referred: Set<String> = []
        func walk(_ value: JSONValue) {
            switch value.content {
            case .array(let elements): elements.forEach(walk)
            case .object(let members):
                for member in members {
                    if member.name == "$ref", case .string(let target) = member.value.content {
                        referred.insert(target)
                    }
                    walk(member.value)
                }
            case .null, .bool, .number, .string: break
            }
        }
        walk(self.schema)
        #expect(referred == known)
    }

    @Test("Requires what must be there", arguments: SectionKeys.all)
    func required(section: SectionKeys) throws {
        let expected: [String: Set<String>] = [
            "": ["listeners", "upstreams", "routes"], "listener": ["name", "address"],
            "listenerTLS": ["certificates"], "certificate": ["certificate", "key"],
            "clientCertificates": ["ca", "mode"], "operationalLog": ["level"],
            "tracing": ["endpoint"],
            "batching": ["enabled"], "proxyProtocol": ["from"],
            "adminToken": ["name", "role", "sha256"], "adminTLS": ["certificate", "key"],
            "rateLimit": ["name", "key", "rate"], "basicAuth": ["realm"],
            "takeover": ["path"], "state": ["path"], "cluster": ["name"], "clusterEtcd": ["endpoints"],
            "dnsDiscovery": ["name", "port"], "srvDiscovery": ["name"],
            "endpointSlices": ["service", "port"], "balanceHash": ["hash"], "key": ["by"],
            "replace": ["prefix", "with"], "hostRewrite": ["literal"],
            "migration": ["name", "routes", "from", "to", "stages"], "migrationStage": ["hold"],
            "compareUnordered": ["path"], "gateMismatches": ["max"], "freezeWindow": ["zone"],
        ]
        var required: Set<String> = []
        if case .array(let names)? = self.definition(section)?["required"]?.content {
            for name in names { if case .string(let text) = name.content { required.insert(text) } }
        }
        #expect(required == expected[section.name] ?? [])
    }
}

/// The reference page names every key, and what it shows is accepted.
@Suite("The reference of routes.json")
struct ReferenceTests {
    private let page: String

    init() throws {
        self.page = String(decoding: try Repository.bytes("docs/routes.md"), as: UTF8.self)
    }

    @Test("Names every key", arguments: SectionKeys.all)
    func keys(section: SectionKeys) {
        for key in section.keys { #expect(self.page.contains("`\(key)`"), "\(section.name).\(key)") }
    }

    @Test("Shows only what is accepted")
    func examples() throws {
        let blocks = self.page.components(between: "```json\n", and: "```")
        #expect(blocks.count > 20)
        for block in blocks {
            let found = Example.problems(block)
            #expect(found.isEmpty, "\(block)\n\(found)")
        }
    }
}

/// An example of the reference: a whole document, or members of one, of an upstream, or of a route, as its first
/// key tells.
private enum Example {
    static func problems(_ block: String) -> [ConfigurationProblem] {
        if block.hasPrefix("{") { return RoutesFileTests.problems(block) }
        let key = block.drop { $0 != "\"" }.dropFirst().prefix { $0 != "\"" }
        // The sections that exist both for all routes and for one are shown for all; a route's are marked by its name.
        if SectionKeys.upstream.keys.contains(String(key)) {
            let hasEndpoints = key == "endpoints" || key == "discovery"
            return Document(core: hasEndpoints ? block : "\"endpoints\": [\"127.0.0.1:3300\"], \(block)")
                .problems()
        }
        if SectionKeys.document.keys.contains(String(key)) { return self.top(block, key: String(key)) }
        let hasAction = ["split", "redirect", "respond"].contains { block.contains("\"\($0)\"") }
        let action = hasAction ? "" : "\"split\": { \"core\": 1 }, "
        let upstreams = #"{ "core": { "endpoints": ["127.0.0.1:1"] }, "gateway": { "endpoints": ["127.0.0.1:2"] } }"#
        return Document(upstreams: upstreams, route: action + block).problems()
    }

    private static func top(_ block: String, key: String) -> [ConfigurationProblem] {
        switch key {
        case "listeners": Document(listeners: String(block.drop { $0 != "[" })).problems()
        default: Document(top: block + ",").problems()
        }
    }
}

extension String {
    /// The texts between each pair of marks.
    fileprivate func components(between opening: String, and closing: String) -> [String] {
        var found: [String] = []
        var rest = self[...]
        while let start = rest.firstRange(of: opening), let end = rest[start.upperBound...].firstRange(of: closing) {
            found.append(String(rest[start.upperBound..<end.lowerBound]))
            rest = rest[end.upperBound...]
        }
        return found
    }
}
