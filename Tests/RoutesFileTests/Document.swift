import RoutesFile
import Testing
import Traffic

/// A small valid document, into whose parts a test writes.
struct Document {
    /// Members of the document, each followed by a comma.
    var top = ""
    var listeners = #"[{ "name": "public", "address": "127.0.0.1:8080" }]"#
    /// Members of the upstream `core`.
    var core = #""endpoints": ["127.0.0.1:3300"]"#
    var upstreams: String?
    /// Members of the only route.
    var route = #""split": { "core": 1 }"#
    var routes: String?

    var text: String {
        """
        { \(self.top)
          "listeners": \(self.listeners),
          "upstreams": \(self.upstreams ?? "{ \"core\": { \(self.core) } }"),
          "routes": \(self.routes ?? "[{ \(self.route) }]") }
        """
    }

    func parse() throws(ConfigurationRejected) -> BalancerConfiguration {
        try RoutesFile.parse(Array(self.text.utf8))
    }

    func problems() -> [ConfigurationProblem] { RoutesFileTests.problems(self.text) }
}

/// What is wrong in a text; empty if it is accepted.
func problems(_ text: String) -> [ConfigurationProblem] {
    do {
        _ = try RoutesFile.parse(Array(text.utf8))
        return []
    } catch {
        return error.problems
    }
}

func address(_ text: String) throws -> SocketAddress { try #require(SocketAddress(parsing: text)) }
