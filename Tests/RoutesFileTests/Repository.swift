import Glibc
import Testing

/// Files at the root of the package that tests read.
enum Repository {
    static func path(_ name: String) -> String {
        "\(#filePath)".split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" } + "/\(name)"
    }

    static func bytes(_ name: String) throws -> [UInt8] {
        let file = try #require(fopen(self.path(name), "r"), "cannot open \(name)")
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while case let count = fread(&chunk, 1, chunk.count, file), count > 0 { bytes += chunk[..<count] }
        return bytes
    }
}
