import Testing
import Traffic

@testable import Proxy

@Suite("Limits for each client") struct AdmissionTests {
    private let admission: Admission = {
        let (_, trouble) = AsyncStream<ListenerTrouble>.makeStream()
        return Admission(accessLog: nil, ceiling: 100, trouble: trouble)
    }()

    /// Two clients who are one subscriber, and a third who is another.
    private static let cases: [(IPAddress, IPAddress, other: IPAddress)] = [
        (
            IPAddress(high: 0x2001_0DB8_0000_0001, low: 1), IPAddress(high: 0x2001_0DB8_0000_0001, low: .max),
            other: IPAddress(high: 0x2001_0DB8_0000_0002, low: 1)
        ),
        (IPAddress(v4: 0x0A00_0001), IPAddress(v4: 0x0A00_0001), other: IPAddress(v4: 0x0A00_0002)),
    ]

    @Test("Handshakes and connections are counted by IPv4 address, and of IPv6 by /64", arguments: 0..<2)
    func subscribers(number: Int) {
        let (first, second, other) = Self.cases[number]
        #expect(first.subscriber == second.subscriber && first.subscriber != other.subscriber)
        #expect(self.admission.beginHandshake(of: first, limit: 1))
        #expect(!self.admission.beginHandshake(of: second, limit: 1))
        #expect(self.admission.beginHandshake(of: other, limit: 1))
        self.admission.endHandshake(of: second)
        #expect(self.admission.beginHandshake(of: first, limit: 1))
        #expect(self.admission.admit(first, limitPerClient: 1))
        #expect(!self.admission.admit(second, limitPerClient: 1))
        #expect(self.admission.admit(other, limitPerClient: 1))
        self.admission.leave(second)
        #expect(self.admission.admit(first, limitPerClient: 1))
    }
}
