import Glibc
import TestSupport
import Testing
import Traffic

@testable import Reactor

@Suite("Listening", .timeLimit(.minutes(1)))
struct ListeningTests {
    private static let any = SocketAddress(ip: IPAddress(v4: 0x7F00_0001), port: 0)

    private func bound(_ socket: borrowing Socket) throws -> SocketAddress {
        let address = socket.boundAddress()
        return try #require(address)
    }

    private func code(_ address: SocketAddress, _ sharing: Socket.Sharing) -> Int32? {
        do throws(SystemError) {
            _ = try Socket.listen(on: address, sharing)
            return nil
        } catch {
            return error.code
        }
    }

    @Test("An exclusive listener keeps everybody out who asks for its address alone; sockets of its own join it")
    func exclusive() throws {
        let first = try Socket.listen(on: Self.any, .exclusive)
        let address = try self.bound(first)
        #expect(self.code(address, .exclusive) == EADDRINUSE)
        let wide = SocketAddress(ip: IPAddress(v4: 0), port: address.port)
        #expect(self.code(wide, .exclusive) == EADDRINUSE)
        let second = try Socket.listen(on: address, .shared)
        #expect(self.code(address, .exclusive) == EADDRINUSE, "nor beside the group")
        withExtendedLifetime((first.descriptor, second.descriptor)) {}
    }

    @Test("Of many who ask for one address at one moment at most one gets it")
    func race() async throws {
        var winners = 0
        for _ in 0..<100 {
            let address: SocketAddress
            do { address = try self.bound(Socket.listen(on: Self.any, .exclusive)) }
            let descriptors = await withTaskGroup(of: Int32.self) { group in
                for _ in 0..<8 { group.addTask { Self.race(for: address) } }
                return await group.reduce(into: []) { $0.append($1) }
            }
            let won = descriptors.filter { $0 >= 0 }
            #expect(won.count <= 1)
            winners += won.count
            for descriptor in won { close(descriptor) }
        }
        #expect(winners > 50)
    }

    /// The listening descriptor, or -1.
    private static func race(for address: SocketAddress) -> Int32 {
        guard var socket = try? Socket.listen(on: address, .exclusive) else { return -1 }
        return socket.release()
    }

    @Test("A hidden listener refuses who comes, and keeps who is there")
    func hidden() throws {
        let listener = try Socket.listen(on: Self.any, .exclusive)
        let address = try self.bound(listener)
        let early = try Self.connect(address)
        defer { close(early) }
        let isHidden = listener.hideListener()
        #expect(isHidden)
        #expect(throws: SystemError.self) { close(try Self.connect(address)) }
        guard case .connection(let accepted, from: _) = listener.accept() else {
            Issue.record("the one that waited is lost")
            return
        }
        let isOpen = accepted.isOpen
        #expect(isOpen)
    }

    @Test("The kernel's list tells who listens beside us, on narrower and wider addresses too")
    func foreign() throws {
        let own = try Socket.listen(on: Self.any, .shared)
        let address = try self.bound(own)
        let mine = try #require(ListeningSockets.inode(own.descriptor))
        let wide = SocketAddress(ip: IPAddress(v4: 0), port: address.port)
        let widest = SocketAddress(ip: IPAddress(high: 0, low: 0), port: address.port)
        #expect(ListeningSockets.foreign(on: address, besides: []) == address)
        #expect(ListeningSockets.foreign(on: wide, besides: []) == address)
        #expect(ListeningSockets.foreign(on: widest, besides: []) == address)
        #expect(ListeningSockets.foreign(on: widest, besides: [mine]) == nil)
        let other = try Socket.listen(on: widest, .shared)
        #expect(ListeningSockets.foreign(on: address, besides: [mine]) == widest)
        withExtendedLifetime((own.descriptor, other.descriptor)) {}
    }

    @Test("Connections ask silent peers whether they are there, on both sides")
    func keepAlive() throws {
        let listener = try Socket.listen(on: Self.any, .exclusive)
        let address = try self.bound(listener)
        let dialled = try Socket.dial(IPEndpoint(address))
        var accepted: Socket?
        let deadline = Deadline(seconds: 30)
        while accepted == nil, !deadline.hasPassed {
            if case .connection(let socket, from: _) = listener.accept() {
                accepted = consume socket
            } else {
                usleep(2_000)
            }
        }
        guard let accepted else {
            Issue.record("nothing came")
            return
        }
        for descriptor in [dialled.descriptor, accepted.descriptor] {
            #expect(Self.option(descriptor, SOL_SOCKET, SO_KEEPALIVE) == 1)
            #expect(Self.option(descriptor, Int32(IPPROTO_TCP), TCP_KEEPIDLE) == 60)
            #expect(Self.option(descriptor, Int32(IPPROTO_TCP), TCP_KEEPINTVL) == 10)
        }
    }

    // MARK: plumbing

    private static func option(_ descriptor: Int32, _ level: Int32, _ name: Int32) -> Int32 {
        var value: Int32 = -1
        var length = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(descriptor, level, name, &value, &length) == 0 ? value : -1
    }

    /// A blocking connection; the caller closes it.
    private static func connect(_ address: SocketAddress) throws(SystemError) -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard IPEndpoint(address).withSockaddr({ Glibc.connect(descriptor, $0, $1) }) == 0 else {
            let error = SystemError(operation: "connect")
            close(descriptor)
            throw error
        }
        return descriptor
    }
}
