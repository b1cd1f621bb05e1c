import JSONText
import Traffic

/// Reads `routes.json`: the text becomes a whole and valid configuration, or the list of everything that is wrong.
package enum RoutesFile {
    /// Endpoints given by name stay names: a name that nobody knows now is no fault of the file.
    package static func parse(_ bytes: [UInt8]) throws(ConfigurationRejected) -> BalancerConfiguration {
        try self.document(bytes) { ConfigurationReader().read($0) }
    }

    /// A whole document, or everything that is wrong in it.
    static func document<Value>(
        _ bytes: [UInt8], _ read: (Node) -> Value?
    ) throws(ConfigurationRejected) -> Value {
        let json: JSONValue
        do {
            json = try JSONReader.read(bytes)
        } catch {
            throw ConfigurationRejected(problems: [
                ConfigurationProblem(
                    path: "$", message: "not JSON, column \(error.column): \(error.message)", line: error.line)
            ])
        }
        let report = ProblemReport()
        let root = Node(value: json, path: "$", report: report)
        self.reportRepeatedNames(in: root)
        let value = read(root)
        guard let value, report.isEmpty else { throw ConfigurationRejected(problems: report.sorted) }
        return value
    }

    /// Any other JSON text that an operator sends, read as strictly as the file: with the names that it gives twice.
    package static func json(_ bytes: [UInt8]) throws(JSONSyntaxError) -> (
        value: JSONValue, problems: [ConfigurationProblem]
    ) {
        let value = try JSONReader.read(bytes)
        let report = ProblemReport()
        self.reportRepeatedNames(in: Node(value: value, path: "$", report: report))
        return (value, report.sorted)
    }

    /// The JSON path of one endpoint in an upstream's list.
    package static func path(ofEndpoint position: Int, upstream: String) -> String {
        Node.path("$.upstreams", upstream) + ".endpoints[\(position)]"
    }

    /// The JSON path of an upstream.
    package static func path(ofUpstream name: String) -> String { Node.path("$.upstreams", name) }

    /// RFC 8259 §4 leaves the meaning of repeated names open; whichever one were taken, the operator may have meant
    /// the other.
    private static func reportRepeatedNames(in node: Node) {
        switch node.value.content {
        case .array(let elements):
            for (index, element) in elements.enumerated() {
                self.reportRepeatedNames(
                    in: Node(value: element, path: Node.path(node.path, index), report: node.report))
            }
        case .object(let members):
            var lines: [String: Int] = [:]
            for member in members {
                let child = node.child(member)
                if let first = lines[member.name] {
                    node.report.add(
                        child.path, line: member.line,
                        "the key \(member.name.quoted) was already given in line \(first)")
                } else {
                    lines[member.name] = member.line
                }
                self.reportRepeatedNames(in: child)
            }
        case .null, .bool, .number, .string: break
        }
    }
}
