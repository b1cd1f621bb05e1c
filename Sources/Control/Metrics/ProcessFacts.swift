import Glibc
import Reactor

/// What the kernel says of this process.
package struct ProcessFacts: Sendable, Equatable {
    package var residentBytes: UInt64
    /// User and system time.
    package var processorMicroseconds: UInt64
    package var openDescriptors: UInt64
    /// Milliseconds since 1970.
    package var startedMilliseconds: UInt64

    package init(
        residentBytes: UInt64, processorMicroseconds: UInt64, openDescriptors: UInt64, startedMilliseconds: UInt64
    ) {
        self.residentBytes = residentBytes
        self.processorMicroseconds = processorMicroseconds
        self.openDescriptors = openDescriptors
        self.startedMilliseconds = startedMilliseconds
    }

    /// Reads them now. What cannot be read is 0.
    package static func read(startedMilliseconds: UInt64) -> ProcessFacts {
        ProcessFacts(
            residentBytes: Self.residentBytes(), processorMicroseconds: Self.processorMicroseconds(),
            openDescriptors: Self.openDescriptors(), startedMilliseconds: startedMilliseconds)
    }

    private static func residentBytes() -> UInt64 {
        guard let bytes = try? WholeFile.read("/proc/self/statm") else { return 0 }
        let fields = String(decoding: bytes, as: UTF8.self).split(separator: " ")
        guard fields.count > 1, let pages = UInt64(fields[1]) else { return 0 }
        return pages &* UInt64(clamping: sysconf(Int32(_SC_PAGESIZE)))
    }

    private static func processorMicroseconds() -> UInt64 {
        var usage = rusage()
        guard getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return 0 }
        return [usage.ru_utime, usage.ru_stime].reduce(0) {
            $0 &+ UInt64(clamping: $1.tv_sec) &* 1_000_000 &+ UInt64(clamping: $1.tv_usec)
        }
    }

    private static func openDescriptors() -> UInt64 {
        guard let directory = opendir("/proc/self/fd") else { return 0 }
        defer { closedir(directory) }
        var count: UInt64 = 0
        while readdir(directory) != nil { count += 1 }
        // `.`, `..` and the descriptor of this very reading.
        return count > 3 ? count - 3 : 0
    }
}
