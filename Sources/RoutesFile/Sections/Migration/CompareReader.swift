import JSONText
import Migration

/// Reads what counts when the answers of both sides are compared.
enum CompareReader {
    static func read(_ node: Node) -> CompareSpec? {
        guard let section = node.section(.migrationCompare) else { return nil }
        var spec = CompareSpec()
        section.read("headers", into: &spec.headers) { node in
            node.elements("a list of header names", maximum: 64)?.compactMap { self.header($0) }
        }
        section.read("ignore", into: &spec.ignore) { self.paths($0) }
        section.read("unordered", into: &spec.unordered) { node in
            node.elements("a list of JSON paths", maximum: CompareSpec.patternLimit)?.compactMap(self.unordered)
        }
        if spec.ignore.count + spec.unordered.count > CompareSpec.patternLimit {
            section.fail("expected at most \(CompareSpec.patternLimit) paths in \"ignore\" and \"unordered\"")
        }
        if let numbers = section["numbers"]?.section(.compareNumbers) {
            numbers.read("absolute", into: &spec.absolute) { self.number($0) }
            numbers.read("relative", into: &spec.relative) { self.number($0) }
        }
        section.read("recheck", into: &spec.recheck) { $0.integer(0...6_000) }
        section.read("templates", into: &spec.templates) { node in
            node.elements("a list of paths such as [\"/item/*\"]", maximum: CompareSpec.templateLimit)?.compactMap {
                $0.parsed("a path whose segments are whole words or *, such as \"/item/*\"") {
                    PathTemplate.Pattern($0)
                }
            }
        }
        if let redact = section["redact"]?.section(.compareRedact) {
            redact.read("paths", into: &spec.redactedPaths) { self.paths($0) }
            redact.read("query", into: &spec.redactedQuery) { node in
                node.elements("a list of names", maximum: 256)?.compactMap { $0.string("a name in a query") }
            }
        }
        return spec
    }

    /// Fields that differ between any two servers, or any two connections, are never compared.
    private static let neverCompared: Set<String> = [
        "connection", "content-length", "date", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding",
        "upgrade",
    ]

    private static func header(_ node: Node) -> String? {
        guard let name = node.token("a header name")?.lowercased() else { return nil }
        if self.neverCompared.contains(name) {
            node.fail("belongs to the connection or the moment, and is never compared")
        }
        return name
    }

    private static func paths(_ node: Node) -> [JSONPath]? {
        node.elements("a list of JSON paths", maximum: CompareSpec.patternLimit)?.compactMap(self.path)
    }

    private static func path(_ node: Node) -> JSONPath? {
        guard let text = node.string("a JSON path such as \"$..updatedAt\"") else { return nil }
        do throws(JSONPath.Malformed) {
            return try JSONPath(text)
        } catch {
            node.fail("\(text.quoted) is no JSON path, column \(error.column): \(error.message)")
            return nil
        }
    }

    private static func unordered(_ node: Node) -> CompareSpec.Unordered? {
        guard case .object = node.value.content else { return self.path(node).map { .init(path: $0) } }
        guard let section = node.section(.compareUnordered),
            let path = section.required("path").flatMap(self.path)
        else { return nil }
        var key: String?
        section.read("key", into: &key) { $0.string("the name of a member") }
        return .init(path: path, key: key)
    }

    private static func number(_ node: Node) -> String? {
        guard case .number(let digits) = node.value.content, !digits.hasPrefix("-") else {
            node.failExpecting("a number, not below 0")
            return nil
        }
        return digits
    }
}
