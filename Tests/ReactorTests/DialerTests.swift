import Glibc
import Reactor
import Testing
import Traffic

@Suite("Dialer", .timeLimit(.minutes(1)))
struct DialerTests {
    /// A listener that a thread answers once.
    private func serve(_ body: @escaping @Sendable (Int32) -> Void) throws -> SocketAddress {
        var listener = try Socket.listen(on: SocketAddress(ip: IPAddress(v4: 0x7F00_0001), port: 0))
        let bound = listener.boundAddress()
        let address = try #require(bound)
        let descriptor = listener.release()
        try Thread.start(named: "peer") {
            var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            poll(&ready, 1, 10_000)
            let connection = Glibc.accept(descriptor, nil, nil)
            if connection >= 0 {
                body(connection)
                close(connection)
            }
            close(descriptor)
        }
        return address
    }

    private static func say(_ text: String, to connection: Int32) {
        _ = text.withCString { write(connection, $0, strlen($0)) }
    }

    private func exchange(_ address: SocketAddress, milliseconds: UInt32 = 5_000) async throws -> DialResult {
        try await Dialer().exchange(
            with: address, send: Array("hello".utf8), connectMilliseconds: 1_000, milliseconds: milliseconds,
            limit: 1_000, until: { $0.last == UInt8(ascii: "!") })
    }

    @Test("An answer that satisfies is complete")
    func complete() async throws {
        let address = try self.serve { connection in
            var byte: UInt8 = 0
            for _ in 0..<5 { _ = read(connection, &byte, 1) }
            Self.say("well", to: connection)
            Self.say(" done!", to: connection)
        }
        let result = try await self.exchange(address)
        #expect(result.end == .complete)
        #expect(String(decoding: result.bytes, as: UTF8.self) == "well done!")
    }

    @Test("Nobody listening is refused")
    func refused() async throws {
        var listener = try Socket.listen(on: SocketAddress(ip: IPAddress(v4: 0x7F00_0001), port: 0))
        let bound = listener.boundAddress()
        let address = try #require(bound)
        listener.close()
        #expect(try await self.exchange(address).end == .refused)
    }

    @Test("An early end is told from an answer")
    func closed() async throws {
        let address = try self.serve { connection in
            var byte: UInt8 = 0
            for _ in 0..<5 { _ = read(connection, &byte, 1) }
            Self.say("half", to: connection)
        }
        let result = try await self.exchange(address)
        #expect(result.end == .closed)
        #expect(result.bytes.count == 4)
    }

    @Test("Silence ends at the deadline")
    func silence() async throws {
        let address = try self.serve { connection in
            var byte: UInt8 = 0
            while read(connection, &byte, 1) > 0 {}
        }
        #expect(try await self.exchange(address, milliseconds: 100).end == .responseTimeout)
    }

    @Test("Too much is cut off at the limit")
    func limit() async throws {
        let address = try self.serve { connection in
            Self.say(String(repeating: "x", count: 5_000), to: connection)
            var byte: UInt8 = 0
            while read(connection, &byte, 1) > 0 {}
        }
        #expect(try await self.exchange(address).end == .limit)
    }

    @Test("A cancelled caller is not kept waiting, whether it was cancelled before or meanwhile")
    func cancelled() async throws {
        let address = try self.serve { connection in
            var byte: UInt8 = 0
            while read(connection, &byte, 1) > 0 {}
        }
        let began = MonotonicClock.milliseconds()
        let waiting = Task { try await self.exchange(address, milliseconds: 60_000).end }
        try await Task.sleep(for: .milliseconds(100))
        waiting.cancel()
        #expect(try await waiting.value == .cancelled)
        let early = Task {
            try? await Task.sleep(for: .seconds(60))
            return try await self.exchange(address, milliseconds: 60_000).end
        }
        early.cancel()
        #expect(try await early.value == .cancelled)
        #expect(MonotonicClock.milliseconds() - began < 30_000)
    }
}
