import JSONText
import Traffic

/// Reads which answers of a route are compressed.
enum CompressionReader {
    static func read(_ node: Node) -> CompressionSpec? {
        guard let section = node.section(.compression) else { return nil }
        var spec = CompressionSpec()
        if let nodes = section["algorithms"]?.elements(
            "a list of \"zstd\", \"br\" and \"gzip\"", minimum: 1, maximum: 3)
        {
            spec.algorithms = []
            for node in nodes {
                guard let coding = node.word([("zstd", ContentCoding.zstd), ("br", .brotli), ("gzip", .gzip)]) else {
                    continue
                }
                if spec.algorithms.contains(coding) { node.fail("was already given") }
                spec.algorithms.append(coding)
            }
        }
        section.read("minimum", into: &spec.minimum) { $0.size(0...UInt64(1 << 30)) }
        section.read("types", into: &spec.types) { node in
            node.elements("a list of types such as [\"text/*\", \"application/json\"]", minimum: 1, maximum: 100)?
                .compactMap { node in
                    node.parsed("a type such as \"text/html\", \"text/*\" or \"application/*+json\"") { text in
                        let text = text.lowercased()
                        return MediaTypes.isPattern(text) ? text : nil
                    }
                }
        }
        section.read("credentials", into: &spec.credentials) { $0.bool() }
        section.read("level", into: &spec.level) { $0.integer(1...9) }
        return spec
    }
}
