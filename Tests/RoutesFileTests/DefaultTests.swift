import JSONText
import RoutesFile
import Testing
import Traffic

/// What the schema tells operators of a key that is left out is what they get.
@Suite("Defaults")
struct DefaultTests {
    /// A document with these members in a section, beside what the section cannot be without. nil: it is not known here.
    private static func document(_ section: String, _ members: String) -> Document? {
        func joined(_ parts: String...) -> String { parts.filter { !$0.isEmpty }.joined(separator: ", ") }
        let core = #""endpoints": ["127.0.0.1:3300"]"#
        let split = #""split": { "core": 1 }"#
        func listener(_ keys: String) -> Document {
            Document(listeners: #"[{ "name": "public", "address": "127.0.0.1:8080", \#(keys) }]"#)
        }
        func tls(_ keys: String) -> Document {
            listener(#""tls": { \#(joined(#""certificates": [{ "certificate": "/a", "key": "/b" }]"#, keys)) }"#)
        }
        let user = #""users": { "a": "$5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM." }"#
        switch section {
        case "admin", "accessLog", "batching", "operationalLog", "guard", "forwarding", "errors", "timeouts", "limits",
            "buffering":
            // Of some the presence alone says something, and some have a key that they must have.
            let needsMembers = ["guard"].contains(section) || !members.isEmpty
            return Document(top: needsMembers ? #""\#(section)": { \#(members) },"# : "")
        case "tracing":
            return Document(top: #""tracing": { \#(joined(#""endpoint": "http://a/""#, members)) },"#)
        case "http2Limits": return Document(top: #""limits": { "http2": { \#(members) } },"#)
        case "tlsLimits": return Document(top: #""limits": { "tls": { \#(members) } },"#)
        case "upstream": return Document(core: joined(core, members))
        case "health", "passive", "queue", "retry":
            return Document(core: joined(core, #""\#(section)": { \#(members) }"#))
        case "expect": return Document(core: joined(core, #""health": { "expect": { \#(members) } }"#))
        case "upstreamTLS": return Document(core: joined(core, #""tls": { \#(members) }"#))
        case "dnsDiscovery":
            return Document(core: #""discovery": { "dns": { \#(joined(#""name": "a", "port": 1"#, members)) } }"#)
        case "srvDiscovery": return Document(core: #""discovery": { "srv": { \#(joined(#""name": "a""#, members)) } }"#)
        case "route": return Document(route: joined(split, members))
        case "compression", "match", "override":
            return Document(route: joined(split, #""\#(section)": { \#(members) }"#))
        case "basicAuth":
            return Document(route: joined(split, #""basicAuth": { \#(joined(#""realm": "a""#, user, members)) }"#))
        case "rateLimit":
            let limit = #""name": "a", "key": { "by": "client-address" }, "rate": "1/s""#
            return Document(route: joined(split, #""rateLimit": [{ \#(joined(limit, members)) }]"#))
        case "redirect": return Document(route: #""redirect": { \#(joined(#""scheme": "https""#, members)) }"#)
        case "respond": return Document(route: #""respond": { \#(members) }"#)
        case "listenerTLS": return tls(members)
        case "tickets": return tls(#""tickets": { \#(members) }"#)
        case "clientCertificates":
            return tls(#""clientCertificates": { \#(joined(#""ca": "/a", "mode": "optional""#, members)) }"#)
        case "proxyProtocol": return listener(#""proxyProtocol": { \#(joined(#""from": ["10.0.0.0/8"]"#, members)) }"#)
        default: return nil
        }
    }

    private static func text(_ value: JSONValue) -> String {
        switch value.content {
        case .null: "null"
        case .bool(let flag): "\(flag)"
        case .number(let number): "\(number)"
        case .string(let text): "\"\(text)\""
        case .array(let elements): "[\(elements.map(Self.text).joined(separator: ", "))]"
        case .object(let members):
            "{\(members.map { "\"\($0.name)\": \(Self.text($0.value))" }.joined(separator: ", "))}"
        }
    }

    @Test("What the schema calls a key's default is what holds without the key")
    func schema() throws {
        let schema = try JSONReader.read(try Repository.bytes("routes.schema.json"))
        guard case .object(let definitions)? = schema["$defs"]?.content else { throw SchemaMissing() }
        var compared = 0
        for definition in definitions {
            guard case .object(let properties)? = definition.value["properties"]?.content else { continue }
            for property in properties {
                guard let value = property.value["default"], let without = Self.document(definition.name, ""),
                    let with = Self.document(definition.name, "\"\(property.name)\": \(Self.text(value))")
                else { continue }
                let words = "\(definition.name).\(property.name)"
                #expect(with.problems().isEmpty && without.problems().isEmpty, "\(words)")
                guard let given = try? with.parse(), let implied = try? without.parse() else { continue }
                #expect(given == implied, "\(words) is not \(Self.text(value)) by default")
                compared += 1
            }
        }
        #expect(compared > 90, "\(compared)")
    }

    private struct SchemaMissing: Error {}
}
