@testable import Reactor
import Testing

/// The numbers by which workers are counted, from texts as kernels write them.
@Suite("Available processors")
struct AvailableProcessorsTests {
    @Test(
        "The least of what there is counts, rounded up, and never none",
        arguments: [
            (8, nil, nil, 8), (8, 3, nil, 3), (8, 3, "150000 100000", 2), (8, nil, "50000 100000", 1),
            (2, 4, "900000 100000", 2), (8, nil, "200000 100000", 2), (8, nil, "200001 100000", 3),
            (8, nil, "1000 100000", 1), (64, 64, "max 100000", 64),
        ] as [(Int, Int?, String?, Int)])
    func least(online: Int, allowed: Int?, maximum: String?, count: Int) {
        let processors = AvailableProcessors(
            online: online, allowed: allowed, share: maximum.flatMap { ProcessorShare(maximum: $0) })
        #expect(processors.count == count)
    }

    @Test(
        "cpu.max is a quota and a period, or no limit",
        arguments: [
            ("150000 100000\n", "1.50"), ("max 100000\n", nil), ("5000 100000", "0.05"), ("100000 100000", "1.00"),
            ("", nil), ("100000", nil), ("-1 100000", nil), ("100000 0", nil), ("0 100000", nil),
            ("99999999999999999999 1", nil), ("x y", nil),
        ])
    func maximum(text: String, share: String?) {
        #expect(ProcessorShare(maximum: text)?.description == share)
    }

    @Test("Version 1 has two files, and -1 for no limit")
    func quota() {
        #expect(ProcessorShare(quota: "250000\n", period: "100000\n")?.processors == 3)
        #expect(ProcessorShare(quota: "-1\n", period: "100000\n") == nil)
        #expect(ProcessorShare(quota: "", period: "") == nil)
    }

    @Test("The stricter of two groups counts, whatever their periods")
    func stricter() throws {
        let one = try #require(ProcessorShare(maximum: "150000 100000"))
        let other = try #require(ProcessorShare(maximum: "70000 50000"))
        #expect([one, other].min() == other)
    }

    @Test(
        "The mask of the status file",
        arguments: [
            ("Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t0-7\n", 8), ("Cpus_allowed:\t1,00000003\n", 3),
            ("Cpus_allowed:\t0\n", nil), ("Name:\tx\n", nil), ("", nil),
        ])
    func mask(status: String, count: Int?) {
        #expect(AvailableProcessors.allowed(status: status) == count)
    }

    private static let unifiedMount = "29 23 0:26 / /sys/fs/cgroup ro,nosuid shared:4 - cgroup2 cgroup rw,nsdelegate\n"

    @Test("Version 2: the group's own limit and those above it, as far as the namespace shows")
    func unified() {
        let inside = ControlGroups.directories(cgroup: "0::/\n", mounts: Self.unifiedMount)
        #expect(inside.unified == ["/sys/fs/cgroup"] && inside.processor.isEmpty)
        let outside = ControlGroups.directories(
            cgroup: "0::/system.slice/balancer.service\n",
            mounts: "1 0 8:1 / / rw - ext4 /dev/sda rw\n" + Self.unifiedMount)
        #expect(
            outside.unified == [
                "/sys/fs/cgroup/system.slice/balancer.service", "/sys/fs/cgroup/system.slice", "/sys/fs/cgroup",
            ])
        let beside = ControlGroups.directories(cgroup: "0::/../pod2/x\n", mounts: Self.unifiedMount)
        #expect(beside.unified == ["/sys/fs/cgroup"])
    }

    @Test("Version 1: the mount shows a part of the hierarchy, whose path the group's begins with")
    func first() {
        let mounts = """
            32 31 0:29 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro,relatime master:5 - cgroup cgroup rw,cpu,cpuacct
            33 31 0:30 /docker/abc /sys/fs/cgroup/cpuset ro,relatime master:6 - cgroup cgroup rw,cpuset

            """
        let found = ControlGroups.directories(
            cgroup: "5:cpuset:/docker/abc\n4:cpu,cpuacct:/docker/abc/inner\n1:name=systemd:/docker/abc\n",
            mounts: mounts)
        #expect(found.unified.isEmpty)
        #expect(found.processor == ["/sys/fs/cgroup/cpu,cpuacct/inner", "/sys/fs/cgroup/cpu,cpuacct"])
    }

    @Test("Both versions beside each other, and texts that are none")
    func mixed() {
        let found = ControlGroups.directories(
            cgroup: "2:cpu:/a\n0::/b\n",
            mounts: "1 2 0:3 / /cpu rw - cgroup cgroup rw,cpu\n4 5 0:6 / /unified rw - cgroup2 cgroup2 rw\n")
        #expect(found.processor == ["/cpu/a", "/cpu"] && found.unified == ["/unified/b", "/unified"])
        let none = ControlGroups.directories(cgroup: "x\n:::\n0:", mounts: "- - -\n1 2 3 4 5 6 7 8\n\n")
        #expect(none.processor.isEmpty && none.unified.isEmpty)
    }

    @Test("This machine has at least one for us")
    func here() {
        #expect(AvailableProcessors.read().count >= 1)
    }
}
