import Glibc
import Reactor
import Synchronization
import TestSupport
import Testing
import Traffic

@testable import Proxy

@Suite("Looks at passwords") struct CredentialCheckTests {
    private static let hash = Array("$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW".utf8)
    /// Takes some tens of milliseconds.
    private static let slow = Array("$2b$08$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW".utf8)
    private static let client = IPAddress(v4: 0x0A00_0001)

    private func begin(
        _ checks: CredentialChecks, _ inbox: VerdictInbox, code: UInt64, password: String = "secret",
        hash: [UInt8] = Self.hash, passes: Bool = true, client: IPAddress = Self.client,
        now: UInt64 = MonotonicClock.milliseconds()
    ) -> CredentialChecks.Outcome {
        Array(password.utf8).withUnsafeBytes { password in
            checks.begin(
                CredentialCode(code, 0, 0, 0), password: password, hash: hash, passes: passes, client: client,
                now: now, CredentialChecks.Waiter(token: code, inbox: inbox))
        }
    }

    /// Waits for so many verdicts.
    private func await(
        _ count: Int, _ inbox: VerdictInbox, of checks: CredentialChecks
    ) -> [CredentialVerdict] {
        var all: [CredentialVerdict] = []
        _ = eventually(seconds: 60) {
            checks.collect()
            all += inbox.take()
            return all.count >= count
        }
        return all
    }

    @Test("A success is remembered for five minutes, and a failure is not")
    func memory() throws {
        let inbox = VerdictInbox(loop: try EventLoop())
        let checks = CredentialChecks(processors: 2)
        let now = MonotonicClock.milliseconds()
        #expect(self.begin(checks, inbox, code: 1, now: now) == .waiting)
        let verdict = try #require(self.await(1, inbox, of: checks).first)
        #expect(verdict.isRight && verdict.token == 1 && verdict.until >= now + CredentialChecks.memory)
        #expect(self.begin(checks, inbox, code: 1, now: now) == .remembered(until: verdict.until))
        let later = self.begin(checks, inbox, code: 1, client: IPAddress(v4: 0x0A00_0003), now: verdict.until)
        #expect(later == .waiting, "not for ever")
        #expect(self.await(1, inbox, of: checks).count == 1)
        #expect(self.begin(checks, inbox, code: 2, password: "wrong", now: now) == .waiting)
        #expect(self.await(1, inbox, of: checks).map(\.isRight) == [false])
        #expect(self.begin(checks, inbox, code: 2, password: "wrong", now: now) == .waiting)
        #expect(self.begin(checks, inbox, code: 3, passes: false, now: now) == .waiting)
        #expect(
            self.await(2, inbox, of: checks).allSatisfy { !$0.isRight },
            "an unknown name does not pass, whatever the password")
    }

    @Test("One look for all that wait with the same credentials")
    func together() throws {
        let inbox = VerdictInbox(loop: try EventLoop())
        let checks = CredentialChecks(processors: 1)
        // Ten tokens: more looks than that would be refused.
        for _ in 0..<50 { #expect(self.begin(checks, inbox, code: 1, hash: Self.slow) == .waiting) }
        #expect(self.await(50, inbox, of: checks).count == 50)
    }

    @Test("Guesses at once are limited as guesses in turn are; what is right gives its token back")
    func limits() throws {
        let inbox = VerdictInbox(loop: try EventLoop())
        let checks = CredentialChecks(processors: 2)
        for code in 0..<40 {
            #expect(self.begin(checks, inbox, code: UInt64(100 + code)) == .waiting)
            #expect(self.await(1, inbox, of: checks).map(\.isRight) == [true])
        }
        for code in 0..<10 {
            let outcome = self.begin(checks, inbox, code: UInt64(200 + code), password: "wrong", hash: Self.slow)
            #expect(outcome == .waiting)
        }
        let outcome = self.begin(checks, inbox, code: 300, password: "wrong")
        guard case .limited(let wait) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect((1...6_000_000_000).contains(wait))
        #expect(self.begin(checks, inbox, code: 300, client: IPAddress(v4: 0x0A00_0002)) == .waiting, "another client")
        #expect(self.await(11, inbox, of: checks).count == 11)
        let later = MonotonicClock.milliseconds() + 7_000
        let next = self.begin(checks, inbox, code: 301, password: "wrong", now: later)
        #expect(next == .waiting, "one every six seconds")
        #expect(self.await(1, inbox, of: checks).count == 1)
    }

    @Test("Sixty-four wait for one look, and the next is told that there is no room")
    func waiters() throws {
        let inbox = VerdictInbox(loop: try EventLoop())
        let checks = CredentialChecks(processors: 1)
        for _ in 0..<CredentialChecks.waitersPerLook {
            #expect(self.begin(checks, inbox, code: 1, hash: Self.slow) == .waiting)
        }
        #expect(self.begin(checks, inbox, code: 1, hash: Self.slow) == .busy)
        #expect(self.begin(checks, inbox, code: 2, hash: Self.slow) == .waiting, "another look has room of its own")
        #expect(self.await(65, inbox, of: checks).count == 65)
    }

    @Test("A subscriber of IPv6 has one limit, whatever address of its /64 it comes from")
    func subscribers() throws {
        let inbox = VerdictInbox(loop: try EventLoop())
        let checks = CredentialChecks(processors: 2)
        let network: UInt64 = 0x2001_0DB8_0000_0001
        for code in 0..<10 as Range<UInt64> {
            let client = IPAddress(high: network, low: code &* 0x1234_5678_9ABC)
            #expect(self.begin(checks, inbox, code: code, password: "wrong", client: client) == .waiting)
        }
        let eleventh = IPAddress(high: network, low: .max)
        guard case .limited = self.begin(checks, inbox, code: 10, password: "wrong", client: eleventh) else {
            Issue.record("another address bought further guesses")
            return
        }
        let neighbour = IPAddress(high: network + 1, low: 0)
        #expect(self.begin(checks, inbox, code: 11, client: neighbour) == .waiting)
        #expect(self.await(11, inbox, of: checks).count == 11)
    }

    @Test("A password that is right for one hash is found right by every thread, and wrong ones never are")
    func threads() throws {
        let inbox = VerdictInbox(loop: try EventLoop())
        let checks = CredentialChecks(processors: 4)
        var expected: [UInt64: Bool] = [:]
        for round in 0..<20 as Range<UInt64> {
            for place in 0..<60 as Range<UInt64> {
                let code = round * 60 + place
                let isRight = code % 3 != 0
                expected[code] = isRight
                let outcome = self.begin(
                    checks, inbox, code: code, password: isRight ? "secret" : "wrong",
                    client: IPAddress(v4: 0x0A02_0000 + UInt32(truncatingIfNeeded: code)))
                #expect(outcome == .waiting)
            }
            let verdicts = self.await(60, inbox, of: checks)
            #expect(verdicts.count == 60)
            for verdict in verdicts { #expect(verdict.isRight == expected[verdict.token], "\(verdict.token)") }
        }
    }

    @Test("So many wait and no more")
    func bound() throws {
        let inbox = VerdictInbox(loop: try EventLoop())
        let checks = CredentialChecks(processors: 1)
        var waiting = 0
        var busy = 0
        for code in 0..<200 {
            // Each from elsewhere, so that no client's limit is met.
            let client = IPAddress(v4: 0x0A01_0000 + UInt32(code))
            switch self.begin(checks, inbox, code: UInt64(code), hash: Self.slow, client: client) {
            case .waiting: waiting += 1
            case .busy: busy += 1
            case .remembered, .limited: Issue.record("neither")
            }
        }
        #expect(waiting >= 80 && busy > 0 && waiting + busy == 200, "\(waiting) \(busy)")
        #expect(self.await(waiting, inbox, of: checks).count == waiting)
    }

    @Test("A worker remembers what it saw last, each until its end")
    func remembered() {
        var remembered = RememberedCredentials()
        #expect(!remembered.contains(CredentialCode(), now: 0))
        for number in 0..<4_096 as Range<UInt64> {
            remembered.insert(CredentialCode(number, number, 0, 0), until: 1_000 + number)
        }
        #expect(remembered.contains(CredentialCode(4_095, 4_095, 0, 0), now: 5_094))
        #expect(!remembered.contains(CredentialCode(4_095, 4_095, 0, 0), now: 5_095))
        #expect(!remembered.contains(CredentialCode(4_095, 4_095, 0, 1), now: 0), "all of it is compared")
        #expect(!remembered.contains(CredentialCode(0, 0, 0, 0), now: 0), "gone")
        let kept = (0..<4_096 as Range<UInt64>).count { remembered.contains(CredentialCode($0, $0, 0, 0), now: 0) }
        #expect(kept == 1_024)
    }
}
