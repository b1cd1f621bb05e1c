import Glibc

/// What the kernel says of this process.
struct ProcessFigures: Sendable {
    /// User and system time, in seconds.
    let processorSeconds: Double
    let residentBytes: Int
    let openDescriptors: Int
    let mostDescriptors: Int
    let threads: Int

    /// Reads them now. What cannot be read is 0.
    static func current() -> ProcessFigures {
        var usage = rusage()
        let isKnown = getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0
        let seconds = [usage.ru_utime, usage.ru_stime].reduce(0.0) { $0 + Double($1.tv_sec) + Double($1.tv_usec) / 1e6 }
        return ProcessFigures(
            processorSeconds: isKnown ? seconds : 0, residentBytes: residentBytes(),
            // The descriptor of this very reading is no one's.
            openDescriptors: max(0, entries("/proc/self/fd") - 1), mostDescriptors: limitOfDescriptors(),
            threads: entries("/proc/self/task"))
    }

    /// How many files the process may have open.
    static func limitOfDescriptors() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
        return Int(clamping: limit.rlim_cur)
    }

    private static func residentBytes() -> Int {
        let descriptor = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return 0 }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = read(descriptor, &bytes, bytes.count)
        guard count > 0 else { return 0 }
        let fields = String(decoding: bytes[..<count], as: UTF8.self).split(separator: " ")
        guard fields.count > 1, let pages = Int(fields[1]) else { return 0 }
        return pages &* sysconf(Int32(_SC_PAGESIZE))
    }

    private static func entries(_ path: String) -> Int {
        guard let directory = opendir(path) else { return 0 }
        defer { closedir(directory) }
        var count = 0
        while let entry = readdir(directory) {
            // `.` and `..` begin with a dot, numbers do not.
            if entry.pointee.d_name.0 != CChar(UInt8(ascii: ".")) { count += 1 }
        }
        return count
    }
}
