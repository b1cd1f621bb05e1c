import Dispatch
import Documents
import Glibc
import Synchronization
import Testing

@testable import GatewayService

@Suite("Memory budget")
struct MemoryBudgetTests {
    private static let first = """
        12:memory:/kubepods/pod1/c1
        4:cpu,cpuacct:/kubepods/pod1/c1
        0::/
        """
    private static let firstMounts = """
        cgroup /sys/fs/cgroup/memory cgroup rw,nosuid,memory 0 0
        cgroup /sys/fs/cgroup/cpu cgroup rw,cpu,cpuacct 0 0
        cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
        """
    private static let second = "0::/user.slice/run.scope\n"
    private static let secondMounts = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n"

    @Test(
        arguments: [
            // The group's own limit, and that of one around it.
            (
                first, firstMounts,
                [
                    "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
                    "/sys/fs/cgroup/memory/kubepods/pod1/memory.limit_in_bytes": "536870912\n",
                    "/sys/fs/cgroup/memory/kubepods/pod1/c1/memory.limit_in_bytes": "268435456\n",
                ], 268_435_456
            ),
            // In a container the mount shows the container's own group, under whatever path the host has it.
            (first, firstMounts, ["/sys/fs/cgroup/memory/memory.limit_in_bytes": "268435456\n"], 268_435_456),
            (
                second, secondMounts,
                [
                    "/sys/fs/cgroup/user.slice/memory.max": "300000000\n",
                    "/sys/fs/cgroup/user.slice/run.scope/memory.max": "max\n",
                ], 300_000_000
            ),
            ("0::/\n", secondMounts, ["/sys/fs/cgroup/memory.max": "1000\n"], 1000),
            ("0::/../x\n", secondMounts, ["/sys/fs/cgroup/x/memory.max": "1000\n"], 1000),
            (second, secondMounts, ["/sys/fs/cgroup/user.slice/memory.max": "max\n"], nil),
            (second, secondMounts, [:], nil), ("", "", [:], nil), ("nonsense", "nonsense", [:], nil),
            (first, firstMounts, ["/sys/fs/cgroup/memory/memory.limit_in_bytes": "-1\n"], nil),
        ] as [(String, String, [String: String], Int?)])
    func limitsOfGroups(membership: String, mounts: String, files: [String: String], limit: Int?) {
        #expect(MemoryLimit.ofGroup(membership: membership, mounts: mounts) { files[$0] } == limit)
    }

    @Test func thePlanFollowsTheLimit() {
        var configuration = GatewayConfiguration()
        let group = MemoryPlan(
            configuration, limit: MemoryLimit(bytes: 512 << 20, isOfGroup: true), descriptors: 65_536)
        #expect(group.answers == (512 << 20) / 100 * 60)
        #expect(group.kept == group.answers / 2)
        #expect(group.connections == 409)
        #expect(group.unsent != nil)
        let machine = MemoryPlan(
            configuration, limit: MemoryLimit(bytes: 64 << 30, isOfGroup: false), descriptors: 1024)
        #expect(machine.kept == 256 << 20)
        #expect(machine.connections == 960)
        #expect(machine.unsent == nil)
        configuration.memoryBytes = 100 << 20
        configuration.cacheBytes = 10 << 20
        configuration.connections = 5
        let given = MemoryPlan(configuration, limit: MemoryLimit(bytes: 512 << 20, isOfGroup: true), descriptors: 1024)
        #expect((given.answers, given.kept, given.connections) == (100 << 20, 10 << 20, 5))
    }

    @Test func whatIsGivenBackIsThereAgain() async {
        let budget = MemoryBudget(16 << 20)
        do {
            let lease = await budget.lease(10 << 20, within: .zero)
            #expect(budget.used == 10 << 20)
            #expect(lease?.take(9 << 20) == true)
            // Within what it was given: nothing more is taken.
            #expect(budget.used == 10 << 20)
            #expect(lease?.take(4 << 20) == true)
            #expect(budget.used == 13 << 20)
            #expect(lease?.take(4 << 20) == false)
            #expect(budget.used == 13 << 20)
            let body = budget.charge(1 << 20)
            #expect(budget.used == 14 << 20)
            withExtendedLifetime(body) {}
            withExtendedLifetime(lease) {}
        }
        #expect(budget.used == 0)
        #expect(budget.refusals == 1)
    }

    /// Small things go on where nothing large may begin.
    @Test func smallOnesHaveTheRest() async {
        let budget = MemoryBudget(16 << 20)
        let most = await budget.lease(14 << 20, within: .zero)
        #expect(most != nil)
        #expect(await budget.lease(1 << 20, within: .zero) == nil)
        #expect(await budget.lease(1000, within: .zero) != nil)
        // What was larger than everything once is tried when there is nothing else.
        withExtendedLifetime(most) {}
        let alone = MemoryBudget(16 << 20)
        #expect(await alone.lease(100 << 20, within: .zero) != nil)
    }

    @Test func thoseWhoWaitComeInTheirOrder() async {
        let budget = MemoryBudget(16 << 20)
        var first = await budget.lease(12 << 20, within: .zero)
        let order = Numbers()
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<3 {
                group.addTask {
                    let lease = await budget.lease(12 << 20, within: .seconds(60))
                    order.add(lease == nil ? -1 : number)
                    withExtendedLifetime(lease) {}
                }
                // Until it waits.
                while budget.waiting < number + 1 { await Task.yield() }
            }
            #expect(order.all.isEmpty)
            withExtendedLifetime(first) {}
            first = nil
        }
        #expect(order.all == [0, 1, 2])
        #expect(budget.used == 0)
    }

    @Test func othersGiveWayFirst() async {
        let budget = MemoryBudget(16 << 20)
        let cache = ResponseCache<MemoryLease>(lifetime: .seconds(60)) { _ in 1 << 20 }
        for number in 0..<13 { cache.store(budget.charge(1 << 20), for: "\(number)", now: .now) }
        let asked = Numbers()
        budget.relieve { missing in
            asked.add(missing)
            cache.shrink(by: 8 << 20)
        }
        #expect(await budget.lease(4 << 20, within: .zero) != nil)
        #expect(asked.all == [4 << 20])
        #expect(cache.count == 5)
        #expect(budget.used == 5 << 20)
    }

    // MARK: workers

    /// A group that hangs has its share and no more; the others go on.
    @Test func aGroupHasItsShare() async throws {
        let workers = BlockingWorkers(count: 8, groups: 2, share: 3)
        let gate = Gate()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<20 {
                group.addTask {
                    _ = try? await workers.run(group: 0) {
                        gate.wait()
                        return .success(1)
                    }
                }
            }
            while workers.load != (3, 17) { await Task.yield() }
            for number in 0..<50 {
                #expect((try? await workers.run(group: 1) { .success(number) }) == number)
            }
            // Whoever has its answer may see the thread that gave it still at work.
            while workers.load != (3, 17) { await Task.yield() }
            gate.open()
        }
        while workers.load != (0, 0) { await Task.yield() }
        await workers.close()
        await #expect(throws: StoreError.self) { try await workers.run { .success(1) } }
    }

    /// One that hangs fills its own queue, and nobody else's.
    @Test func aFullQueueIsItsGroupsOwn() async throws {
        let workers = BlockingWorkers(count: 2, groups: 2, share: 1)
        let gate = Gate()
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<1025 {
                group.addTask {
                    _ = try? await workers.run(group: 0) {
                        gate.wait()
                        return .success(1)
                    }
                }
                // The first one has begun: it waits for nothing.
                while number == 0, workers.load != (1, 0) { await Task.yield() }
            }
            while workers.load != (1, 1024) { await Task.yield() }
            await #expect(throws: StoreError.overloaded) { try await workers.run(group: 0) { .success(1) } }
            #expect((try? await workers.run(group: 1) { .success(2) }) == 2)
            gate.open()
        }
        await workers.close()
    }

    /// Whoever could not be served in time is told when it comes; whoever need not wait is tried.
    @Test func whatIsHopelessIsRefusedAtOnce() async throws {
        let workers = BlockingWorkers(count: 2, groups: 1, share: 1)
        _ = try await workers.run { () -> Result<Int, StoreError> in
            usleep(60_000)
            return .success(1)
        }
        while workers.load != (0, 0) { await Task.yield() }
        let gate = Gate()
        let slow = Task {
            try await workers.run { () -> Result<Int, StoreError> in
                gate.wait()
                return .success(1)
            }
        }
        while workers.load != (1, 0) { await Task.yield() }
        await #expect(throws: StoreError.overloaded) {
            try await workers.run(until: .now + .milliseconds(50)) { .success(2) }
        }
        let patient = Task { try await workers.run(until: .now + .seconds(60)) { .success(3) } }
        while workers.load != (1, 1) { await Task.yield() }
        gate.open()
        #expect(try await slow.value == 1)
        #expect(try await patient.value == 3)
        while workers.load != (0, 0) { await Task.yield() }
        #expect(try await workers.run(until: .now + .milliseconds(50)) { .success(4) } == 4)
        await workers.close()
    }

    /// The end comes after what waits, however the signals fell.
    @Test func closingFinishesWhatWaits() async throws {
        for _ in 0..<50 {
            let workers = BlockingWorkers(count: 4, groups: 3, share: 2)
            await withTaskGroup(of: Void.self) { group in
                for number in 0..<30 {
                    group.addTask {
                        _ = try? await workers.run(group: number % 3) { .success(number) }
                    }
                }
                group.addTask { await workers.close() }
            }
            #expect(workers.load == (0, 0))
        }
    }
}

private final class Numbers: Sendable {
    private let numbers = Mutex<[Int]>([])

    var all: [Int] { numbers.withLock { $0 } }

    func add(_ number: Int) { numbers.withLock { $0.append(number) } }
}

/// Holds threads until it is opened.
private final class Gate: Sendable {
    private let condition = DispatchSemaphore(value: 0)

    func wait() {
        condition.wait()
        condition.signal()
    }

    func open() { condition.signal() }
}
