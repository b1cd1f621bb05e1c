import Glibc
import Reactor

/// Gives back what only starting needed.
enum StartUpMemory {
    /// Start-up walks the program's code once (conformance look-ups, configuration, the admin server), and the kernel maps
    /// sixteen pages around each touch: some twenty megabytes stay resident that serving hardly uses. Dropping the
    /// mapping of clean, file-backed pages loses nothing; what is still wanted comes back from the page cache, and the data
    /// plane's own code is a few hundred kilobytes.
    static func release() {
        guard let bytes = try? WholeFile.read("/proc/self/maps") else { return }
        let maps = String(decoding: bytes, as: UTF8.self)
        var path = [CChar](repeating: 0, count: 4_096)
        let length = readlink("/proc/self/exe", &path, path.count - 1)
        guard length > 0 else { return }
        let program = String(decoding: path[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        for line in maps.split(separator: "\n") where line.hasSuffix(program) {
            let parts = line.split(separator: " ", maxSplits: 2)
            guard parts.count == 3, parts[1].hasPrefix("r-") else { continue }
            let bounds = parts[0].split(separator: "-")
            // Read-only or executable, and private: never written, so there is nothing to lose.
            guard bounds.count == 2, let lower = UInt(bounds[0], radix: 16), let upper = UInt(bounds[1], radix: 16),
                upper > lower, parts[1] == "r-xp", let start = UnsafeMutableRawPointer(bitPattern: lower)
            else { continue }
            _ = madvise(start, Int(upper - lower), MADV_DONTNEED)
        }
    }
}
