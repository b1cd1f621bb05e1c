import Glibc

/// How many processors the process may keep busy: the least of those that are online, those that it may run on
/// (taskset, a unit's CPUAffinity, a cpuset), and the time that its control groups allow (a container's limit).
package struct AvailableProcessors: Sendable, Equatable, CustomStringConvertible {
    package var online: Int
    /// By the affinity mask; nil: not known.
    package var allowed: Int?
    /// Of processors' time, by the control groups; nil: unlimited.
    package var share: ProcessorShare?

    package init(online: Int, allowed: Int? = nil, share: ProcessorShare? = nil) {
        self.online = online
        self.allowed = allowed
        self.share = share
    }

    /// At least 1.
    package var count: Int {
        max(1, min(self.online, self.allowed ?? .max, self.share?.processors ?? .max))
    }

    /// Such as `8 online, 4 allowed, 1.50 by control group`.
    package var description: String {
        var parts = ["\(self.online) online"]
        if let allowed = self.allowed { parts.append("\(allowed) allowed") }
        if let share = self.share { parts.append("\(share) by control group") }
        return parts.joined(separator: ", ")
    }

    /// What the system says now. What it does not say limits nothing.
    package static func read() -> AvailableProcessors {
        let places = ControlGroups.directories(
            cgroup: Self.text("/proc/self/cgroup"), mounts: Self.text("/proc/self/mountinfo"))
        let shares =
            places.unified.compactMap { ProcessorShare(maximum: Self.text($0 + "/cpu.max")) }
            + places.processor.compactMap {
                ProcessorShare(
                    quota: Self.text($0 + "/cpu.cfs_quota_us"), period: Self.text($0 + "/cpu.cfs_period_us"))
            }
        return AvailableProcessors(
            online: max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))),
            allowed: Self.allowed(status: Self.text("/proc/self/status")), share: shares.min())
    }

    private static func text(_ path: String) -> String {
        String(decoding: (try? WholeFile.read(path, waits: false)) ?? [], as: UTF8.self)
    }

    /// Processors in the mask of `/proc/self/status`; nil: it has none.
    static func allowed(status: String) -> Int? {
        guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("Cpus_allowed:") }) else {
            return nil
        }
        // Hexadecimal, in groups.
        let count = line.drop { $0 != ":" }.compactMap(\.hexDigitValue).reduce(0) { $0 + $1.nonzeroBitCount }
        return count > 0 ? count : nil
    }
}

/// Processors' time that a control group gets: so many microseconds of each period, over all processors.
package struct ProcessorShare: Sendable, Equatable, Comparable, CustomStringConvertible {
    let quota: UInt64
    let period: UInt64

    private init?(_ quota: some StringProtocol, _ period: some StringProtocol) {
        // Bounds that the kernel's own (a second's period, a day's quota) lie far within, so that nothing overflows below.
        guard let quota = UInt64(quota), let period = UInt64(period), (1...1 << 40).contains(quota),
            (1...1 << 20).contains(period)
        else { return nil }
        (self.quota, self.period) = (quota, period)
    }

    /// From version 2's `cpu.max`: `150000 100000`. nil: `max 100000`, or no such file.
    init?(maximum text: String) {
        let words = text.split(whereSeparator: \.isWhitespace)
        guard words.count == 2 else { return nil }
        self.init(words[0], words[1])
    }

    /// From version 1's `cpu.cfs_quota_us` and `cpu.cfs_period_us`. nil: `-1`, or no such files.
    init?(quota: String, period: String) {
        self.init(quota.filter { !$0.isWhitespace }, period.filter { !$0.isWhitespace })
    }

    /// Rounded up: half a processor's time still wants one worker.
    package var processors: Int { Int(clamping: (self.quota + self.period - 1) / self.period) }

    package static func < (one: ProcessorShare, other: ProcessorShare) -> Bool {
        one.quota * other.period < other.quota * one.period
    }

    /// Two decimals, rounded down: `1.50`.
    package var description: String {
        let hundredths = self.quota * 100 / self.period
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }
}

/// Where the control groups of the process are, by what the kernel says of it.
enum ControlGroups {
    typealias Directories = (unified: [String], processor: [String])

    /// The directories of the process's groups and of those above, whose limits count too, as far as they can be seen:
    /// of version 2, and of version 1's processor controller. Both may be there.
    static func directories(cgroup: String, mounts: String) -> Directories {
        var found: Directories = ([], [])
        for line in cgroup.split(separator: "\n") {
            // hierarchy:controllers:path
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let controllers = parts[1].split(separator: ",")
            let isUnified = parts[0] == "0" && controllers.isEmpty
            guard isUnified || controllers.contains("cpu") else { continue }
            for mount in mounts.split(separator: "\n").compactMap({ Mount($0) }) {
                if isUnified, mount.type == "cgroup2" {
                    found.unified += Self.chain(String(parts[2]), mount)
                } else if !isUnified, mount.type == "cgroup", mount.options.contains("cpu") {
                    found.processor += Self.chain(String(parts[2]), mount)
                }
            }
        }
        return found
    }

    /// From the group up to the mount point. What lies outside of the mounted part cannot be seen.
    private static func chain(_ path: String, _ mount: Mount) -> [String] {
        var rest = path
        if mount.root != "/" {
            rest =
                path == mount.root
                ? "" : path.hasPrefix(mount.root + "/") ? String(path.dropFirst(mount.root.count)) : ""
        }
        let names = rest.split(separator: "/")
        // A group beside the process's namespace: /../other.
        guard !names.contains("..") else { return [mount.point] }
        return (0...names.count).reversed().map { count in
            names[..<count].reduce(mount.point) { "\($0)/\($1)" }
        }
    }

    /// A line of `/proc/self/mountinfo`: `34 33 0:29 ROOT POINT rw … - TYPE SOURCE OPTIONS`.
    private struct Mount {
        var root: String
        var point: String
        var type: String
        var options: [Substring]

        init?(_ line: Substring) {
            let words = line.split(separator: " ")
            guard let dash = words.dropFirst(6).firstIndex(of: "-"), words.count > dash + 3 else { return nil }
            self.root = String(words[3])
            self.point = String(words[4])
            self.type = String(words[dash + 1])
            self.options = words[dash + 3].split(separator: ",")
        }
    }
}
