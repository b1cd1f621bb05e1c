import Glibc
import Traffic

/// Reads `routes.json`: the text becomes a whole and valid configuration, or the list of everything that is wrong.
package enum RoutesFile {
    /// Host names among the endpoints are looked up by `resolver`, which may block for seconds: not for a thread that
    /// others wait for.
    package static func parse(_ bytes: [UInt8], resolver: HostResolver = .system) throws(ConfigurationRejected)
        -> BalancerConfiguration
    {
        let value: JSONValue
        do {
            value = try JSONReader.read(bytes)
        } catch {
            throw ConfigurationRejected(problems: [
                ConfigurationProblem(
                    path: "$", message: "not JSON, column \(error.column): \(error.message)", line: error.line)
            ])
        }
        let report = ProblemReport()
        let root = Node(value: value, path: "$", report: report)
        self.reportRepeatedNames(in: root)
        let configuration = ConfigurationReader(resolver: resolver).read(root)
        guard let configuration, report.isEmpty else { throw ConfigurationRejected(problems: report.sorted) }
        return configuration
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

    /// Reads the file at `path`. Its problems carry that path.
    package static func load(path: String, resolver: HostResolver = .system) throws(ConfigurationRejected)
        -> BalancerConfiguration
    {
        do throws(ConfigurationRejected) {
            return try self.parse(try self.bytes(path: path), resolver: resolver)
        } catch {
            throw ConfigurationRejected(
                problems: error.problems.map { problem in
                    var problem = problem
                    problem.file = path
                    return problem
                })
        }
    }

    /// At most one byte more than the reader takes, so that a file without end is refused, not read.
    private static func bytes(path: String) throws(ConfigurationRejected) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw self.unreadable(errno) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= JSONReader.sizeLimit {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 {
                let code = errno
                if code == EINTR { continue }
                throw self.unreadable(code)
            }
            if count == 0 { break }
            bytes.append(contentsOf: chunk[..<count])
        }
        return bytes
    }

    private static func unreadable(_ code: Int32) -> ConfigurationRejected {
        ConfigurationRejected(problems: [
            ConfigurationProblem(path: "$", message: "cannot be read: \(String(cString: strerror(code)))")
        ])
    }

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
