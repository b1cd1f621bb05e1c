import JSONText
import Traffic

/// Reads which requests of a plan's routes may be copied, and what copies may use.
enum MirrorReader {
    static func read(_ node: Node) -> MirrorSpec? {
        guard let section = node.section(.migrationMirror) else { return nil }
        var spec = MirrorSpec()
        var isUnsafe = false
        section.read("unsafe", into: &isUnsafe) { $0.bool() }
        if let nodes = section["methods"]?.elements("a list of methods", minimum: 1, maximum: 16) {
            spec.methods = []
            for node in nodes {
                guard let method = node.token("a method such as \"GET\"")?.uppercased() else { continue }
                if !isUnsafe, method != "GET", method != "HEAD" {
                    node.fail("a copy of it may change data a second time: needs \"unsafe\": true")
                }
                if method == "CONNECT" { node.fail("cannot be copied") }
                if spec.methods.contains(method) { node.fail("was already given") }
                spec.methods.append(method)
            }
        }
        section.read("except", into: &spec.except) { node in
            node.elements("a list of paths such as [\"/admin\"]", maximum: 256)?.compactMap { $0.requestPath() }
        }
        section.read("drop", into: &spec.drop) { node in
            node.elements("a list of header names", maximum: 64)?.compactMap {
                $0.token("a header name")?.lowercased()
            }
        }
        section.read("perSecond", into: &spec.perSecond) { $0.integer(1...100_000) }
        section.read("connections", into: &spec.connections) { $0.integer(1...1_024) }
        section.read("queue", into: &spec.queue) { $0.integer(1...MirrorSpec.queueLimit) }
        section.read("memory", into: &spec.memory) { $0.size(65_536...MirrorSpec.memoryLimit) }
        section.read("timeout", into: &spec.timeout) { $0.duration(1...3_600_000) }
        return spec
    }
}
