import FoundationEssentials

/// How much memory the process may take before it is killed.
package struct MemoryLimit: Sendable, Equatable {
    /// In bytes.
    package let bytes: Int
    /// Whether a container's group says so, and not the size of the machine.
    package let isOfGroup: Bool

    package init(bytes: Int, isOfGroup: Bool) {
        self.bytes = bytes
        self.isOfGroup = isOfGroup
    }

    /// What the kernel says now: the least of the limits of the groups that the process is in (cgroup v1 or v2) and of the
    /// groups that these are in; else the machine's memory.
    package static func current() -> MemoryLimit {
        let machine = Int(clamping: ProcessInfo.processInfo.physicalMemory)
        let group = ofGroup(
            membership: text("/proc/self/cgroup") ?? "", mounts: text("/proc/self/mounts") ?? "", read: text)
        guard let group, group < machine else { return MemoryLimit(bytes: machine, isOfGroup: false) }
        return MemoryLimit(bytes: group, isOfGroup: true)
    }

    private static func text(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }

    /// - Parameters:
    ///   - membership: `/proc/self/cgroup`.
    ///   - mounts: `/proc/self/mounts`.
    ///   - read: the content of a file, nil when there is none.
    /// - Returns: the least limit; nil when no group has one.
    static func ofGroup(membership: String, mounts: String, read: (String) -> String?) -> Int? {
        var limits: [Int] = []
        for line in membership.split(separator: "\n") {
            // Number, controllers, path; no controllers in version 2.
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let isSecond = parts[1].isEmpty
            guard isSecond || parts[1].split(separator: ",").contains("memory") else { continue }
            let file = isSecond ? "memory.max" : "memory.limit_in_bytes"
            for mount in mountPoints(mounts, isSecond: isSecond) {
                // Inside a container the path may be the host's while the mount shows the container's own group.
                for group in ancestors(of: parts[2]) {
                    // "max" is no number: no limit.
                    guard let text = read("\(mount)\(group)/\(file)"),
                        let limit = Int(text.trimmed), limit > 0
                    else { continue }
                    limits.append(limit)
                }
            }
        }
        return limits.min()
    }

    private static func mountPoints(_ mounts: String, isSecond: Bool) -> [String] {
        mounts.split(separator: "\n").compactMap { line in
            let parts = line.split(separator: " ")
            guard parts.count > 3 else { return nil }
            let isRight =
                isSecond
                ? parts[2] == "cgroup2" : parts[2] == "cgroup" && parts[3].split(separator: ",").contains("memory")
            return isRight ? String(parts[1]) : nil
        }
    }

    /// A group and those that it is in, the outermost as nothing.
    private static func ancestors(of path: Substring) -> [String] {
        var groups: [String] = [""]
        var group = ""
        for name in path.split(separator: "/") where name != ".." {
            group += "/" + name
            groups.append(group)
        }
        return groups
    }
}

/// How the memory that there is is divided.
package struct MemoryPlan: Sendable, Equatable {
    /// For answers that are made, kept and sent.
    package let answers: Int
    /// Of that, for those that are kept.
    package let kept: Int
    /// The most connections.
    package let connections: Int
    /// The most bytes of a connection's that wait in the kernel; nil for as many as it likes.
    package let unsent: Int?

    /// What a connection may take outside of the budget, in the kernel and in the loops: a reader that has stopped holds as
    /// much.
    private static let ofConnection = 256 * 1024

    /// - Parameter descriptors: how many files the process may have open.
    package init(_ configuration: GatewayConfiguration, limit: MemoryLimit, descriptors: Int) {
        // Divided first: a machine's memory times sixty is more than a number holds one day.
        answers = configuration.memoryBytes ?? limit.bytes / 100 * 60
        kept = min(configuration.cacheBytes ?? 256 << 20, answers / 2)
        let most = limit.bytes / 5 / Self.ofConnection
        // Some are needed for the database, the log and the listener; where few are to be had, half of them.
        connections = max(
            1, min(configuration.connections ?? min(max(most, 64), 10_000), descriptors - min(64, descriptors / 2)))
        unsent = limit.isOfGroup ? Self.ofConnection / 2 : nil
    }
}
